"""How the mission stands, in one word, and what to do: pure, from what is known at a moment.

GOOD is said only where the base has just confirmed it. On a one-way radio, and until the first report,
the word is SENDING: it leaves, and nobody has said that it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gvc_edge.field.health import TOO_HOT_C, Machine
from gvc_edge.status import MissionFacts, MissionStatus

__all__ = ["Reason", "State", "Verdict", "judge"]

_SILENT_S, _SILENT_WINDOWS_S = 35.0, 75.0
"A base reports at least once in 30 s; in windows it may take two of them."
_UNHEARD_S, _UNHEARD_WINDOWS_S = 60.0, 150.0
_NO_PICTURE_S = 5.0
_LOSS, _SLOW = 0.3, 0.5
_TOO_BUSY = 0.98
_DISK_LEAST = 50 << 20
_RECENT_S = 30.0
"How long a drop keeps the word DEGRADED."


class State(Enum):
    """The words, with a shape each, so that colour is not needed: Unicode, ASCII."""

    STARTING = ("○", "[.]")
    SENDING = ("►", "[>]")
    GOOD = ("●", "[OK]")
    DEGRADED = ("▲", "[!]")
    NO_CAMERA = ("■", "[-]")
    LINK_DOWN = ("✖", "[X]")

    @property
    def word(self) -> str:
        """As it is shown."""
        return self.name.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong, and what to do."""

    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state first, others that hold too behind it; reasons, the worst first."""

    states: tuple[State, ...]
    reasons: tuple[Reason, ...] = ()


def judge(
    facts: MissionFacts, look: MissionStatus | None, *, now: float, began: float, loss: float | None,
    busy: float | None, dropped_at: float | None, waiting: dict[str, str], machine: Machine,
    free_bytes: int | None,
) -> Verdict:  # fmt: skip
    """Judge one moment.

    Args:
        look: the newest look at the run, None before the first.
        now, began: `time.monotonic` seconds; `began` of the sending.
        loss: share of packets that the base missed lately; None where it has not said.
        busy: share of the time that the encoder worked lately.
        dropped_at: when packets were last dropped here for want of rate.
        waiting: `camera` and `radio` -> why it is waited for; empty: it is there.
        free_bytes: of the disk with the state folder.
    """
    camera, radio = _camera(look, waiting, now), _radio(look, waiting, now)
    less = [
        *_air(facts, look, now, loss, dropped_at), *_base(facts, look, now, began),
        *_machine(look, machine, free_bytes, busy),
    ]  # fmt: skip
    states = []
    if radio is not None:
        states.append(State.LINK_DOWN)
    if camera is not None:
        states.append(State.NO_CAMERA)
    if not states:
        states.append(State.DEGRADED if less else _calm(look))
    gone = [r for r in (radio, camera) if r is not None]
    return Verdict(tuple(states), (*gone, *less))


def _calm(look: MissionStatus | None) -> State:
    if look is None or not look.packets:
        return State.STARTING
    return State.SENDING if look.reported_at is None else State.GOOD


def _camera(look: MissionStatus | None, waiting: dict[str, str], now: float) -> Reason | None:
    todo = "plug it in; check cable, power, lens. It goes on by itself"
    if why := waiting.get("camera"):
        return Reason(why.partition(";")[0], todo)
    if look is None:
        return None
    if look.camera_away:
        return Reason("the camera gives no picture", todo)
    since = look.waiting_for_camera_at
    if since is not None and now - since > _NO_PICTURE_S:
        return Reason(f"no picture for {now - since:.0f} s", todo)
    return None


def _radio(look: MissionStatus | None, waiting: dict[str, str], now: float) -> Reason | None:
    todo = "check the radio's cable and power. What waits is sent when it is back"
    if why := waiting.get("radio"):
        return Reason(why.partition(";")[0], todo)
    if look is not None and look.down_at is not None:
        return Reason(f"the radio is away for {now - look.down_at:.0f} s", todo)
    return None


def _air(
    facts: MissionFacts, look: MissionStatus | None, now: float, loss: float | None,
    dropped_at: float | None,
) -> list[Reason]:  # fmt: skip
    if look is None:
        return []
    found, aerial = [], "raise the antenna, free its sight to the base, come closer"
    if look.link_problem:
        found.append(Reason(f"radio: {look.link_problem}", "gvc-edge check, when it has landed"))
    if look.held_until is not None and look.held_until > now:
        wait = look.held_until - now
        found.append(Reason(
            f"the law's air time is used up, next packet in {wait:.0f} s",
            "wait; next time fewer bit/s (bps) or another band",
        ))  # fmt: skip
    if dropped_at is not None and now - dropped_at < _RECENT_S:
        found.append(
            Reason("more than the link takes: packets were dropped", f"lower bps; {aerial}")
        )
    if loss is not None and loss >= _LOSS:
        found.append(Reason(f"the base misses {100 * loss:.0f} of 100 packets", aerial))
    if look.closed_loop and look.rate_bps < _SLOW * facts.ceiling_bps:
        share = 100 * look.rate_bps / facts.ceiling_bps
        found.append(Reason(f"the link carries {share:.0f} % of its rate", aerial))
    return found


def _base(
    facts: MissionFacts, look: MissionStatus | None, now: float, began: float
) -> list[Reason]:
    if look is None or not facts.two_way or not look.packets:
        return []
    silent, unheard = _SILENT_S, _UNHEARD_S
    if facts.windows:
        silent, unheard = _SILENT_WINDOWS_S, _UNHEARD_WINDOWS_S
    todo = "ask the base by voice: does the picture come? Raise the antenna, come closer"
    if look.reported_at is None and now - began > unheard:
        return [Reason(f"no base heard in {now - began:.0f} s", todo)]
    if look.reported_at is not None and now - look.reported_at > silent:
        return [Reason(f"the base is silent for {now - look.reported_at:.0f} s", todo)]
    return []


def _machine(
    look: MissionStatus | None, machine: Machine, free_bytes: int | None, busy: float | None
) -> list[Reason]:
    found = []
    if busy is not None and busy > _TOO_BUSY:
        found.append(Reason(
            "the processor does not keep up: pictures are left out or come late",
            "a smaller picture or fewer frames/s, --objects none, --no-verify",
        ))  # fmt: skip
    if machine.throttled:
        found.append(
            Reason(f"processor: {machine.throttled}", "a better supply, shade, moving air")
        )
    elif machine.temperature_c is not None and machine.temperature_c >= TOO_HOT_C:
        found.append(Reason(f"{machine.temperature_c:.0f} °C", "shade, moving air"))
    if look is not None and look.spool_problem:
        found.append(
            Reason(look.spool_problem, "the video goes on; make room before the next start")
        )
    elif free_bytes is not None and free_bytes < _DISK_LEAST:
        found.append(Reason(f"{free_bytes >> 20} MiB of disk left", "make room"))
    return found
