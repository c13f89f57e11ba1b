"""encode -> impair -> decode through the real commands, with numeric pass marks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gvc_base.marks.level import ALWAYS, LEAST
from gvc_base.provenance import verify_media
from gvc_base.video import probe, read_video
from gvc_edge.sources import open_source
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.marks import Mark
from gvc_protocol.objects import ObjectClass
from gvc_protocol.params import LinkParams
from gvc_protocol.pcap import read_records
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.truth import Truth
from tests.e2e.conftest import Ran
from tests.e2e.programs import FPS

FRAMES = 30


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


def decode(base: Callable[..., Ran], capture: Path, folder: Path, *more: object) -> dict[str, Any]:
    out = folder / "out.mp4"
    done = base("decode", capture, "--out", out, "--clean", "--marks", folder / "m.npz", "--json",
                "--state", folder, *more)  # fmt: skip
    assert done.code == 0, done.err
    return done.json


def descriptors_of(capture: Path) -> list[Descriptors]:
    """Part D of every unit of a capture."""
    params = LinkParams(framing=Framing(mtu_bytes=1400), rate_bps=1e9, fec_percent=0)
    receiver, now = LinkReceiver(params), 0
    with capture.open("rb") as file:
        for record in read_records(file, name="x"):
            now = record.time_ns
            receiver.receive(record.data, now)
    receiver.close(now)
    out = []
    while (event := receiver.next_event()) is not None:
        if isinstance(event, UnitReady) and event.unit.descriptors is not None:
            out.append(event.unit.descriptors)
    return out


def test_edge_report_counts_every_byte_of_the_capture(capture: tuple[Path, dict[str, Any]]) -> None:
    path, report = capture
    with path.open("rb") as file:
        records = list(read_records(file, name="x"))
    assert sum(len(r.data) for r in records) == report["air_bytes"]
    assert len(records) == report["packets_sent"]
    assert report["units_sent"] == 3
    assert report["air_bps"] <= report["rate_bps"] == 25_600
    assert report["payload_bytes"] > 0.5 * report["air_bytes"]


def test_any_10_s_keep_to_the_rate(
    capture: tuple[Path, dict[str, Any]], scene: Path, tmp_path: Path, edge_here: Callable[..., Ran]
) -> None:
    path, start = tmp_path / "x.pcap", tmp_path / "start.mkv"
    with av.open(str(scene)) as whole, av.open(str(start), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in islice(whole.demux(video=0), 14 * FPS):
            packet.stream = stream
            part.mux(packet)
    ran = edge_here("encode", start, "--profile", "udp", "--bps", 9000, "--out", path, "--start", 0,
                    "--codec", "classical", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    for sent, bps in ((path, 9000), (capture[0], capture[1]["rate_bps"])):
        with sent.open("rb") as file:
            records = list(read_records(file, name="x"))
        for i, first in enumerate(records):
            window = [r for r in records[i:] if r.time_ns < first.time_ns + 10**10]
            assert sum(len(r.data) for r in window) * 8 / 10 <= bps
    # The windows slide: a slow radio is busy all the time, longer than one of them.
    with path.open("rb") as file:
        times = [r.time_ns for r in read_records(file, name="x")]
    assert times[-1] - times[0] > 11 * 10**9


def test_without_loss_all_is_whole_and_alike(
    clip: Path, capture: tuple[Path, dict[str, Any]], tmp_path: Path, base: Callable[..., Ran]
) -> None:
    report = decode(base, capture[0], tmp_path)
    assert (report["units_whole"], report["units_degraded"], report["units_lost"]) == (3, 0, 0)
    assert report["packets_lost"] == 0 and report["frames"] == FRAMES
    assert report["marks"]["lost"] == 0
    info = probe(tmp_path / "out.mp4")
    assert (info.frames, info.width, info.height, info.fps) == (FRAMES, 320, 192, 5)
    pairs = zip(read_video(clip), read_video(tmp_path / "out.mp4"), strict=True)
    quality = [psnr(a, b) for a, b in pairs]
    assert np.mean(quality) > 22  # a held first picture of this moving scene is below 18


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 3), (0.4, 3)])
def test_with_loss_the_timeline_stays_whole(
    loss: float, burst: int, capture: tuple[Path, dict[str, Any]], tmp_path: Path,
    base_here: Callable[..., Ran],
) -> None:  # fmt: skip
    bad = tmp_path / "bad.pcap"
    ran = base_here(
        "impair", capture[0], "--out", bad, "--loss", loss, "--burst", burst, "--seed", 4, "--json"
    )
    assert ran.code == 0, ran.err
    report = decode(base_here, bad, tmp_path, "--quality", "preview")
    assert report["frames"] == FRAMES and report["seconds"] == pytest.approx(6.0)
    assert report["units_decoded"] + report["units_lost"] == 3
    marks = np.load(tmp_path / "m.npz")
    assert marks["mark"].shape == (FRAMES, 24, 40) and marks["mark"].dtype == np.uint8
    assert marks["p_wrong"].shape == (FRAMES, 24, 40) and marks["p_wrong"].dtype == np.float16
    assert ((marks["doubt_from"] >= LEAST) & (marks["doubt_from"] <= ALWAYS)).all()


def test_damage_of_every_kind_at_once_is_survived(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    bad = tmp_path / "bad.pcap"
    damage = [
        "--loss",
        0.1,
        "--burst",
        2,
        "--ber",
        1e-4,
        "--slip",
        1e-3,
        "--dup",
        0.1,
        "--reorder",
        0.1,
    ]
    assert base_here("impair", capture[0], "--out", bad, *damage, "--seed", 9).code == 0
    report = decode(base_here, bad, tmp_path, "--quality", "preview")
    assert report["frames"] == FRAMES
    assert sum(report["packets_rejected"].values()) > 0 and report["packets_duplicate"] > 0


def test_the_lost_end_is_filled_and_marked_lost(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    cut = tmp_path / "cut.pcap"
    whole = capture[0].read_bytes()
    cut.write_bytes(whole[: len(whole) // 2 - 3])  # in the middle of a record
    report = decode(base_here, cut, tmp_path, "--quality", "preview")
    assert report["frames"] == FRAMES
    assert (np.load(tmp_path / "m.npz")["mark"][-1] == 4).all()


def test_impair_is_repeatable_and_decode_deterministic(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base: Callable[..., Ran]
) -> None:
    made = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        options = ("--loss", 0.2, "--burst", 3, "--seed", 7)
        base("impair", capture[0], "--out", folder / "bad.pcap", *options)
        decode(base, folder / "bad.pcap", folder, "--quality", "preview")
        made.append((folder / "bad.pcap").read_bytes())
        made.append(np.load(folder / "m.npz")["mark"].tobytes())
    assert made[0] == made[2] and made[1] == made[3]


def test_an_archive_decodes_to_the_same_pictures(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    archive = tmp_path / "mission.db"
    decode(base_here, capture[0], first, "--archive", archive, "--quality", "preview")
    decode(base_here, archive, second, "--quality", "preview")
    for a, b in zip(read_video(first / "out.mp4"), read_video(second / "out.mp4"), strict=True):
        assert np.array_equal(a, b)
    marks = [np.load(f / "m.npz")["mark"] for f in (first, second)]
    assert np.array_equal(*marks)


def test_overlay_burns_the_marks_in(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    decode(
        base_here, capture[0], tmp_path, "--marked", tmp_path / "marked.mp4", "--quality", "preview"
    )
    plain, marked = (
        next(read_video(tmp_path / "out.mp4")),
        next(read_video(tmp_path / "marked.mp4")),
    )
    assert plain.shape == marked.shape
    assert psnr(plain, marked) < 40
    both = base_here(
        "decode", capture[0], "--out", tmp_path / "x.mp4", "--marked", tmp_path / "y.mp4"
    )
    assert "--clean" in both.error_line


def test_an_export_says_what_is_real_in_it_and_the_evidence_alone_is_a_switch_away(
    capture: tuple[Path, dict[str, Any]], tmp_path: Path, base_here: Callable[..., Ran]
) -> None:
    out, marks_video, stills = tmp_path / "o.mp4", tmp_path / "marks.mp4", tmp_path / "stills"
    wanted = ["--quality", "preview", "--state", tmp_path, "--json"]
    made = base_here("decode", capture[0], "--out", out, "--marks-video", marks_video, *wanted)
    assert made.code == 0, made.err
    assert not made.json["notes"] and len(list(read_video(marks_video))) == FRAMES
    told = "\n".join(verify_media(out, state=tmp_path))
    assert "burned into the picture" in told and "the sender verified" in told
    with np.load(tmp_path / "o.marks.npz") as marks:
        assert (marks["truth"] == Truth.VERIFIED).mean() > 0.5
        expected = marks["error"].astype(np.float32)
        assert 0.5 < expected.mean() < 40 and expected.std() > 0.5

    seen = base_here(
        "decode", capture[0], "--out", out, "--received-only", "--stills", stills, *wanted
    )
    assert seen.code == 0, seen.err
    assert set(seen.json["marks"]) == {m.name.lower() for m in Mark}
    assert seen.json["marks"]["carried"] == seen.json["marks"]["regenerated"] == 0
    with np.load(tmp_path / "o.marks.npz") as marks:
        assert np.isnan(marks["error"]).all() and (marks["doubt_from"] > 1).all()
    assert "nothing generated" in "\n".join(verify_media(out, state=tmp_path))
    pictures = sorted(p for p in stills.glob("*.png") if "_mask" not in p.name)
    assert len(pictures) == 3, "one a unit"
    assert "received 100 %" in "\n".join(verify_media(pictures[0], state=tmp_path))


@pytest.mark.parametrize("size", ["256x192", "640x512"])
def test_a_thermal_camera_keeps_its_heat_and_gets_no_colour(
    size: str, tmp_path: Path, edge: Callable[..., Ran], base: Callable[..., Ran]
) -> None:
    url = f"synthetic:thermal?seed=1&size={size}&seconds=1&fps=5"
    path = tmp_path / "t.pcap"
    ran = edge(
        "encode", url, "--profile", "udp", "--bps", 16000, "--out", path, "--quick", "--json"
    )
    assert ran.code == 0, ran.err
    report = decode(base, path, tmp_path, "--quality", "standard", "--backend", "onnx")
    assert report["units_whole"] == report["units_sent"]
    shown = np.stack(list(read_video(tmp_path / "out.mp4")))
    true = np.stack([f.pixels for f in open_source(url, start_us=0).frames()])
    assert shown.shape == true.shape
    apart = np.ptp(shown[::5, ::3, ::3].astype(int), axis=3)
    # The picture file is 4:2:0, too: a few levels come from there.
    assert np.percentile(apart, 99) <= 4, "a thermal picture got colour"
    assert psnr(shown, true) > 25
    told = [d for d in descriptors_of(path) if d.thermal is not None]
    assert told and told[0].thermal is not None and told[0].thermal.lo < told[0].thermal.hi
    hot = [t for d in told for t in d.tracks if t.class_id == ObjectClass.HOT_SPOT]
    assert hot, "hot spots travel as descriptors"
