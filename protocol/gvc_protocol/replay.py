"""Which datagrams were believed already: so that what was recorded on the air is not believed again.

Per stream and direction, the highest boot and of it the highest sequence number and the 1024 numbers up
to it. Nothing in here moves until the tag was verified, so a forger cannot push the window forward.
The state goes out and comes back as plain values, for whoever keeps it on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from gvc_protocol.wire import SEQ_BITS, nearest

__all__ = ["REPLAY_WINDOW", "Freshness", "ReplayGuard"]

REPLAY_WINDOW = 1024
_FIRST_HEARD_WRAPS = 16
"""How many times a boot's sequence may have wrapped before its first datagram is heard here: 2^28
datagrams, 60 days at 50 a second."""

_MASK = (1 << REPLAY_WINDOW) - 1
_FORMAT = 1
_MAX_SEQ = (1 << 64) - 1


class Freshness(Enum):
    """What a verified number is to us."""

    NEW = auto()
    SEEN = auto()
    "A repeat of what was believed: a mesh's second copy, or a replay within the window."
    OLD = auto()
    "Of an earlier boot, or older than the window."


@dataclass(slots=True)
class _Heard:
    boot_id: int
    highest: int
    seen: int
    "Bit i: number highest - i was believed."


class ReplayGuard:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._heard: dict[tuple[int, bool], _Heard] = {}
        self.changes = 0
        "Goes up with every number that was accepted: whether there is something to save."

    def candidates(self, stream_id: int, from_base: bool, boot_id: int, low: int) -> list[int]:
        """Full sequence numbers that these low bits may stand for; none for an earlier boot."""
        heard = self._heard.get((stream_id, from_base))
        if heard is not None and boot_id < heard.boot_id:
            return []
        if heard is not None and boot_id == heard.boot_id:
            return [min(nearest(low, SEQ_BITS, heard.highest + 1), _MAX_SEQ)]
        return [low + (i << SEQ_BITS) for i in range(_FIRST_HEARD_WRAPS)]

    def accept(self, stream_id: int, from_base: bool, boot_id: int, seq: int) -> Freshness:
        """Note a full sequence number. Call it only once the tag was verified."""
        key = (stream_id, from_base)
        heard = self._heard.get(key)
        if heard is None or boot_id > heard.boot_id:
            self._heard[key] = _Heard(boot_id=boot_id, highest=seq, seen=1)
            self.changes += 1
            return Freshness.NEW
        if boot_id < heard.boot_id:
            return Freshness.OLD
        ahead = seq - heard.highest
        if ahead > 0:
            heard.seen = (heard.seen << min(ahead, REPLAY_WINDOW) | 1) & _MASK
            heard.highest = seq
        elif -ahead >= REPLAY_WINDOW:
            return Freshness.OLD
        elif heard.seen >> -ahead & 1:
            return Freshness.SEEN
        else:
            heard.seen |= 1 << -ahead
        self.changes += 1
        return Freshness.NEW

    def merge(self, other: ReplayGuard) -> None:
        """Know what the other one knows, too."""
        for key, theirs in other._heard.items():
            mine = self._heard.get(key)
            if mine is None or theirs.boot_id > mine.boot_id:
                self._heard[key] = replace(theirs)
            elif theirs.boot_id == mine.boot_id:
                top = max(mine.highest, theirs.highest)
                seen = [h.seen << min(top - h.highest, REPLAY_WINDOW) for h in (mine, theirs)]
                self._heard[key] = replace(mine, highest=top, seen=(seen[0] | seen[1]) & _MASK)

    def export(self) -> dict[str, object]:
        """The state as values that JSON takes."""
        rows = [
            [stream_id, from_base, h.boot_id, h.highest, f"{h.seen:x}"]
            for (stream_id, from_base), h in sorted(self._heard.items())
        ]
        return {"format": _FORMAT, "window": REPLAY_WINDOW, "heard": rows}

    @classmethod
    def restore(cls, state: object) -> ReplayGuard:
        """The guard that `export` wrote.

        Raises:
            ValueError: it is no such state. Nothing is guessed: with less, old datagrams would pass.
        """
        if not isinstance(state, Mapping):
            raise ValueError("no object")
        if (state.get("format"), state.get("window")) != (_FORMAT, REPLAY_WINDOW):
            raise ValueError("of another format")
        rows, guard = state.get("heard"), cls()
        if not isinstance(rows, list):
            raise ValueError("no list of streams")
        for row in rows:
            key, heard = _read_row(row)
            guard._heard[key] = heard
        return guard


def _read_row(row: object) -> tuple[tuple[int, bool], _Heard]:
    if not isinstance(row, list) or [type(v) for v in row] != [int, bool, int, int, str]:
        raise ValueError(f"stream {row!r:.80} is no row")
    stream_id, from_base, boot_id, highest, text = row
    seen = int(text, 16)
    good = 0 <= stream_id <= 0xFFFF and 0 <= boot_id <= 0xFFFF and 0 <= highest <= _MAX_SEQ
    if not (good and 0 < seen <= _MASK and seen & 1):
        raise ValueError(f"stream {stream_id} has numbers out of range")
    return (stream_id, from_base), _Heard(boot_id=boot_id, highest=highest, seen=seen)
