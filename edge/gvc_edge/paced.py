"""A source at the pace of its own clock, and a link that only records."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from gvc_edge.sources import FrameSource
from gvc_edge.state import PcapFile
from gvc_protocol.codec import SourceFrame

__all__ = ["Paced", "PcapLink"]


class PcapLink:
    """`file:x.pcap`: a link that only records, with true send times."""

    def __init__(self, file: PcapFile, now: Callable[[], int]) -> None:
        self._file, self._now = file, now

    def send(self, data: bytes) -> None:
        self._file.write(data, self._now())

    def reopen(self) -> None:
        raise OSError("a capture file cannot be reopened")

    def close(self) -> None:
        self._file.close()


class Paced:
    """A source that gives its frames no earlier than a camera would, and ends on `stop`."""

    def __init__(self, source: FrameSource, stop: threading.Event) -> None:
        self._source, self._stop = source, stop
        self.info = source.info
        self.waiting_since: float | None = None
        "`time.monotonic` since when the next picture is awaited; None while one is worked on."
        self.idle_s = 0.0
        "Time so far in which pictures were awaited: none of it left, and the encoder is too slow."

    def idle_until(self, now: float) -> float:
        """`idle_s` with the wait that is not over yet; `now` in `time.monotonic` seconds."""
        since = self.waiting_since
        return self.idle_s + (0.0 if since is None else max(0.0, now - since))

    def frames(self) -> Iterator[SourceFrame]:
        began, count = time.monotonic(), 0
        pictures = iter(self._source.frames())
        while True:
            self.waiting_since = since = time.monotonic()
            frame = next(pictures, None)
            self.waiting_since = None
            if frame is None:
                return
            if not self.info.live:
                ahead = began + float(count / self.info.fps) - time.monotonic()
                if ahead > 0:
                    self._stop.wait(ahead)
            self.idle_s += time.monotonic() - since
            if self._stop.is_set():
                return
            count += 1
            yield frame

    def close(self) -> None:
        self._source.close()
