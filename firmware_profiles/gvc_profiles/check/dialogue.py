"""Asking a radio by its command language: write, wait for the answer, give up in time."""

from __future__ import annotations

import re
import time
from typing import Protocol

from gvc_profiles.links.port import Port

__all__ = ["CannotTalkError", "Dialect", "RefusedError", "Talk"]

_MAX_ANSWER_BYTES = 65_536


class CannotTalkError(Exception):
    """The radio does not answer, or not as it should: one line, what to try."""


class RefusedError(CannotTalkError):
    """The radio answers, but does not take one setting: one line."""


class Dialect(Protocol):
    """One command language. Every method raises CannotTalkError, and OSError when the port goes."""

    def enter(self) -> None:
        """From data mode into command mode."""

    def read(self, names: list[str]) -> dict[str, str]:
        """Values by name; a setting that this radio does not have is left out."""

    def write(self, name: str, value: str) -> None:
        """Raises RefusedError when the radio does not take it."""

    def save(self) -> None:
        """Make what was written last past a power-off."""

    def leave(self) -> None:
        """Back to data mode, whatever happened before."""


class Talk:
    """Request and answer over a port."""

    def __init__(self, port: Port, *, patience: float = 1.0) -> None:
        """`patience` multiplies every waiting time: below 1 in tests, above 1 for slow radios."""
        self._port, self.patience = port, patience

    def pause(self, seconds: float) -> None:
        """Silence, as before and after `+++`; what comes meanwhile is thrown away."""
        until = time.monotonic() + seconds * self.patience
        while (left := until - time.monotonic()) > 0:
            self._port.read(left)

    def drain(self) -> None:
        """Throw away what is there."""
        while self._port.read(0):
            continue

    def ask(self, request: bytes, ends: bytes, timeout_s: float = 1.0) -> bytes:
        """Write, then read until the answer matches `ends` (a regular expression).

        Returns what came, whole or not: the caller judges.
        """
        self.drain()
        self._port.write(request)
        got, pattern = bytearray(), re.compile(ends, re.S)
        until = time.monotonic() + timeout_s * self.patience
        while (left := until - time.monotonic()) > 0 and len(got) < _MAX_ANSWER_BYTES:
            got += self._port.read(left)
            if pattern.search(got):
                break
        return bytes(got)

    def read_more(self, timeout_s: float) -> bytes:
        """What comes next."""
        return self._port.read(timeout_s * self.patience)

    def write(self, data: bytes) -> None:
        """Write without waiting for an answer."""
        self._port.write(data)
