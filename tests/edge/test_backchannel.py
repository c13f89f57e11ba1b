"""The edge's end of the way back: who is obeyed, once; and true pixels from what is kept."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from gvc_edge.backchannel import CommandLog, EdgeBackChannel
from gvc_edge.codecs import av1
from gvc_edge.pictures import PictureSpool
from gvc_edge.regions import RegionAnswers, encode_layer
from gvc_protocol.adapt import LinkController
from gvc_protocol.auth import LinkKey
from gvc_protocol.framing import Framing
from gvc_protocol.gvc1 import Patch
from gvc_protocol.messages import (
    Ack,
    AckStatus,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    Record,
    RegionAnswer,
    RegionRequest,
    RegionStatus,
    TimeAnswer,
    TimeAsk,
    pack_message,
    unpack_message,
)
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from tests.protocol.simlink import limits

KEY = LinkKey(bytes(range(32)))
PLAIN = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=25_600, fec_percent=0)
TAGGED = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=25_600, fec_percent=0, tagged=True)


class Pair:
    """A base's sender and an edge's back-channel, nothing between them."""

    def __init__(
        self, key: LinkKey | None = KEY, *, log: CommandLog | None = None,
        pictures: PictureSpool | None = None, boot: int = 1,
    ) -> None:  # fmt: skip
        params = PLAIN if key is None else TAGGED
        self.base = LinkSender(params, stream_id=1, boot_id=boot, from_base=True, key=key)
        self.keyframes = 0
        self.bounds = (0, 3)
        self.said: list[str] = []
        self.now = 1_000 * SECOND
        self.edge = EdgeBackChannel(
            LinkReceiver(params, from_base=True, key=key), limits(), stream_id=1, boot_id=9,
            log=log or CommandLog(None), say=self.said.append,
            regions=None if pictures is None else RegionAnswers(pictures),
            wall_us=lambda: self.now // 1000, on_keyframe=self._keyframe,
            on_bounds=lambda f, c: setattr(self, "bounds", (f, c)),
        )  # fmt: skip

    def _keyframe(self) -> None:
        self.keyframes += 1

    def ask(self, *records: Record) -> list[Record]:
        self.base.send_message(pack_message(records), self.now)
        while (due := self.base.next_timer()) is not None:
            self.now = max(self.now, due)
            for packet in self.base.datagrams_to_send(self.now):
                self.edge.receive(packet, self.now)
        return self.answers()

    def answers(self) -> list[Record]:
        out = self.edge.outgoing(self.now, 25_600)
        return [record for data in out for record in unpack_message(data)]


def test_a_command_is_done_once_and_acknowledged_each_time(tmp_path: Path) -> None:
    path = tmp_path / "commands.json"
    pair, ask = Pair(log=CommandLog(path)), KeyframeRequest(command_id=7)
    done = [Ack(command_id=7, status=AckStatus.DONE)]
    assert pair.ask(ask) == done and pair.ask(ask) == done
    assert pair.keyframes == 1
    after_restart = Pair(log=CommandLog(path))
    assert after_restart.ask(ask) == done and after_restart.keyframes == 0


def test_without_a_key_nothing_is_obeyed() -> None:
    pair = Pair(None)
    answers = pair.ask(
        KeyframeRequest(command_id=1), RateCommand(command_id=2, rate_bps=2_000),
        ModeCommand(command_id=3, finest=2, coarsest=2),
    )  # fmt: skip
    assert answers == [] and pair.keyframes == 0
    assert pair.edge.setting(pair.now).rate_bps == 25_600 and pair.bounds == (0, 3)
    assert len(pair.said) == 1


def test_rate_and_mode_are_set_and_told() -> None:
    pair = Pair()
    pair.ask(RateCommand(command_id=1, rate_bps=9_000))
    assert pair.edge.setting(pair.now).rate_bps == 9_000
    refused = pair.ask(RateCommand(command_id=2, rate_bps=10**6))
    assert Ack(command_id=2, status=AckStatus.REFUSED) in refused
    pair.ask(ModeCommand(command_id=3, finest=1, coarsest=2))
    pair.edge.setting(pair.now)
    assert pair.bounds == (1, 2)
    pair.ask(RateCommand(command_id=4, rate_bps=0))
    assert pair.edge.setting(pair.now).rate_bps == 25_600


def test_the_clock_is_told() -> None:
    pair = Pair()
    (answer,) = pair.ask(TimeAsk(sent_us=5))
    assert isinstance(answer, TimeAnswer)
    assert answer.asked_us == 5 and answer.received_us <= answer.answered_us


def picture(seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A smooth picture with an edge in it: what a coder can hold exactly."""
    y, x = np.mgrid[0:96, 0:160]
    grey = (x + y) / 2 + 40 * (x > 80) + seed
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def test_true_pixels_come_coarse_first(tmp_path: Path) -> None:
    spool = PictureSpool(tmp_path / "pictures", 9, limit_bytes=1 << 20)
    spool.keep(4, 0, picture())
    pair = Pair(pictures=spool)
    ask = RegionRequest(
        command_id=5, boot_id=9, unit_no=4, offset=3, x=43, y=18, width=50, height=40
    )
    assert pair.ask(ask) == [Ack(command_id=5, status=AckStatus.WORKING)]
    layers: list[RegionAnswer] = []
    end = time.monotonic() + 30
    while not (layers and layers[-1].last) and time.monotonic() < end:
        pair.now += SECOND
        layers += [a for a in pair.answers() if isinstance(a, RegionAnswer)]
        time.sleep(0.01)
    patches = [Patch.unpack(layer.patch) for layer in layers]
    scales = [p.scale for p in patches if p is not None]
    assert scales == sorted(scales, reverse=True) and scales[-1] == 1 and len(scales) >= 3
    best = patches[-1]
    assert best is not None and (best.x, best.y, best.width, best.height) == (40, 16, 56, 48)
    shown = av1.decode([best.obus])[0][: best.height, : best.width]
    truth = picture()[16:64, 40:96]
    assert np.mean((shown.astype(float) - truth) ** 2) < 4
    # Done now: the same request is acknowledged and not answered again.
    assert pair.ask(ask) == [Ack(command_id=5, status=AckStatus.DONE)]
    pair.edge.close()


