"""What sender and receiver have to say. Events are values; the air never raises an exception."""

from __future__ import annotations

from dataclasses import dataclass, field

from gvc_protocol.codec import ReceivedUnit
from gvc_protocol.wire import RejectReason

__all__ = [
    "DatagramRejected",
    "DatagramsRejected",
    "LinkCounters",
    "MessageReady",
    "ReceiverEvent",
    "SenderDropped",
    "SessionStarted",
    "TurnGiven",
    "UnitReady",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """First datagram of a stream and boot that the receiver did not know."""

    stream_id: int
    boot_id: int
    now: int
    authenticated: bool = False
    "Whether a key vouched for it."


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramRejected:
    """Bytes that are no datagram of ours, or one that contradicts what came before, or a forgery."""

    reason: RejectReason
    raw: bytes
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramsRejected:
    """So many more were refused since `since` that they are told by number: a flood, or noise."""

    counts: dict[RejectReason, int]
    since: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitReady:
    """A unit was closed, whole or not. Units of one stream come in rising order, with gaps."""

    stream_id: int
    boot_id: int
    unit: ReceivedUnit
    now: int
    authenticated: bool = False
    "Whether a key vouched for every datagram of it."


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReady:
    """A message arrived whole. Once for each message number of a stream, boot and direction."""

    stream_id: int
    boot_id: int
    from_base: bool
    message_no: int
    data: bytes
    now: int
    authenticated: bool
    "Whether a key vouched for it. What is not authenticated is never acted upon."


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnGiven:
    """The other side said OVER: it listens now, on a half-duplex link.

    From the edge it opens a window for the base; from the base it ends that window before its time.
    """

    stream_id: int
    boot_id: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDropped:
    """The sender's queue was over its limit and these symbols will not be sent."""

    unit_no: int
    part: int
    symbols: int
    now: int


ReceiverEvent = (
    SessionStarted | DatagramRejected | DatagramsRejected | UnitReady | MessageReady | TurnGiven
)


@dataclass(slots=True)
class LinkCounters:
    """Running totals of a receiver; all are counts of datagrams unless named otherwise."""

    received: int = 0
    duplicates: int = 0
    late: int = 0
    "Arrived after their unit was closed (the spare parity of a whole unit, too): archived, not used."
    rejected: dict[RejectReason, int] = field(default_factory=dict)
    bytes_received: int = 0
    repaired_symbols: int = 0
    blocks_restored: int = 0
    blocks_failed: int = 0
    units_whole: int = 0
    units_degraded: int = 0
    messages: int = 0
    "Messages that arrived whole."
    messages_failed: int = 0
    "Messages given up: too little of them came, or memory was short."
