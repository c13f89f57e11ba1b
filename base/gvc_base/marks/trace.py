"""From a tile to the datagrams that it was made from: the record is received again, and watched.

    (unit, boot, part) of a tile -> which parts of that unit were decoded for it
    recording -> receiver -> each datagram filed for those parts, with its row of the archive
The parity of a part counts, too: a lost symbol was computed from it. Pixels that were asked for, and
units that were sent again, came in messages; then it is the datagrams of those messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from gvc_base.archive import Archive
from gvc_base.recording import Recording
from gvc_protocol.auth import LinkKey
from gvc_protocol.codec import CodecId, ReceivedUnit
from gvc_protocol.events import MessageReady, ReceiverEvent, UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.marks import SourcePart
from gvc_protocol.messages import RegionAnswer, UnitAnswer, unpack_message
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard
from gvc_protocol.wire import UNIT_BITS, Datagram, WirePart

__all__ = ["Origin", "Packet", "trace"]

_LOW = (1 << UNIT_BITS) - 1
_READS_KEPT = 64
"Reads of a byte stream that one datagram may be spread over."


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What `source_boot`, `source_unit` and `source_part` say of a tile."""

    boot_id: int
    unit_no: int
    part: SourcePart


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One received datagram of the recording."""

    rows: tuple[int, ...]
    """Rows of the archive's table `datagrams` (or records of the capture, counted from 1) that hold it:
    one packet, or the reads of a byte stream that it lies in."""
    time_ns: int
    stream_id: int
    boot_id: int
    part: WirePart
    number: int
    "Unit, or message where the part is MESSAGE; its low 16 bits as sent."
    block_no: int
    symbol: int
    k: int
    "Symbols of the block that hold data; from `symbol` = k on it is parity."
    size: int
    "Bytes, sync to CRC."


class _Reads:
    """Which rows a datagram lies in."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._reads: deque[tuple[int, bytes]] = deque(maxlen=_READS_KEPT)

    def add(self, row: int, data: bytes) -> None:
        """The row that is received now."""
        self._reads.append((row, data))

    def of(self, datagram: Datagram) -> tuple[int, ...]:
        """Rows that hold it, as far back as its bytes can reach."""
        if not (self._framing.stream or self._framing.segmented):
            return (self._reads[-1][0],)
        raw = datagram.pack()
        joined = b"".join(data for _, data in self._reads)
        at = joined.rfind(raw)
        first = at if at >= 0 else len(joined) - self._framing.framed_bytes(len(raw)) + 1
        if at < 0:
            # Coded, cut or encrypted: it ends in this read, and began no further back than its length.
            first -= len(self._reads[-1][1]) - 1
        end = at + len(raw) if at >= 0 else len(joined)
        rows, start = [], 0
        for row, data in self._reads:
            if start < end and start + len(data) > first:
                rows.append(row)
            start += len(data)
        return tuple(rows)


