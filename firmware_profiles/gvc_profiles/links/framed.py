"""A link whose radio speaks a framing: a byte port below, a sans-IO driver of that radio above."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from gvc_profiles.links.base import LinkState, Received
from gvc_profiles.links.port import Port

__all__ = ["Driver", "FramedLink"]

_INBOX = 4096


class Driver(Protocol):
    """One kind of radio, sans-IO. Times are seconds of one rising clock."""

    def start(self, now: float) -> None:
        """The port was opened anew: forget what was under way, keep what is queued."""

    def send(self, data: bytes, now: float) -> None:
        """Take one packet of ours."""

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        """Bytes of the radio in, packets of the other side out. Raises nothing."""

    def output(self, now: float) -> bytes:
        """What is to be written to the radio now."""

    def state(self, now: float) -> LinkState: ...


class FramedLink:
    """ByteLink and StatefulLink over any driver. Whole packets in and out."""

    def __init__(self, opener: Callable[[], Port], driver: Driver) -> None:
        self._opener, self._driver = opener, driver
        self._inbox: deque[bytes] = deque(maxlen=_INBOX)
        self._port: Port | None = None
        self.reopen()

    def send(self, data: bytes) -> None:
        self._pump(0)
        self._driver.send(data, time.monotonic())
        self._flush()

    def receive(self, timeout_s: float) -> list[Received]:
        until = time.monotonic() + timeout_s
        self._pump(0)
        while not self._inbox and (left := until - time.monotonic()) > 0:
            self._pump(min(left, 0.1))
        name = self._open_port.name
        out = [Received(data, name) for data in self._inbox]
        self._inbox.clear()
        return out

    def link_state(self) -> LinkState:
        self._pump(0)
        return self._driver.state(time.monotonic())

    def reopen(self) -> None:
        self.close()
        self._port = self._opener()
        self._driver.start(time.monotonic())
        self._flush()

    def close(self) -> None:
        if self._port is not None:
            with suppress(OSError):
                self._port.close()
            self._port = None

    @property
    def _open_port(self) -> Port:
        if self._port is None:
            raise OSError("link is closed")
        return self._port

    def _pump(self, timeout_s: float) -> None:
        raw = self._open_port.read(timeout_s)
        for _ in range(64):
            if not raw:
                break
            self._inbox.extend(self._driver.feed(raw, time.monotonic()))
            raw = self._open_port.read(0)
        self._flush()

    def _flush(self) -> None:
        while data := self._driver.output(time.monotonic()):
            self._open_port.write(data)
