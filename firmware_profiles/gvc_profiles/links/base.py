"""What a link is: bytes or whole packets in and out, and what the radio tells of itself.

A link moves bytes and knows when it is down; it parses nothing of ours. `receive` gives exactly what
the system gave: one packet, or one read of a byte stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["ByteLink", "LinkState", "Received", "StatefulLink", "can_send", "state_of"]


@dataclass(frozen=True, slots=True)
class Received:
    """What one read gave. `source` names the peer or the port, for the archive."""

    data: bytes
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What the radio says of itself; None = it does not say. Goes into reports to the other side."""

    can_send: bool = True
    "False: the radio's queue is full or another user of the link goes first; keep the packet."
    rssi_dbm: float | None = None
    "Signal of what was last heard."
    noise_dbm: float | None = None
    snr_db: float | None = None
    signal_bars: int | None = None
    "0..5, where the radio has only these."
    queue_free_percent: float | None = None
    "Room in the radio's own queue."
    waiting_packets: int = 0
    "Packets of ours that the link still holds (message links: until a session takes them)."
    problem: str = ""
    "One line for the operator while something is wrong, else empty."


class ByteLink(Protocol):
    """One radio. `send` and `receive` raise OSError when the link is gone; `reopen` tries again."""

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout_s: float) -> list[Received]:
        """Everything that is there; waits up to the timeout for the first byte."""

    def reopen(self) -> None:
        """Close what is left and open anew. Raises OSError while the radio is still away."""

    def close(self) -> None: ...


@runtime_checkable
class StatefulLink(Protocol):
    """A link whose radio tells something of itself."""

    def link_state(self) -> LinkState:
        """The newest state. Never blocks; raises OSError when the link is gone."""


def state_of(link: object) -> LinkState | None:
    """The link's state, None where the radio tells nothing. Raises OSError when the link is gone."""
    return link.link_state() if isinstance(link, StatefulLink) else None


def can_send(link: object) -> bool:
    """Whether the radio takes a packet now; where it does not say, the pacer alone decides."""
    state = state_of(link)
    return state is None or state.can_send
