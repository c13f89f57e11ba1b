"""The simulated radio between two real processes: a pty pair for serial profiles, UDP for the others."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import tty
from collections.abc import Callable

from gvc_profiles.clock import steady_clock
from gvc_profiles.model import LinkProfile

from gvc_base.channel import Channel
from gvc_base.radio_model import Direction, ProxyStats, RadioModel

__all__ = ["RadioProxy"]

_HOST = "127.0.0.1"
_READ_BYTES = 4096
_POLL_S = 0.05


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
        """Open both ends and begin; returns (edge's link URL, base's link URL)."""
        serial = self._profile.serial is not None and self._profile.stream
        self._ends = _PtyEnds() if serial else _UdpEnds()
        self._thread = threading.Thread(target=self._loop, name="radio-proxy", daemon=True)
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

    def _loop(self) -> None:
        assert self._ends is not None
        now: Callable[[], int] = steady_clock()
        while not self._stop.is_set():
            due = self._model.next_timer()
            wait = _POLL_S if due is None else min(_POLL_S, max(0.0, (due - now()) / 1e9))
            for direction, data in self._ends.read(wait):
                self._model.offer(data, now(), direction)
            for direction, data in self._model.deliver(now()):
                self._ends.write(direction, data)


class _PtyEnds:
    """Two raw pseudo-terminals; each program opens its slave as if it were a radio's port."""

    def __init__(self) -> None:
        self._masters: dict[Direction, int] = {}
        names = []
        self._slaves = []
        # What the edge writes into its own port travels to the base, and the other way round.
        for direction in ("to_base", "to_edge"):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters[direction] = master  # type: ignore[index]
            self._slaves.append(slave)  # held open: a pty hangs up when its last user leaves
            names.append(os.ttyname(slave))
        self.urls = (f"serial:{names[0]}", f"serial:{names[1]}")

    def read(self, wait_s: float) -> list[tuple[Direction, bytes]]:
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

    def write(self, direction: Direction, data: bytes) -> None:
        far = self._masters["to_edge" if direction == "to_base" else "to_base"]
        try:
            os.write(far, data)
        except BlockingIOError:
            return  # nobody reads the port: a real UART loses these bytes, too

    def close(self) -> None:
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

    def write(self, direction: Direction, data: bytes) -> None:
        if direction == "to_base":
            self._base_side.sendto(data, self._base)
        elif self._edge is not None:
            self._edge_side.sendto(data, self._edge)

    def close(self) -> None:
        self._edge_side.close()
        self._base_side.close()