class _Watch:
    """Files datagrams until the unit or message that they belong to is closed."""

    def __init__(self, origin: Origin, framing: Framing) -> None:
        self._origin, self._reads = origin, _Reads(framing)
        self._open: dict[tuple[int, int, bool, int], list[Packet]] = {}
        self._now = 0
        self.found: list[Packet] = []

    def read(self, row: int, data: bytes, now: int) -> None:
        """The bytes that the receiver is given next."""
        self._reads.add(row, data)
        self._now = now

    def datagram(self, d: Datagram) -> None:
        """One that the receiver filed."""
        part = WirePart(d.part)
        key = (d.stream_id, d.boot_id, part == WirePart.MESSAGE, d.unit_no & _LOW)
        self._open.setdefault(key, []).append(
            Packet(
                rows=self._reads.of(d), time_ns=self._now, stream_id=d.stream_id,
                boot_id=d.boot_id, part=part, number=d.unit_no & _LOW, block_no=d.block_no,
                symbol=d.symbol, k=d.k, size=len(d.pack()),
            )
        )  # fmt: skip

    def event(self, event: ReceiverEvent) -> None:
        """One that the receiver gave: what closes takes its datagrams with it; later ones are late."""
        if isinstance(event, UnitReady):
            unit = event.unit
            key = (event.stream_id, event.boot_id, False, unit.unit_no & _LOW)
            packets = self._open.pop(key, [])
            if (event.boot_id, unit.unit_no) == (self._origin.boot_id, self._origin.unit_no):
                d = unit.descriptors
                parts = _parts(self._origin.part, d.codec_id if d is not None else None)
                if _is_in_d(unit, parts, packets):
                    parts = (WirePart.DESCRIPTORS,)
                self.found += [p for p in packets if p.part in parts]
        elif isinstance(event, MessageReady):
            key = (event.stream_id, event.boot_id, True, event.message_no & _LOW)
            packets = self._open.pop(key, [])
            if event.authenticated and self._told(event.data):
                self.found += packets

    def _told(self, message: bytes) -> bool:
        """Whether a message holds pixels or parts that the tile may be made from."""
        asked = self._origin.part == SourcePart.ANSWER
        wanted = (self._origin.boot_id, self._origin.unit_no)
        for record in unpack_message(message):
            if isinstance(record, RegionAnswer | UnitAnswer):
                of_kind = isinstance(record, RegionAnswer) is asked
                if of_kind and (record.boot_id, record.unit_no) == wanted:
                    return True
        return False


def trace(
    recording: Recording, origin: Origin, *, stream_id: int | None = None,
    key: LinkKey | None = None,
) -> list[Packet]:  # fmt: skip
    """The received datagrams behind a tile, in order of arrival; none where it was made of none.

    Args:
        stream_id: the camera; None: every one that has such a unit.
        key: only what it vouches for counts, as in the decoding.

    Raises:
        UserError: the recording cannot be read.
    """
    if origin.part == SourcePart.NONE:
        return []
    guard, watch = ReplayGuard(), _Watch(origin, recording.params.framing)
    receiver = LinkReceiver(
        recording.params, key=key, replay=guard if key is not None else None,
        on_datagram=watch.datagram,
    )  # fmt: skip
    now = 0
    packets = recording.packets(guard.merge)
    for row, (now, data) in zip(_rows(recording), packets, strict=False):
        watch.read(row, data, now)
        receiver.receive(data, now)
        while (event := receiver.next_event()) is not None:
            watch.event(event)
    receiver.close(now)
    while (event := receiver.next_event()) is not None:
        watch.event(event)
    return [p for p in watch.found if stream_id is None or p.stream_id == stream_id]


def _parts(part: SourcePart, codec_id: int | None) -> tuple[WirePart, ...]:
    """Parts of a unit that are decoded for a picture or patch.

    F's pictures refer to those of K in codec 1, and K holds the index of both; in codec 0 each part
    stands by itself.
    """
    if part == SourcePart.KEYFRAME:
        return (WirePart.KEYFRAME,)
    if part == SourcePart.ANSWER:
        return ()
    if codec_id == CodecId.CLASSICAL:
        return (WirePart.FEATURES,)
    return (WirePart.KEYFRAME, WirePart.FEATURES)


def _is_in_d(unit: ReceivedUnit, parts: tuple[WirePart, ...], packets: list[Packet]) -> bool:
    """Whether those parts came in the block of D, as a small unit's do: there, and in no packet."""
    of = {WirePart.KEYFRAME: unit.keyframe, WirePart.FEATURES: unit.features}
    came = any(of[part].complete for part in parts)
    return came and not any(packet.part in parts for packet in packets)


def _rows(recording: Recording) -> Iterator[int]:
    """Row of each packet of `Recording.packets`, in the same order."""
    if not recording.session_ids:
        number = 0
        while True:
            number += 1
            yield number
    with closing(Archive.open_readonly(recording.path)) as archive:
        for session_id in recording.session_ids:
            yield from archive.row_ids(session_id)
