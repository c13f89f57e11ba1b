"""Marked video for other players: it is H.264, its marks are in the pixels, and it never stops."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gvc_base.cli import main
from gvc_base.patterns import YELLOW
from gvc_base.render import overlay_beneath
from gvc_base.restream import video, watch
from gvc_base.restream.mux import VideoOut
from gvc_base.restream.picture import Canvas, banner_px
from gvc_base.restream.start import RestreamPlan
from gvc_base.restream.targets import VideoTarget, cot_targets, video_targets
from gvc_base.restream.video import VideoRestream
from gvc_base.restream.watch import Watched
from gvc_protocol.errors import UserError
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark
from tests.restream.given import HEIGHT, WIDTH, Given, Image, Wire, frame_of, free_port, ts_frames
from tests.station.flights import wait_until


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def wire(stack: ExitStack) -> Wire:
    made = Wire()
    stack.callback(made.close)
    return made


def send(
    stack: ExitStack, given: Given, target: VideoTarget, tmp_path: Path
) -> tuple[VideoRestream, list[str]]:
    lines: list[str] = []
    made = VideoRestream(given.view, target, lines.append, sdp=tmp_path / "m.sdp", mission="m")
    stack.callback(made.close)
    made.start()
    return made, lines


def to(wire: Wire) -> VideoTarget:
    return VideoTarget(kind="mpegts", host="127.0.0.1", port=wire.port)


def picture_of(image: Image) -> Image:
    """The source's pixels in what is sent: below the banner, above the legend."""
    banner = banner_px(overlay_beneath(frame_of(0, Mark.RECEIVED)).shape[0])
    return image[banner : banner + HEIGHT]


def is_loud(frame: Image) -> bool:
    """Whether the banner's left end is yellow."""
    return bool(np.abs(frame[2:5, 2:6].astype(int) - YELLOW).mean() < 40)