def test_what_is_not_kept_is_said(tmp_path: Path) -> None:
    spool = PictureSpool(tmp_path / "pictures", 9, limit_bytes=1 << 20)
    answers, ask = RegionAnswers(spool), RegionRequest(
        command_id=5, boot_id=9, unit_no=4, offset=0, x=0, y=0, width=8, height=8
    )  # fmt: skip
    assert answers.add(ask)
    end = time.monotonic() + 10
    while (answer := answers.poll()) is None and time.monotonic() < end:
        time.sleep(0.01)
    assert answer is not None and answer.status == RegionStatus.NO_PICTURE and answer.last
    assert not answers.busy
    answers.close()


def test_a_layer_that_does_not_fit_is_left_out() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (96, 160, 3), np.uint8)
    box = (0, 0, 160, 96)
    fits = encode_layer(noise, box, offset=0, scale=1, crf=20, most_bytes=100_000)
    assert fits is not None
    assert encode_layer(noise, box, offset=0, scale=1, crf=20, most_bytes=100) is None


def test_the_spool_is_bounded_and_outlives_a_boot(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    spool = PictureSpool(tmp_path, 1, limit_bytes=60_000)
    for unit in range(10):
        spool.keep(unit, 0, noise)
    assert sum(p.stat().st_size for p in tmp_path.glob("*.png")) <= 60_000
    assert spool.find(1, 0, 0) is None and spool.find(1, 9, 5) is not None
    again = PictureSpool(tmp_path, 2, limit_bytes=60_000)
    kept = again.find(1, 9, 0)
    assert kept is not None
    loaded = again.load(kept)
    assert loaded is not None and np.array_equal(loaded, noise)


def test_talk_that_nobody_vouches_for_excuses_no_slow_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a half-duplex air the base's talk keeps ours back. A forger's would loosen the rate's bound."""
    heard: list[int] = []
    monkeypatch.setattr(LinkController, "note_heard", lambda _self, size, _now: heard.append(size))
    pair = Pair()
    forger = LinkSender(TAGGED, stream_id=1, boot_id=7, from_base=True, key=LinkKey(bytes(32)))
    forger.send_message(pack_message([OperatorText(command_id=1, text="x" * 200)]), pair.now)
    for _ in range(200):
        pair.now += SECOND
        for packet in [*forger.datagrams_to_send(pair.now), b"\xeb\x90 noise"]:
            pair.edge.receive(packet, pair.now)
    assert forger.idle and heard == []
    pair.base.send_message(pack_message([KeyframeRequest(command_id=1)]), pair.now)
    true = pair.base.datagrams_to_send(pair.now)
    for packet in true:
        pair.edge.receive(packet, pair.now)
    assert heard == [len(packet) for packet in true] and true
