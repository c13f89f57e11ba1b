"""How datagrams ride on a radio (WIRE.md, section 5): plain, as RS frames, or in segments.

`Framing` is the static description; `Deframer` is the receiving side. It never raises for what it is
fed, and it gives the same items whether a byte stream comes whole or byte by byte: a decision is
taken only when all the bytes that it rests on are there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from reedsolo import ReedSolomonError, RSCodec

from gvc_protocol.errors import LocalProtocolError
from gvc_protocol.wire import (
    CRC_BYTES,
    OVERHEAD_BYTES,
    SYNC,
    Datagram,
    RejectReason,
    datagram_size,
)

__all__ = ["RS_PARITY", "RS_SYNC", "Deframer", "Framing", "Rejected"]

RS_SYNC = b"\x14\x6f"
RS_PARITY = 32
_SEGMENT_BELOW_BYTES = 64
_MAX_SEGMENTS = 15
_RS = RSCodec(RS_PARITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Bytes that are no datagram: where the radio or the world damaged them."""

    reason: RejectReason
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """A link's packet form.

    Args:
        mtu_bytes: largest packet that the radio takes from us, 14..1400.
        stream: True when the link is a byte stream that can slip (a UART), False for packets.
        inner_rs: True when the radio delivers wrong bytes, so that RS frames pay.
    """

    mtu_bytes: int
    stream: bool = False
    inner_rs: bool = False

    def __post_init__(self) -> None:
        if not 14 <= self.mtu_bytes <= 1400:
            raise LocalProtocolError(f"MTU must be 14..1400 bytes, not {self.mtu_bytes}")
        if self.segmented and (self.stream or self.inner_rs):
            raise LocalProtocolError("an MTU below 64 bytes needs a packet radio without inner RS")

    @property
    def segmented(self) -> bool:
        """Whether a datagram is cut into several radio packets."""
        return self.mtu_bytes < _SEGMENT_BELOW_BYTES

    @property
    def max_datagram_bytes(self) -> int:
        """Largest datagram, sync to CRC, that this link carries."""
        if self.segmented:
            # Few pieces: each lost piece loses the datagram. 8 keeps the header below a quarter.
            return min(8, _MAX_SEGMENTS) * (self.mtu_bytes - 1)
        if self.inner_rs:
            return self.rs_body_bytes + len(SYNC)
        return self.mtu_bytes

    @property
    def rs_body_bytes(self) -> int:
        """Bytes of a datagram (without sync) that an RS frame of the MTU's length carries."""
        words, rest = divmod(self.mtu_bytes - len(RS_SYNC), 255)
        return (255 - RS_PARITY) * words + max(0, rest - RS_PARITY)

    @property
    def rs_frame_bytes(self) -> int:
        """Length of every RS frame on this link, sync included."""
        body = self.rs_body_bytes
        return len(RS_SYNC) + body + RS_PARITY * -(-body // (255 - RS_PARITY))

    def packets(self, datagram_bytes: int) -> int:
        """Radio packets that one datagram of this size takes."""
        return -(-datagram_bytes // (self.mtu_bytes - 1)) if self.segmented else 1

    def framed_bytes(self, datagram_bytes: int) -> int:
        """Bytes handed to the radio for one datagram of this size."""
        if self.segmented:
            return datagram_bytes + self.packets(datagram_bytes)
        return self.rs_frame_bytes if self.inner_rs else datagram_bytes

    def frame(self, datagram: bytes, counter: int) -> list[bytes]:
        """Radio packets for one datagram; `counter` goes up by one a datagram.

        Raises:
            LocalProtocolError: the datagram is larger than this link takes.
        """
        if len(datagram) > self.max_datagram_bytes:
            raise LocalProtocolError(f"{len(datagram)} bytes exceed {self.max_datagram_bytes}")
        if self.segmented:
            step = self.mtu_bytes - 1
            pieces = [datagram[i : i + step] for i in range(0, len(datagram), step)]
            return [bytes([(counter & 15) << 4 | i]) + piece for i, piece in enumerate(pieces)]
        if self.inner_rs:
            body = datagram[len(SYNC) :].ljust(self.rs_body_bytes, b"\0")
            return [RS_SYNC + bytes(_RS.encode(body))]
        return [datagram]


class Deframer:
    """Bytes from the radio in, `Datagram` and `Rejected` out."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._buffer = bytearray()
        self._segments = _SegmentJoiner()
        self.skipped_bytes = 0
        "Bytes outside any datagram: noise, foreign traffic, remains of a damaged one."
        self.behind: list[int] = []
        """Of each item last given, the bytes that had come after its end: in a stream, a datagram behind
        the remains of a damaged one is recognised late."""

    @property
    def pending(self) -> bool:
        """True while the start of a datagram waits for its rest (byte streams only)."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Datagram | Rejected]:
        """Take what the radio gave at once: one packet, or any piece of a byte stream."""
        if self._framing.stream:
            self._buffer += data
            return self._scan_stream(whole=False)
        found = self._packet(data) if data else []
        self.behind = [0] * len(found)
        return found

    def flush(self) -> list[Datagram | Rejected]:
        """The stream fell silent: what waits will not be completed, look for datagrams inside it."""
        return self._scan_stream(whole=True)

    def _scan_stream(self, *, whole: bool) -> list[Datagram | Rejected]:
        found, self.behind = [], []
        for item in self._scan(self._buffer, whole=whole):
            found.append(item)
            self.behind.append(len(self._buffer))
        return found

    def _packet(self, data: bytes) -> list[Datagram | Rejected]:
        if self._framing.segmented:
            joined = self._segments.feed(data)
            return [] if joined is None else self._one_try(joined)
        if _bit_errors(data[:2], RS_SYNC) > 3:
            return self._one_try(data)
        if len(data) > self._framing.mtu_bytes:
            return [Rejected(reason=RejectReason.TOO_LONG, raw=data)]
        return [_read_rs(data)]

    def _one_try(self, data: bytes) -> list[Datagram | Rejected]:
        found = list(self._scan(bytearray(data), whole=True))
        datagrams = [item for item in found if isinstance(item, Datagram)]
        # A packet is one try: what is not a datagram in it is told once, whole.
        return [*datagrams] or [found[0] if found else Rejected(reason=_NO_SYNC, raw=data)]

    def _scan(self, buffer: bytearray, *, whole: bool) -> Iterator[Datagram | Rejected]:
        """Consume `buffer` up to the first undecided byte (or its end when `whole`)."""
        while buffer:
            start = self._find_sync(buffer, whole)
            self.skipped_bytes += start
            del buffer[:start]
            if not buffer:
                return
            rs = self._framing.inner_rs and bytes(buffer[:2]) != SYNC
            size = self._framing.rs_frame_bytes if rs else datagram_size(buffer)
            if size is not None and size > self._framing.max_datagram_bytes and not rs:
                yield self._skip(buffer, RejectReason.TOO_LONG, bytes(buffer[:5]))
            elif size is None or len(buffer) < size:
                if not whole:
                    return
                yield self._skip(buffer, RejectReason.TRUNCATED, bytes(buffer))
            else:
                raw = bytes(buffer[:size])
                read = _read_rs(raw) if rs else _read_plain(raw)
                if isinstance(read, Datagram):
                    del buffer[: self._taken(raw, read) if rs else size]
                    yield read
                else:
                    yield self._skip(buffer, read.reason, raw)

    def _taken(self, raw: bytes, read: Datagram) -> int:
        """How much of the stream an RS frame was: less where lost bytes pulled the next one in."""
        body = len(read.pack()) - len(SYNC)
        start = len(RS_SYNC) + body + RS_PARITY * (body // (255 - RS_PARITY))
        pairs = (i for i in range(start, len(raw) - 1) if self._is_sync(raw[i : i + 2]))
        half = raw[-1] == SYNC[0] or _bit_errors(raw[-1:], RS_SYNC[:1]) <= 1
        at = next(pairs, len(raw) - half)
        if at == len(raw):
            return at
        # Encoding is slow in Python: done only where a sync word shows in the frame's tail.
        sent = self._framing.frame(read.pack(), 0)[0]
        return len(raw) if sent[at : at + 2] == raw[at : at + 2] else at

    def _is_sync(self, pair: bytes) -> bool:
        if pair == SYNC:
            return True
        return self._framing.inner_rs and _bit_errors(pair, RS_SYNC) <= 1

    def _skip(self, buffer: bytearray, reason: RejectReason, raw: bytes) -> Rejected:
        """Give up one sync word; the search goes on at the byte after its first."""
        del buffer[:1]
        self.skipped_bytes += 1
        return Rejected(reason=reason, raw=raw)

    def _find_sync(self, buffer: bytearray, whole: bool) -> int:
        if not self._framing.inner_rs:
            at = buffer.find(SYNC)
            if at >= 0:
                return at
            keep = 1 if not whole and buffer[-1:] == SYNC[:1] else 0
            return len(buffer) - keep
        for at in range(len(buffer) - 1):
            if self._is_sync(bytes(buffer[at : at + 2])):
                return at
        return len(buffer) if whole else len(buffer) - 1


_NO_SYNC = RejectReason.NO_SYNC


def _bit_errors(a: bytes, b: bytes) -> int:
    if len(a) != len(b):
        return 16
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def _read_plain(raw: bytes) -> Datagram | Rejected:
    read = Datagram.unpack(raw)
    return read if isinstance(read, Datagram) else Rejected(reason=read, raw=raw)


def _read_rs(raw: bytes) -> Datagram | Rejected:
    """Read an RS frame that fills `raw`: first as it came, then corrected."""
    coded = raw[len(RS_SYNC) :]
    words = (coded[i : i + 255] for i in range(0, len(coded), 255))
    read = _read_body(b"".join(word[:-RS_PARITY] for word in words))
    try:
        if read is None:
            read = _read_body(bytes(_RS.decode(coded)[0]))
    except (ReedSolomonError, ZeroDivisionError, IndexError, ValueError):
        read = None  # more than 16 wrong bytes in a codeword, or no codeword at all
    if isinstance(read, Datagram):
        return read
    return Rejected(reason=RejectReason.BAD_CRC if read is None else read, raw=raw)


def _read_body(body: bytes) -> Datagram | RejectReason | None:
    """What a body with a right CRC holds (a datagram, or why it is refused), else None."""
    size = datagram_size(SYNC + body)
    if size is None or len(body) < size - len(SYNC) or size < OVERHEAD_BYTES:
        return None
    end = size - len(SYNC)
    if zlib.crc32(body[: end - CRC_BYTES]) != int.from_bytes(body[end - CRC_BYTES : end], "big"):
        return None
    return Datagram.unpack(SYNC + body[:end])


class _SegmentJoiner:
    """Puts the pieces of one datagram together; a piece out of turn drops what was gathered."""

    def __init__(self) -> None:
        self._counter = -1
        self._next = 0
        self._data = bytearray()

    def feed(self, packet: bytes) -> bytes | None:
        counter, index = packet[0] >> 4, packet[0] & 15
        if counter == self._counter and self._is_repeat(index, packet[1:]):
            return None
        if index == 0:
            self._counter, self._next = counter, 0
            self._data.clear()
        if counter != self._counter or index != self._next:
            self._counter = -1
            return None
        self._data += packet[1:]
        self._next += 1
        size = datagram_size(self._data)
        if size is None or len(self._data) < size:
            return None
        self._counter = -1
        return bytes(self._data)

    def _is_repeat(self, index: int, piece: bytes) -> bool:
        """A piece that came by two ways. A first piece is one only if it is the same."""
        return index < self._next and (index > 0 or self._data.startswith(piece))
