"""The link of a camera at a recorded moment: samples that the base kept, health, places to jump to."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator

from gvc_base.archive_read import ArchiveReads
from gvc_base.console.view import Health, LinkSample
from gvc_base.replay.index import Drone, IndexedUnit
from gvc_base.station.samples import LinkSamples, UnitCount
from gvc_protocol.params import SECOND

__all__ = ["LinkHistory", "distrusted", "loss_times"]

_SAMPLES = (
    "SELECT time_ns, bit_s, loss, loss_repaired, burst, rssi_dbm, noise_dbm, airtime_left_s,"
    " ladder_step, rate_bps, fec_percent, since_good_s FROM link_samples"
    " WHERE session_id = ? AND stream_id = ? AND time_ns > ? AND time_ns <= ? ORDER BY time_ns"
)
_MARKS = (
    "SELECT boot_id, unit_no FROM marks WHERE session_id = ? AND stream_id = ?"
    " AND (p_wrong >= ? OR regenerated + lost >= ?)"
)
_WINDOW_NS = 70 * SECOND
_KEPT_NS = 3600 * SECOND
_NOW_NS = 3 * SECOND
_MOST_HOURS = 4
_WRONG, _NOTHING_BEHIND = 0.5, 0.5
"From here on a unit is of low trust: half of it likely wrong, or half of it without anything received."


class LinkHistory:
    """Of one camera."""

    def __init__(self, archive: ArchiveReads, drone: Drone) -> None:
        self._archive, self._drone = archive, drone
        self._sessions = list(dict.fromkeys(unit.session_id for unit in drone.units))
        self._kept = archive.version >= 3
        self._mutex = threading.Lock()
        self._hours: OrderedDict[int, tuple[LinkSample, ...]] = OrderedDict()

    def rows(self, since_ns: int, until_ns: int) -> tuple[LinkSample, ...]:
        """Samples later than `since_ns`, of the last hour, as far as the base kept any."""
        since = max(since_ns, until_ns - _KEPT_NS)
        hours = range(since // _KEPT_NS, until_ns // _KEPT_NS + 1)
        return tuple(s for hour in hours for s in self._hour(hour) if since < s.time_ns <= until_ns)

    def _hour(self, hour: int) -> tuple[LinkSample, ...]:
        """Samples of one hour of the clock, in order. They are asked for many times a second, so the
        last few hours stay in memory."""
        if not self._kept:
            return ()
        with self._mutex:
            if hour not in self._hours:
                while len(self._hours) >= _MOST_HOURS:
                    self._hours.popitem(last=False)
                self._hours[hour] = self._read(hour)
            return self._hours[hour]

    def _read(self, hour: int) -> tuple[LinkSample, ...]:
        first = hour * _KEPT_NS
        found = [
            LinkSample(**dict(zip(LinkSample.__dataclass_fields__, row, strict=True)))
            for session in self._sessions
            for row in self._archive.fetch(
                _SAMPLES, (session, self._drone.stream_id, first - 1, first + _KEPT_NS - 1)
            )
        ]
        return tuple(sorted(found, key=lambda sample: sample.time_ns))

    def now(self, time_ns: int) -> LinkSample | None:
        """The newest sample, if it is of this moment."""
        for hour in (time_ns // _KEPT_NS, (time_ns - _NOW_NS) // _KEPT_NS):
            rows = self._hour(hour)
            at = bisect_right(rows, time_ns, key=lambda sample: sample.time_ns) - 1
            if at >= 0:
                return rows[at] if rows[at].time_ns > time_ns - _NOW_NS else None
        return None

    def health(self, time_ns: int, unit_s: float) -> Health:
        """As the live base judged it, from the units of the last minute."""
        at = self._drone.at(time_ns)
        if at < 0:
            return "waiting"
        first = self._drone.at(time_ns - _WINDOW_NS) + 1
        samples = LinkSamples()
        samples.unit_s = unit_s
        before: IndexedUnit | None = None
        for unit in self._drone.units[max(0, min(first, at - 2)) : at + 1]:
            same = before is not None and before.boot_id == unit.boot_id
            if same and before is not None and unit.unit_no > before.unit_no + 1:
                samples.unit(UnitCount(unit.closed_ns, False, True))
            samples.unit(UnitCount(unit.closed_ns, unit.whole, False))
            before = unit
        return samples.health(time_ns)


def loss_times(drone: Drone) -> Iterator[int]:
    """When losses began: a unit that was not whole or never came, after one that was in order."""
    newest: dict[tuple[int, int], int] = {}
    short = False
    for unit in drone.units:
        key = (unit.session_id, unit.boot_id)
        bad = not unit.whole or unit.unit_no > newest.get(key, unit.unit_no - 1) + 1
        if bad and not short:
            yield unit.closed_ns
        short = bad
        newest[key] = unit.unit_no


def distrusted(archive: ArchiveReads, drone: Drone) -> Iterator[int]:
    """When low trust began, by the marks that the base kept of what it showed; where it kept none, by
    units that could hold no picture."""
    low: set[tuple[int, int, int]] = set()
    marked: set[int] = set()
    if archive.version >= 3:
        for session in dict.fromkeys(unit.session_id for unit in drone.units):
            about = (session, drone.stream_id)
            if archive.fetch(
                "SELECT 1 FROM marks WHERE session_id = ? AND stream_id = ? LIMIT 1", about
            ):
                marked.add(session)
            for boot, unit_no in archive.fetch(_MARKS, (*about, _WRONG, _NOTHING_BEHIND)):
                low.add((session, boot, unit_no))
    before = False
    for unit in drone.units:
        known = (unit.session_id, unit.boot_id, unit.unit_no) in low
        now = known if unit.session_id in marked else not unit.described
        if now and not before:
            yield unit.closed_ns
        before = now
