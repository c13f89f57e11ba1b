"""The simulated radio between two real processes: a pty pair for serial profiles, UDP for the others.

This is the thin shell around `RadioModel`: one thread that reads what the hosts send, tells the model
the time, and writes what has arrived. Everything that can be decided is decided in the model.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import tty
from collections.abc import Callable
from contextlib import suppress

from gvc_base.channel import Channel
from gvc_base.radio_model import Direction, ProxyStats, RadioModel
from gvc_profiles.clock import steady_clock
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

__all__ = ["RadioProxy"]

_HOST = "127.0.0.1"
_READ_BYTES = 4096
_DIRECTIONS: tuple[Direction, ...] = ("to_base", "to_edge")
_POLL_S = 0.05
_UNREAD_BYTES = 65_536
"Buffer of a serial port in the kernel: what a program may leave unread before bytes are lost."


class RadioProxy:
    """`start` gives the URLs for edge and base; a thread moves bytes through a `RadioModel`."""

    def __init__(self, profile: LinkProfile, channel: Channel) -> None:
        self._profile = profile
        self._model = RadioModel(profile, channel)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ends: _PtyEnds | _UdpEnds | None = None

    @property
    def stats(self) -> ProxyStats:
        """Totals so far."""
        return self._model.stats

    def start(self) -> tuple[str, str]:
        """Open both ends and begin; returns (edge's link URL, base's link URL).

        Raises:
            UserError: the system gives no pseudo-terminal or no port.
        """
        serial = self._profile.serial is not None and self._profile.stream
        try:
            self._ends = _PtyEnds() if serial else _UdpEnds()
        except OSError as error:
            kind = "pseudo-terminal" if serial else "UDP port"
            raise UserError(
                f"cannot make a simulated radio: no {kind} ({error.strerror}); close other programs"
            ) from None
        self._thread = threading.Thread(
            target=self._loop, args=(self._ends,), name="radio-proxy", daemon=True
        )
        self._thread.start()
        return self._ends.urls

    def stop(self) -> None:
        """End the thread and close both ends; safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._ends is not None:
            self._ends.close()
            self._ends = None

    def _loop(self, ends: _PtyEnds | _UdpEnds) -> None:
        now: Callable[[], int] = steady_clock()
        while not self._stop.is_set():
            due = self._model.next_timer()
            wait = _POLL_S if due is None else min(_POLL_S, max(0.0, (due - now()) / 1e9))
            for direction, data in ends.read(wait):
                self._model.offer(data, now(), direction)
            for direction, data in self._model.deliver(now()):
                self._model.stats.unread_bytes += ends.write(direction, data)
            ends.push()


class _PtyEnds:
    """Two raw pseudo-terminals; each program opens its slave as if it were a radio's port."""

    def __init__(self) -> None:
        # What the edge writes into its own port travels to the base, and the other way round: the
        # direction names the host that *writes* into this pair.
        self._masters: dict[Direction, int] = {}
        self._slaves: list[int] = []
        self._unread: dict[Direction, bytearray] = {}
        try:
            for direction in _DIRECTIONS:
                master, slave = os.openpty()
                self._masters[direction] = master
                self._slaves.append(slave)  # held open: a pty hangs up when its last user leaves
                self._unread[direction] = bytearray()
                tty.setraw(slave)
                os.set_blocking(master, False)
        except OSError:
            self.close()
            raise
        edge, base = (f"serial:{os.ttyname(slave)}" for slave in self._slaves)
        self.urls = (edge, base)

    def read(self, wait_s: float) -> list[tuple[Direction, bytes]]:
        """What the hosts wrote; waits up to `wait_s` for the first byte."""
        ready, _, _ = select.select(list(self._masters.values()), [], [], wait_s)
        out: list[tuple[Direction, bytes]] = []
        for direction, master in self._masters.items():
            if master in ready:
                try:
                    out.append((direction, os.read(master, _READ_BYTES)))
                except OSError as error:
                    if error.errno not in (errno.EIO, errno.EAGAIN):
                        raise
        return out

    def write(self, direction: Direction, data: bytes) -> int:
        """Hand bytes to the host at the end of `direction`; returns how many had to be dropped."""
        waiting = self._unread[_opposite(direction)]
        kept = data[: max(0, _UNREAD_BYTES - len(waiting))]
        waiting += kept
        return len(data) - len(kept)

    def push(self) -> None:
        """Give the ports as much as they take now. A busy program loses nothing by reading late."""
        for direction, waiting in self._unread.items():
            if waiting:
                with suppress(BlockingIOError):
                    del waiting[: os.write(self._masters[direction], waiting)]

    def close(self) -> None:
        """Close all four ends."""
        for descriptor in (*self._masters.values(), *self._slaves):
            os.close(descriptor)


class _UdpEnds:
    """A socket that the edge sends to, and one that sends to the base's port."""

    def __init__(self) -> None:
        self._edge_side = self._bound()
        self._base_side = self._bound()
        # The base must bind its own port: find a free one, and let go of it.
        with self._bound() as free:
            self._base = (_HOST, free.getsockname()[1])
        self._edge: tuple[str, int] | None = None
        self.urls = (
            f"udp://{_HOST}:{self._edge_side.getsockname()[1]}",
            f"udp://{_HOST}:{self._base[1]}",
        )

    @staticmethod
    def _bound() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((_HOST, 0))
        made.setblocking(False)
        return made

    def read(self, wait_s: float) -> list[tuple[Direction, bytes]]:
        """Packets that the hosts sent; waits up to `wait_s` for the first."""
        sides = [self._edge_side, self._base_side]
        ready, _, _ = select.select(sides, [], [], wait_s)
        out: list[tuple[Direction, bytes]] = []
        for side in ready:
            try:
                data, peer = side.recvfrom(65_535)
            except (BlockingIOError, ConnectionRefusedError):
                continue
            if side is self._edge_side:
                self._edge = peer
                out.append(("to_base", data))
            else:
                out.append(("to_edge", data))
        return out

    def write(self, direction: Direction, data: bytes) -> int:
        """Send one packet on; returns its size when the system would not take it."""
        to_base = direction == "to_base"
        side, peer = (self._base_side, self._base) if to_base else (self._edge_side, self._edge)
        try:
            if peer is None:
                return len(data)
            side.sendto(data, peer)
        except OSError:
            return len(data)
        return 0

    def push(self) -> None:
        """Nothing waits here: a packet was taken by the system or dropped."""

    def close(self) -> None:
        """Close both sockets."""
        self._edge_side.close()
        self._base_side.close()


def _opposite(direction: Direction) -> Direction:
    return "to_edge" if direction == "to_base" else "to_base"
