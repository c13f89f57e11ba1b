"""A camera that is pulled in mid-run and put back: told, shown, and the mission goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gvc_edge.field.board import Board
from gvc_edge.live import LiveRun
from gvc_edge.paced import PcapLink
from gvc_edge.pipeline import make_pipeline
from gvc_edge.sources import live
from gvc_edge.sources.live import _LiveSource
from gvc_edge.state import PcapFile
from gvc_edge.status import MissionFacts, MissionStatus, Watcher
from gvc_profiles import load
from gvc_profiles.clock import steady_clock
from gvc_profiles.params import link_params

FPS = 20


class Pulled(_LiveSource):
    """Gives pictures, is away for two tries, gives pictures again until it is closed."""

    def __init__(self, say: Any) -> None:
        super().__init__(None, say)
        self._describe("a camera", (96, 64), Fraction(FPS), False)
        self.sessions, self.gone = 0, threading.Event()

    def _session(self) -> Iterator[Any]:
        self.sessions += 1
        if self.sessions in (2, 3):
            self.gone.wait(1)  # long enough for a look at it
            raise OSError("no such device")
        for number in range(FPS if self.sessions == 1 else 10_000):
            if self._closed.wait(1 / FPS):
                return
            yield np.full((64, 96, 3), 40 + number % 100, np.uint8)


def test_it_is_seen_told_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_RETRY_S", 0.05)
    board = Board(tmp_path, root=tmp_path)
    board.facts(MissionFacts(two_way=False))
    source = Pulled(board.say)
    words: list[str] = []

    def tick(look: MissionStatus) -> None:
        board.tick(look)
        word = board.view().verdict.states[0].word
        if not words or words[-1] != word:
            words.append(word)
        if "NO CAMERA" in words:
            source.gone.set()
            if word == "SENDING" and look.frames > 2 * FPS:
                mission.stop()

    params = link_params(load("udp"), bps=60_000, fec="off")
    pipeline = make_pipeline(
        source, "udp", params, latency=0.5, codec="classical", objects="none", live=True,
        verify=False,
    )  # fmt: skip
    link = PcapLink(PcapFile(tmp_path / "x.pcap"), steady_clock())
    mission = LiveRun(
        source, pipeline, params, link, None, stream_id=1, boot_id=1, say=board.say,
        watcher=Watcher(tick=tick),
    )  # fmt: skip
    report = mission.run()
    assert words[0] == "STARTING" and words[-2:] == ["NO CAMERA", "SENDING"], words
    assert report.frames > 2 * FPS and source.sessions == 4
    log = [said.text for said in board.view().log]
    assert [line.split(" ")[-1] for line in log if line.startswith("camera a camera")] == [
        "s", "back",
    ]  # fmt: skip
