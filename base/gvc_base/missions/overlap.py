"""What two bases both heard, and how far the clock of one was ahead of the other's.

    rows of an original -> deframer of its session -> (with a key: what it vouches for) -> datagrams
    the same datagram at both -> difference of their times of arrival -> its median along the flight

Radio waves take microseconds, so the difference is that of the clocks, and what the two computers and
radios took to hand the bytes over. Medians of short stretches follow drift and clocks that were set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gvc_base.archive_read import ArchiveReads, SessionRow
from gvc_protocol.auth import LinkKey, Opener
from gvc_protocol.framing import Deframer
from gvc_protocol.params import SECOND
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.wire import Datagram

__all__ = ["FIRST_CLOCK", "Clock", "Heard", "HeardRow", "clock_of", "heard_rows", "identity"]

_STALL_NS = 2 * SECOND
"As the receiver: what waits for its rest longer than this is looked through."
_PAGE_ROWS = 2048
_LEAST_MATCHES = 5
_STRETCHES = 2000
_LEAST_STRETCH = 9
_PAGES = (
    "SELECT id, session_id, received_ns, source, data FROM datagrams WHERE id > ?"
    " ORDER BY id LIMIT ?"
)
_CLOCKS = (
    "SELECT json_extract(detail, '$.edge_less_base_us') FROM events WHERE kind = 'clock'"
    " AND json_extract(detail, '$.authenticated') ORDER BY time_ns"
)


@dataclass(frozen=True, slots=True)
class HeardRow:
    """One row of an original, and the datagrams of cameras that it completed."""

    id: int
    session_id: int
    received_ns: int
    source: str
    data: bytes
    datagrams: tuple[tuple[Datagram, bytes], ...]
    "Each with its bytes, sync to CRC; with a key, only what that base believed with it."


def heard_rows(reads: ArchiveReads, key: LinkKey | None) -> Iterator[HeardRow]:
    """All rows of an archive in order, each with what it completed.

    Raises:
        UserError: the file is damaged.
    """
    ears = {row.id: _Ear(reads, row, key) for row in reads.sessions()}
    last = 0
    while rows := reads.fetch(_PAGES, (last, _PAGE_ROWS)):
        for row_id, session_id, received_ns, source, data in rows:
            found = ears[session_id].hear(data, received_ns)
            yield HeardRow(row_id, session_id, received_ns, source, data, found)
        last = rows[-1][0]


class _Ear:
    """One session's deframer, and its judge of what to believe."""

    def __init__(self, reads: ArchiveReads, row: SessionRow, key: LinkKey | None) -> None:
        self._deframer = Deframer(row.params.framing)
        own = key is not None and row.key_fingerprint == key.fingerprint
        guard = reads.replay_state(row.id) if own else ReplayGuard()
        self._opener = None if key is None else Opener(key, guard)
        self._last_ns = 0

    def hear(self, data: bytes, now: int) -> tuple[tuple[Datagram, bytes], ...]:
        items = []
        if self._deframer.pending and now >= self._last_ns + _STALL_NS:
            items = self._deframer.flush()
        self._last_ns = now
        items = [*items, *self._deframer.feed(data)]
        return tuple(
            (item, item.pack())
            for item in items
            if isinstance(item, Datagram) and not item.from_base and self._believed(item)
        )

    def _believed(self, datagram: Datagram) -> bool:
        return self._opener is None or isinstance(self._opener.open(datagram), Datagram)


def identity(packed: bytes) -> bytes:
    """Short name of a datagram's bytes: 12 bytes, no two alike within a mission."""
    return blake2b(packed, digest_size=12).digest()


@dataclass(slots=True)
class Heard:
    """What was heard of each datagram, by one base: enough to compare two. 24 bytes a datagram."""

    names: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    streams: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    "(stream, boot) heard in each session."
    counts: dict[int, int] = field(default_factory=dict)
    "Datagrams of each session."

    def add(self, row: HeardRow) -> None:
        """The next row."""
        for datagram, packed in row.datagrams:
            self.names.append(int.from_bytes(identity(packed)[:8], "big"))
            self.rows.append(row.id)
            self.times.append(row.received_ns)
            who = (datagram.stream_id, datagram.boot_id)
            self.streams.setdefault(row.session_id, set()).add(who)
            self.counts[row.session_id] = self.counts.get(row.session_id, 0) + 1