def test_a_player_sees_slate_marks_and_silence(
    stack: ExitStack, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SILENT_S", 0.5)
    given = Given()
    silent: list[bool] = []

    class Drawn(Canvas):
        def draw(self, *args: Any, **kw: Any) -> Image:
            silent.append(kw["silent_s"] is not None)
            return super().draw(*args, **kw)

    monkeypatch.setattr(video, "Canvas", Drawn)
    sent, lines = send(stack, given, to(wire), tmp_path)
    wait_until(lambda: len(wire.came) >= 5, "a slate")
    assert lines == []
    given.show(frame_of(0, Mark.RECEIVED, Mark.REGENERATED))
    wait_until(lambda: len(lines) == 1, "the line that it goes")
    assert "0-1" in lines[0] and "marks burned in" in lines[0]
    given.hold(1000)
    wait_until(lambda: sum(silent) >= 25, "pictures of a silent link")
    sent.close()
    names, frames, _ = ts_frames(wire.came)
    assert names[0] == "h264"
    slate, last = frames[0], frames[-1]
    assert (
        slate.shape[1] == 640 > last.shape[1] and last.shape[1] == WIDTH and last.shape[0] > HEIGHT
    )
    assert all(side % 2 == 0 for frame in frames for side in frame.shape[:2])
    assert not is_loud(slate) and is_loud(last)
    marked = [f for f in frames if f.shape == last.shape and not is_loud(f)]
    assert marked
    # The received half is as it was; over the other one there are bars of another colour.
    shown = picture_of(marked[0]).astype(float)
    assert given.picture is not None
    off = np.abs(shown - given.picture.frame.pixels)[: HEIGHT - 16].mean(axis=2)
    assert off[:, : WIDTH // 2 - 16].mean() < 6
    assert off[:, WIDTH // 2 + 16 :].mean() > 20
    assert sum(is_loud(f) for f in frames) >= 20, "no pictures while the link is silent"


def test_what_the_picture_says_without_its_marks_is_no_option() -> None:
    """The same pixels: received, and regenerated. What is sent differs by the marks alone."""
    seen = [
        Canvas().draw(frame_of(0, m), drone="0-1", label="x", now_s=0, silent_s=None)
        for m in (Mark.RECEIVED, Mark.REGENERATED, Mark.LOST)
    ]
    assert (picture_of(seen[0]) == frame_of(0, Mark.RECEIVED).pixels).all()
    for other in seen[1:]:
        assert other.shape == seen[0].shape
        assert np.abs(picture_of(other).astype(int) - picture_of(seen[0])).mean() > 10
    small = frame_of(0, Mark.RECEIVED, size=(161, 99))
    drawn = Canvas().draw(small, drone="0-1", label="x", now_s=0, silent_s=None)
    assert drawn.shape[1] == 484 and drawn.shape[0] % 2 == 0


def test_the_banner_counts_as_the_legend_does() -> None:
    given = Given()
    watched = Watched(given.view, None)
    watched.look(90.0)
    assert watched.silent_s(99.0) is None and watched.drone == "0-1", "no picture yet: a slate"
    given.show(frame_of(0, Mark.ENHANCED))
    watched.look(100.0)
    given.hold(1500)
    watched.look(101.5)
    assert watched.silent_s(101.9) is None and watched.silent_s(103.0) == 3.0 and watched.new == 1
    given.hold(8400, number=7)
    watched.look(111.0)
    assert watched.silent_s(111.0) == pytest.approx(8.4) and watched.new == 1
    given.hold(AGE_UNKNOWN_MS)
    watched.look(300.0)
    assert watched.silent_s(300.0) == 200.0
    given.show(frame_of(8, Mark.REGENERATED))
    watched.look(301.0)
    assert watched.new == 1, "nothing of it was received"
    given.show(frame_of(9, Mark.LOST, Mark.CARRIED))
    watched.look(302.0)
    assert watched.new == 2 and watched.silent_s(302.0) is None


def test_rtp_is_read_through_its_sdp_file(stack: ExitStack, tmp_path: Path) -> None:
    given = Given()
    given.show(frame_of(0, Mark.RECEIVED))
    target = VideoTarget(kind="rtp", host="127.0.0.1", port=free_port())
    _, lines = send(stack, given, target, tmp_path)
    sdp = tmp_path / "m.sdp"
    wait_until(lambda: bool(lines), "the stream")
    assert str(sdp) in lines[0]
    options = {"protocol_whitelist": "file,udp,rtp", "analyzeduration": "500000"}
    with av.open(str(sdp), format="sdp", options=options, timeout=20) as player:
        assert player.streams.video[0].codec_context.name == "h264"
        seen: list[av.VideoFrame] = []
        for packet in player.demux(video=0):
            # Who tunes in between two key frames has to wait for one.
            with suppress(av.InvalidDataError):
                seen += packet.decode()
            if len(seen) >= 3:
                break
    assert seen[-1].width == WIDTH


def test_a_target_that_is_not_there_costs_a_line(
    stack: ExitStack, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that nobody knows, a port that nobody listens on, a network that goes and comes back."""
    monkeypatch.setattr(video.VideoRestream, "retry_s", 0.1)
    crashes: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    given = Given()
    given.show(frame_of(0, Mark.RECEIVED))
    unknown = VideoTarget(kind="mpegts", host="no.such.host.invalid", port=9)
    deaf = VideoTarget(kind="mpegts", host="127.0.0.1", port=free_port())
    opened: list[VideoOut] = []

    class Breaks(VideoOut):
        def __init__(self, target: VideoTarget, **size: int) -> None:
            super().__init__(target, **size)
            opened.append(self)

        def write(self, bgr: Image, number: int, klv: bytes = b"") -> None:
            ours = [one for one in opened if one.target.port == wire.port]
            if self.target.port == wire.port and len(ours) <= 3:
                raise OSError(101, "Network is unreachable")
            super().write(bgr, number, klv)

    monkeypatch.setattr(video, "VideoOut", Breaks)
    told = {target: send(stack, given, target, tmp_path)[1] for target in (unknown, deaf, to(wire))}
    wait_until(lambda: len(wire.came) > 5, "the stream that came back")
    wait_until(lambda: sum(one.target == unknown for one in opened) > 3, "more tries")
    assert len(told[unknown]) == 1 and "no.such.host.invalid" in told[unknown][0]
    assert "the mission goes on" in told[unknown][0]
    assert len(told[deaf]) == 1 and "marks burned in" in told[deaf][0]
    assert ["unreachable" in line for line in told[to(wire)]] == [True, False]
    assert not crashes


@pytest.mark.parametrize(
    "text",
    ["", "mpegts://", "mpegts://host", "mpegts://host:0", "mpegts://host:70000", "http://host:1",
     "mpegts://h:1/path", "mpegts://h:1?pkt_size=9", "rtp://u@h:1", "x=mpegts://h:1", "rtp://[::1:5",
     "mpegts://a b:5", "mpegts:host:5"],
)  # fmt: skip
def test_a_target_that_is_none_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="mpegts://192"):
        video_targets([text])


def test_targets_are_read_as_written() -> None:
    one, two, three = video_targets(
        ["mpegts://192.168.1.20:5600", "0-1=rtp://[fe80::1]:5600", "mpegts://239.1.2.3:5600"]
    )
    assert (one.kind, one.host, one.port, one.drone_id) == ("mpegts", "192.168.1.20", 5600, None)
    assert two.drone_id == "0-1" and str(two) == "rtp://[fe80::1]:5600"
    assert three.host == "239.1.2.3"
    with pytest.raises(UserError, match="twice"):
        video_targets(["mpegts://h:1", "0-1=rtp://h:1"])
    assert str(cot_targets(["udp://239.2.3.1:6969"])[0]) == "udp://239.2.3.1:6969"
    with pytest.raises(UserError, match="6969"):
        cot_targets(["tcp://h:1"])


def test_a_bad_target_stops_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["gvc-base", "run", "--link", "udp://127.0.0.1:0", "-p", "udp", "--archive",
               str(tmp_path / "m.db"), "--restream", "rtsp://h:1"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_starts_beside_the_base_and_ends_with_it(
    wire: Wire, tmp_path: Path
) -> None:
    given, lines = Given(), []
    given.show(frame_of(0, Mark.RECEIVED))
    port = free_port()
    plan = RestreamPlan.of(
        [f"mpegts://127.0.0.1:{wire.port}", f"0-1=rtp://[::1]:{port}"], [f"udp://127.0.0.1:{port}"]
    )
    before = set(threading.enumerate())
    with ExitStack() as mission:
        plan.start(mission, given.view, tmp_path / "flood.db", lines.append)
        assert len(set(threading.enumerate()) - before) == 3
        wait_until(lambda: len(lines) == 2 and bool(wire.came), "two streams")
    assert not set(threading.enumerate()) - before
    sdp = tmp_path / f"flood-__1-{port}.sdp"
    assert "c=IN IP6 ::1" in sdp.read_text() and f"m=video {port} " in sdp.read_text()
    assert any(str(sdp) in line for line in lines)
