"""Lines of a text dialogue (AT commands, RN2483, JSPR), cut out of a byte stream."""

from __future__ import annotations

__all__ = ["LineReader"]


class LineReader:
    """Bytes in, stripped non-empty lines out; CR, LF and CRLF all end one."""

    def __init__(self, max_bytes: int = 8192) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Whole lines so far. A line longer than the limit is dropped: no radio writes such."""
        self._buffer += data.replace(b"\r", b"\n")
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest[-self._max_bytes :] if len(rest) > self._max_bytes else rest)
        texts = (line.decode("ascii", "replace").strip() for line in lines)
        return [text for text in texts if text and len(text) <= self._max_bytes]

    @property
    def pending(self) -> bytes:
        """The unfinished line."""
        return bytes(self._buffer)
