"""What is on a drone's screen, asked for and never waited for, and since when nothing new is."""

from __future__ import annotations

from gvc_base.console.view import DroneState, Shown, StationView
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import AGE_UNKNOWN_MS, Mark

__all__ = ["Watched", "is_new"]

_LOOK_S = 1.0
"How often it is asked which drones there are."
_SILENT_S = 2.0
"A picture is up to a unit late and then held: below this nobody needs to be told."


def is_new(frame: DecodedFrame) -> bool:
    """Whether anything of this moment was received: not all of it is held or made up."""
    return bool((frame.mark < Mark.REGENERATED).any())


def _held_from(frame: DecodedFrame, now: float) -> float:
    """Monotonic time of the moment of a picture that is all held; 0 where it is not, or unknown."""
    age_ms = int(frame.age_ms.min())
    if age_ms == AGE_UNKNOWN_MS or not bool((frame.mark == Mark.LOST).all()):
        return 0.0
    return now - age_ms / 1000


class Watched:
    """The newest picture of a drone, and since when there was none."""

    def __init__(self, view: StationView, wanted: str | None) -> None:
        self._view = view
        self.drone = wanted or ""
        self.label = ""
        self.shown: Shown | None = None
        self.state: DroneState | None = None
        "None until the drone was heard."
        self._key: tuple[int, int, int] | None = None
        self.new = 0
        "Counts pictures of which something was received."
        self._new_at = self._held_from = 0.0
        self._look_at = 0.0

    def look(self, now: float) -> None:
        """Take what is on the screen at monotonic time `now`, without waiting.

        Raises:
            UserError: the view cannot be read.
        """
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            self._who()
        if self.state is None:
            return
        after = -1 if self.shown is None else self.shown.serial
        newer = self._view.shown(self.drone, after=after)
        if newer is None:
            return
        self.shown = newer
        frame = newer.frame
        key = (newer.boot_id, frame.unit_no, frame.frame_no)
        if key != self._key and is_new(frame):
            self._key, self._new_at = key, now
            self.new += 1
        self._held_from = _held_from(frame, now)

    def silent_s(self, now: float) -> float | None:
        """Seconds without a new picture; None while they come, and before the first."""
        # A picture that came too late to be shown as new is held from its own moment, as in the legend.
        silent = now - max(self._new_at, self._held_from)
        return silent if self.shown is not None and silent >= _SILENT_S else None

    def _who(self) -> None:
        states = self._view.drones()
        if self.drone == "" and states:
            self.drone = states[0].drone_id
        self.state = next((s for s in states if s.drone_id == self.drone), None)
        self.label = self._view.base().label if self.state is None else self.state.label
