"""The live screen: each state at 80x24, what stays at 40 columns, and that it holds nobody up."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from gvc_edge.field.board import Board
from gvc_edge.field.health import Machine
from gvc_edge.field.screen import draw, status_line
from gvc_edge.field.tellers import Plain, Screen, can_draw
from gvc_edge.field.verdict import State, judge
from gvc_edge.status import MissionFacts, MissionStatus
from tests.edge.boards import LOOK, NOW, REPORT, SITUATIONS, board_of

SCREENS = Path(__file__).with_name("screens")


def screen_of(situation: str, folder: Path, width: int, height: int, **how: bool) -> list[str]:
    view = board_of(situation, folder / "none")
    return [line.plain.rstrip() for line in draw(view, width, height, **how)]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_state_at_80x24(situation: str, tmp_path: Path) -> None:
    """Set GVC_WRITE_SCREENS=1 to write the texts anew after a deliberate change; then read them."""
    text = "\n".join(screen_of(situation, tmp_path, 80, 24)) + "\n"
    path = SCREENS / f"{situation}.txt"
    if os.environ.get("GVC_WRITE_SCREENS"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("size", [(80, 24), (40, 24), (40, 16), (120, 50), (60, 12)])
@pytest.mark.parametrize("unicode", [True, False])
def test_every_size_holds_state_reason_and_deed(
    situation: str, size: tuple[int, int], unicode: bool, tmp_path: Path
) -> None:
    width, height = size
    view = board_of(situation, tmp_path / "none")
    lines = [line.plain for line in draw(view, width, height, unicode=unicode)]
    assert len(lines) == height and max(map(cell_len, lines)) <= width
    for state in view.verdict.states:
        assert state.word in lines[0] and state.value[0 if unicode else 1] in lines[0]
    if not unicode:
        assert all(line.isascii() for line in lines)
    reasons = view.verdict.reasons
    assert any(line.startswith("WHY") for line in lines) == bool(reasons)
    assert any(line.startswith("DO") for line in lines) == bool(reasons)
    if height >= 24:
        assert any(line.startswith("trust") for line in lines)


def test_words_and_shapes_differ_without_colour() -> None:
    for side in (0, 1):
        assert len({state.value[side] for state in State}) == len(State)


def words(look: MissionStatus | None, **more: object) -> tuple[str, ...]:
    facts = replace(
        MissionFacts(), ceiling_bps=25_600, two_way=bool(more.pop("two_way", True)),
        windows=bool(more.pop("windows", False)),
    )  # fmt: skip
    given = {
        "now": NOW, "began": NOW - 500, "loss": None, "busy": None, "dropped_at": None, "waiting": {},
        "machine": Machine(), "free_bytes": 1 << 40, **more,
    }  # fmt: skip
    return tuple(s.word for s in judge(facts, look, **given).states)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("look", "more", "expected"),
    [
        (None, {}, ("STARTING",)),
        (replace(LOOK, packets=0), {}, ("STARTING",)),
        (LOOK, {}, ("GOOD",)),
        # GOOD is never said unless the base has just said so.
        (replace(LOOK, reported_at=None), {"began": NOW - 59}, ("SENDING",)),
        (replace(LOOK, reported_at=None), {}, ("DEGRADED",)),
        (replace(LOOK, reported_at=None), {"two_way": False}, ("SENDING",)),
        (replace(LOOK, reported_at=NOW - 36), {}, ("DEGRADED",)),
        (replace(LOOK, reported_at=NOW - 36), {"windows": True}, ("GOOD",)),
        (LOOK, {"loss": 0.29}, ("GOOD",)),
        (LOOK, {"loss": 0.3}, ("DEGRADED",)),
        (LOOK, {"busy": 0.97}, ("GOOD",)),
        (LOOK, {"busy": 0.99}, ("DEGRADED",)),
        (LOOK, {"dropped_at": NOW - 29}, ("DEGRADED",)),
        (LOOK, {"dropped_at": NOW - 31}, ("GOOD",)),
        (replace(LOOK, rate_bps=12_000), {}, ("DEGRADED",)),
        (replace(LOOK, rate_bps=12_000, closed_loop=False), {}, ("GOOD",)),
        (replace(LOOK, link_problem="no GNSS fix"), {}, ("DEGRADED",)),
        (replace(LOOK, held_until=NOW + 5), {}, ("DEGRADED",)),
        (replace(LOOK, spool_problem="spool is full"), {}, ("DEGRADED",)),
        (LOOK, {"machine": Machine(86.0)}, ("DEGRADED",)),
        (LOOK, {"machine": Machine(70.0, "slowed down by heat")}, ("DEGRADED",)),
        (LOOK, {"free_bytes": 1 << 20}, ("DEGRADED",)),
        (replace(LOOK, down_at=NOW - 1), {}, ("LINK DOWN",)),
        (replace(LOOK, camera_away=True), {}, ("NO CAMERA",)),
        (replace(LOOK, waiting_for_camera_at=NOW - 6), {}, ("NO CAMERA",)),
        (replace(LOOK, waiting_for_camera_at=NOW - 1), {}, ("GOOD",)),
        (replace(LOOK, camera_away=True, down_at=NOW), {"loss": 0.9}, ("LINK DOWN", "NO CAMERA")),
        (None, {"waiting": {"camera": "none", "radio": ""}}, ("NO CAMERA",)),
    ],
)  # fmt: skip
def test_the_word(
    look: MissionStatus | None, more: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert words(look, **more) == expected


def test_losses_are_those_since_the_last_report_and_counters_wrap(tmp_path: Path) -> None:
    board = Board(tmp_path, clock=lambda: NOW, root=tmp_path)
    for received, lost, expected in (
        (65_000, 300, 300 / 65_300), (100, 364, 64 / 700), (102, 364, 64 / 700), (112, 367, 3 / 15),
    ):  # fmt: skip
        report = replace(REPORT, received=received, lost=lost)
        board.tick(replace(LOOK, report=report))
        assert board.view().loss == pytest.approx(expected)


def test_plain_lines_say_the_state_when_it_changes_and_all_now_and_then(tmp_path: Path) -> None:
    said: list[str] = []
    time = [NOW]
    board = Board(tmp_path, clock=lambda: time[0], root=tmp_path)
    teller = Plain(board, said.append, clock=lambda: time[0])
    for after, look in (
        (0.0, LOOK), (0.5, LOOK), (1.0, replace(LOOK, down_at=NOW + 1)), (1.5, LOOK), (10.5, LOOK),
    ):  # fmt: skip
        time[0] = NOW + after
        board.tick(replace(look, reported_at=time[0], at=time[0], idle_s=after / 2))
        teller.changed()
    assert [line.split(" | ")[0].split(";")[0] for line in said] == [
        "state: GOOD", "state: LINK DOWN", "state: GOOD", "GOOD",
    ]  # fmt: skip
    assert all("\n" not in line for line in said) and "-> check the radio" in said[1]
    quiet = Plain(board, said.clear, status=False)  # type: ignore[arg-type]
    quiet.changed()
    assert said


class Stalled(io.StringIO):
    """A terminal that takes nothing: Ctrl-S, or an ssh whose network is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.freed = threading.Event(), threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, _text: str) -> int:
        self.asked.set()
        self.freed.wait(30)
        return 0


def test_a_terminal_that_stands_still_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gvc_edge.field.tellers._PATIENCE_S", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    stalled = Stalled()
    board = Board(tmp_path, root=tmp_path)
    with Screen(board, stalled) as screen:
        assert stalled.asked.wait(20)
        for number in range(200):
            board.tick(replace(LOOK, packets=number))
            screen.say(f"line {number}")
            screen.changed()
    assert board.view().look == replace(LOOK, packets=199)
    stalled.freed.set()


def test_only_terminals_get_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Stalled()
    monkeypatch.setenv("TERM", "xterm")
    assert can_draw(terminal) and not can_draw(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_draw(terminal)


def test_one_line_for_the_log(tmp_path: Path) -> None:
    line = status_line(board_of("waiting-for-both", tmp_path / "none"))
    assert line.startswith("LINK DOWN + NO CAMERA | ") and "\n" not in line