@dataclass(frozen=True, slots=True)
class Clock:
    """How far a base's clock was ahead of that of the first, by row of its archive."""

    rows: NDArray[np.int64]
    "First row of each stretch, rising."
    ahead_ns: NDArray[np.int64]
    about: str

    def corrected(self, row_id: int, time_ns: int) -> int:
        """The time by the first base's clock."""
        if not len(self.rows):
            return time_ns
        at = max(0, int(np.searchsorted(self.rows, row_id, side="right")) - 1)
        return time_ns - int(self.ahead_ns[at])

    @property
    def middle_ns(self) -> int:
        """Of the whole flight."""
        return int(np.median(self.ahead_ns)) if len(self.rows) else 0


_NONE = np.zeros(0, np.int64)
FIRST_CLOCK = Clock(_NONE, _NONE, "all times are told by it")


def clock_of(
    mine: Heard, reads: ArchiveReads, first: list[tuple[Heard, Clock]], first_reads: ArchiveReads
) -> Clock:
    """The clock of one base against the bases before it, whose clocks are known already.

    By datagrams that both heard; where there are too few, by what both know of the edge's clock
    (`clock` events that a key vouches for); where nothing tells, the clocks are taken to be equal.
    """
    found = _differences(mine, first)
    if len(found) >= _LEAST_MATCHES:
        return _stretches(found)
    edge = [_edge_less_base(one) for one in (first_reads, reads)]
    if edge[0] is not None and edge[1] is not None:
        ahead = round((edge[0] - edge[1]) * 1000)
        about = "by what both know of the edge's clock: too few datagrams came to both"
        return Clock(np.array([0]), np.array([ahead]), about)
    about = "not known: too few datagrams came to both, and nothing tells; taken as equal"
    return Clock(_NONE, _NONE, about)


def _differences(mine: Heard, first: list[tuple[Heard, Clock]]) -> NDArray[np.int64]:
    """int64[n, 2]: row of mine, and my time less the others', of datagrams that each heard once."""
    names = np.concatenate([np.array(h.names, np.uint64) for h, _ in first])
    times = np.array(
        [c.corrected(r, t) for h, c in first for r, t in zip(h.rows, h.times, strict=True)]
    )
    theirs, at, counts = np.unique(names, return_index=True, return_counts=True)
    theirs, at = theirs[counts == 1], at[counts == 1]
    own, own_at, own_counts = np.unique(
        np.array(mine.names, np.uint64), return_index=True, return_counts=True
    )
    own, own_at = own[own_counts == 1], own_at[own_counts == 1]
    _, a, b = np.intersect1d(theirs, own, assume_unique=True, return_indices=True)
    rows = np.array(mine.rows, np.int64)[own_at[b]]
    if not len(rows):
        return np.zeros((0, 2), np.int64)
    delta = np.array(mine.times, np.int64)[own_at[b]] - times[at[a]]
    order = np.argsort(rows, kind="stable")
    return np.stack([rows[order], delta[order]], axis=1)


def _stretches(found: NDArray[np.int64]) -> Clock:
    size = max(_LEAST_STRETCH, -(-len(found) // _STRETCHES))
    starts = range(0, max(1, len(found) - size // 2), size)
    parts = [found[i : i + size] for i in starts]
    ahead = np.array([int(np.median(part[:, 1])) for part in parts], np.int64)
    # A single stretch of false matches (a replay on the air) does not move the clock.
    if len(ahead) >= 3:
        padded = np.concatenate([ahead[:1], ahead, ahead[-1:]])
        ahead = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0).astype(
            np.int64
        )
    near = np.minimum(np.arange(len(found)) // size, len(ahead) - 1)
    spread = float(np.median(np.abs(found[:, 1] - ahead[near])))
    moved = (int(ahead.max()) - int(ahead.min())) / SECOND
    about = (
        f"by {len(found)} datagrams that came to both, half of them within {spread / 1e6:.1f} ms"
        + (f"; it moved by {moved:.3f} s in the flight" if moved > 0.001 else "")
    )
    return Clock(np.array([part[0, 0] for part in parts], np.int64), ahead, about)


def _edge_less_base(reads: ArchiveReads) -> float | None:
    values = [row[0] for row in reads.fetch(_CLOCKS) if isinstance(row[0], int)]
    return float(np.median(values)) if values else None
