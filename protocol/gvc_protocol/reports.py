"""The base's report on the link: a few bytes, so that a slow radio can afford one every second or two.

Counts are running totals, low bits only: a report that is lost costs nothing, the next one says it all.
`gvc_protocol.adapt` turns reports into a setting.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.records import RecordKind
from gvc_protocol.varint import VarintError, pull_varint, push_varint

__all__ = [
    "MAX_ARRIVALS", "REPORT_SHARE", "TICK_NS", "Arrival", "Arrivals", "Reception", "Report",
    "report_period_ns",
]  # fmt: skip

TICK_NS = 10_000_000
"Times in a report are counted in these steps of 10 ms."

_FIXED = struct.Struct(">HBHHHHHHBBB")
"Boot, sequence (high, low), time, received, lost, bursts, repaired, whole, degraded, queue."
_MAX_AGE = 0xFFFF
MAX_ARRIVALS = 8
_BACK = (1, 4, 8, 13, 20, 30)
"Which earlier arrivals are told: newest ones close together, for the link may just have changed."
_MAX_BACK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the base heard of one boot of one edge so far. All integers wrap at their width."""

    kind: ClassVar[RecordKind] = RecordKind.REPORT
    boot_id: int
    seq: int
    "Highest sequence number heard, low 24 bits."
    heard_at: int
    "When it came, by the base's clock, in ticks, low 16 bits."
    age: int
    "How long ago that was when this report was made, in ticks; 65535 stands for longer, too."
    received: int
    "Datagrams, low 16 bits."
    lost: int
    "Sequence numbers passed over, low 16 bits."
    bursts: int
    "Gaps in the numbers, low 16 bits: lost / bursts is the mean burst."
    repaired: int
    "Data symbols that parity made good, low 16 bits."
    whole: int
    degraded: int
    "Units closed so far, low 8 bits."
    queue: int = 0
    "Units that wait for the base's decoder, at most 255."
    rssi_dbm: int | None = None
    noise_dbm: int | None = None
    "Of the base's radio, -255..0; both or none."

    def pack(self) -> bytes:
        """Value of the record. Raises LocalProtocolError when a field does not fit."""
        try:
            out = bytearray(
                _FIXED.pack(
                    self.boot_id, self.seq >> 16 & 0xFF, self.seq & 0xFFFF, self.heard_at & 0xFFFF,
                    self.received & 0xFFFF, self.lost & 0xFFFF, self.bursts & 0xFFFF,
                    self.repaired & 0xFFFF, self.whole & 0xFF, self.degraded & 0xFF,
                    min(255, self.queue),
                )
            )  # fmt: skip
        except struct.error as error:
            raise LocalProtocolError(f"report field out of range: {error}") from error
        push_varint(out, min(self.age, _MAX_AGE))
        if self.rssi_dbm is not None and self.noise_dbm is not None:
            out += bytes(min(255, max(0, -v)) for v in (self.rssi_dbm, self.noise_dbm))
        return bytes(out)

    @classmethod
    def unpack(cls, data: bytes) -> Report:
        """Read the value. Raises VarintError or struct.error inside this package."""
        boot, high, low, heard, received, lost, bursts, repaired, whole, degraded, queue = (
            _FIXED.unpack_from(data)
        )
        age, at = pull_varint(data, _FIXED.size)
        if len(data) - at not in (0, 2) or age > _MAX_AGE:
            raise VarintError("report of another length")
        rssi, noise = (-data[at], -data[at + 1]) if len(data) > at else (None, None)
        return cls(
            boot_id=boot, seq=high << 16 | low, heard_at=heard, age=age, received=received,
            lost=lost, bursts=bursts, repaired=repaired, whole=whole, degraded=degraded,
            queue=queue, rssi_dbm=rssi, noise_dbm=noise,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When some datagrams before a report's highest one came; in one message with that report.

    `steps`, newest first, at most `MAX_ARRIVALS`: each one from the arrival before (the first from the
    report's highest) back to an earlier one, as (numbers back, ticks back, of these numbers lost).
    """

    kind: ClassVar[RecordKind] = RecordKind.ARRIVALS
    steps: tuple[tuple[int, int, int], ...]

    def pack(self) -> bytes:
        """Value of the record. Raises LocalProtocolError when a field does not fit."""
        out = bytearray()
        for back, ticks, lost in self.steps:
            if not (0 < back < _MAX_BACK and 0 <= ticks <= _MAX_AGE and 0 <= lost < back):
                raise LocalProtocolError(f"arrival out of range: {back}, {ticks}, {lost}")
            for value in (back, ticks, lost):
                push_varint(out, value)
        if not 0 < len(self.steps) <= MAX_ARRIVALS:
            raise LocalProtocolError(f"{len(self.steps)} arrivals in one record")
        return bytes(out)

    @classmethod
    def unpack(cls, data: bytes) -> Arrivals:
        """Read the value. Raises VarintError inside this package."""
        at, steps = 0, []
        while at < len(data):
            back, at = pull_varint(data, at)
            ticks, at = pull_varint(data, at)
            lost, at = pull_varint(data, at)
            if not (0 < back < _MAX_BACK and ticks <= _MAX_AGE and lost < back):
                raise VarintError("arrival out of range")
            steps.append((back, ticks, lost))
        if not 0 < len(steps) <= MAX_ARRIVALS:
            raise VarintError("too many arrivals, or none")
        return cls(tuple(steps))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A datagram that raised the highest number; counts as they were with it."""

    seq: int
    heard_ns: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What a receiver knows of one stream and boot; times in nanoseconds of its own clock."""

    boot_id: int
    highest_seq: int
    heard_ns: int
    "When the highest number came."
    received: int
    lost: int
    bursts: int
    repaired: int
    whole: int
    degraded: int
    arrivals: tuple[Arrival, ...] = ()
    "The last ones, oldest first; the newest is the highest number's."

    def earlier(self, room_bytes: int) -> Arrivals | None:
        """Arrivals before the highest, as many as fit into so many bytes; None where none does."""
        steps: list[tuple[int, int, int]] = []
        known = self.arrivals[::-1]
        if not known:
            return None
        before = known[0]
        for place in _BACK:
            if place >= len(known):
                break
            one = known[place]
            ticks = before.heard_ns // TICK_NS - one.heard_ns // TICK_NS
            step = (before.seq - one.seq, ticks, max(0, before.lost - one.lost))
            if not (0 < step[0] < _MAX_BACK and 0 <= ticks <= _MAX_AGE and step[2] < step[0]):
                break
            if len(Arrivals((*steps, step)).pack()) > room_bytes:
                break
            steps.append(step)
            before = one
        return Arrivals(tuple(steps)) if steps else None

    def report(
        self, now: int, *, queue: int = 0, rssi_dbm: int | None = None, noise_dbm: int | None = None
    ) -> Report:
        """The report to send at `now`."""
        return Report(
            boot_id=self.boot_id, seq=self.highest_seq & 0xFFFFFF,
            heard_at=self.heard_ns // TICK_NS & 0xFFFF,
            age=min(_MAX_AGE, max(0, now - self.heard_ns) // TICK_NS),
            received=self.received & 0xFFFF, lost=self.lost & 0xFFFF,
            bursts=self.bursts & 0xFFFF, repaired=self.repaired & 0xFFFF,
            whole=self.whole & 0xFF, degraded=self.degraded & 0xFF, queue=queue,
            rssi_dbm=rssi_dbm, noise_dbm=noise_dbm,
        )  # fmt: skip


REPORT_SHARE = 0.05
"Of the link's rate, for reports."
_PERIOD_NS = (1_000_000_000, 30_000_000_000)


def report_period_ns(rate_bps: float, report_air_bytes: int) -> int:
    """How often a report may go, so that reports take `REPORT_SHARE` of the rate at most; never more
    often than each second, and at least each half minute."""
    wanted = int(report_air_bytes * 8e9 / (REPORT_SHARE * rate_bps))
    return min(_PERIOD_NS[1], max(_PERIOD_NS[0], wanted))
