"""Missions as boards: one for each state that the live screen can show, on a clock that stands still."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gvc_edge.field.board import Board, View
from gvc_edge.field.health import Machine
from gvc_edge.status import MissionFacts, MissionStatus
from gvc_protocol.reports import Report

__all__ = ["NOW", "SITUATIONS", "board_of"]

NOW = 5000.0
_WALL = 1_795_000_000.0

FACTS = MissionFacts(
    stream=1, boot=42, profile="sik-64", radio="SiK", link="serial:/dev/ttyUSB0", ceiling_bps=25600,
    label="authenticated (key 7K2Q-M9XD-04TR)", encrypted=True, source="/dev/video0",
    size=(1280, 720), fps=30, unit_s=2,
)  # fmt: skip
REPORT = Report(
    boot_id=42, seq=900, heard_at=1, age=0, received=880, lost=20, bursts=9, repaired=14, whole=200,
    degraded=2, rssi_dbm=-71, noise_dbm=-104,
)  # fmt: skip
LOOK = MissionStatus(
    at=NOW, air_bytes=2_403_200, packets=10_412, rate_bps=24_320, fec_percent=30, closed_loop=True,
    ladder=0, frames=22_590, idle_s=300.0, queue_bytes=3_400, report=REPORT, reported_at=NOW - 2,
    reports=370,
)  # fmt: skip
BAND = "865-868 MHz"
_SENT_BPS = {"degraded-losses": 8_900, "degraded-airtime": 90, "link-down": 0}

SITUATIONS = (
    "starting", "good", "sending-one-way", "degraded-losses", "degraded-base-silent",
    "degraded-airtime", "degraded-processor", "link-down", "no-camera",
    "waiting-for-both", "unauthenticated",
)  # fmt: skip


def board_of(situation: str, state: Path) -> View:
    """The view of a situation by its name; nothing in it depends on the machine or the time."""
    time = [NOW - 753.0]
    board = Board(state, clock=lambda: time[0], wall=lambda: _WALL + time[0] - NOW, root=state)
    if situation not in ("starting", "waiting-for-both"):
        _begin(board, situation)
        time[0] = NOW - 8
        sent = _SENT_BPS.get(situation, 24_100)
        board.tick(replace(LOOK, at=NOW - 8, air_bytes=LOOK.air_bytes - sent, idle_s=294.9))
        time[0] = NOW - 3
        board.note("asked", "a fresh keyframe")
        board.say("the base asks for a keyframe")
        board.note("message", "come home")
        board.note("said", "we turn back")
        board.say("message from the base: come home")
        if situation != "good":
            board.note("delivered", "we turn back")
    time[0] = NOW
    _happen(board, situation)
    return replace(board.view(), free_bytes=12_300_000_000, machine=Machine(61.0))


def _begin(board: Board, situation: str) -> None:
    facts = FACTS
    if situation == "sending-one-way":
        facts = replace(FACTS, two_way=False, profile="wfb-ng", link="udp://10.5.0.1:5602")
    elif situation == "unauthenticated":
        facts = replace(FACTS, label="unauthenticated", encrypted=False)
    elif situation == "degraded-airtime":
        facts = replace(FACTS, ceiling_bps=130.0, unit_s=60, two_way=True, windows=True)
    board.facts(facts)
    board.say(f"sending on {facts.link}, stream 1, boot 42, {facts.label}")


def _happen(board: Board, situation: str) -> None:
    one_way = replace(LOOK, report=None, reported_at=None, closed_loop=False, rate_bps=25_600)
    looks = {
        "good": LOOK,
        "sending-one-way": one_way,
        "degraded-losses": replace(
            LOOK, rate_bps=9_200, ladder=2, fec_percent=120, interleave=1, dropped=31,
            report=replace(REPORT, received=1240, lost=420), queue_bytes=14_100,
        ),
        "degraded-base-silent": replace(LOOK, reported_at=NOW - 187, closed_loop=False),
        "degraded-airtime": replace(
            LOOK, rate_bps=130, ladder=3, airtime_used=0.998, airtime_band=BAND,
            held_until=NOW + 412, queue_bytes=900, closed_loop=False, air_bytes=2_403_200,
        ),
        "degraded-processor": replace(LOOK, idle_s=294.93, ladder=None),
        "link-down": replace(LOOK, down_at=NOW - 14, queue_bytes=48_300),
        "no-camera": replace(LOOK, camera_away=True, queue_bytes=0),
        "unauthenticated": LOOK,
    }  # fmt: skip
    if situation in looks:
        board.tick(looks[situation])
    elif situation == "waiting-for-both":
        board.say("waiting for the camera: no such camera: /dev/video0; see `ls /dev/video*`")
        board.waiting("camera", "no such camera: /dev/video0; see `ls /dev/video*`")
        board.waiting("radio", "cannot open link serial:/dev/ttyUSB0: No such file; plug it in")
