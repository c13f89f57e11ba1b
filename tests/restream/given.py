"""A view with a picture that a test puts there, and a player's end of the wire."""

from __future__ import annotations

import io
import socket
import threading
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from gvc_base.console.view import BaseState, DroneState, EventRow, MapState, Shown, StationView
from gvc_protocol.codec import DecodedFrame
from gvc_protocol.marks import Mark, tile_grid

__all__ = ["HEIGHT", "WIDTH", "Given", "Wire", "frame_of", "free_port", "ts_frames"]

WIDTH, HEIGHT = 480, 272
Image = NDArray[np.uint8]


def frame_of(
    number: int, mark: Mark, right: Mark | None = None, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> DecodedFrame:
    """A picture of (width, height), all of one mark, or its right half of another."""
    width, height = size
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 200, (-(-height // 56), -(-width // 60), 3)).astype(np.uint8)
    pixels = np.asarray(coarse.repeat(56, 0)[:height].repeat(60, 1)[:, :width], np.uint8)
    grid = np.full(tile_grid(height, width), mark, np.uint8)
    if right is not None:
        grid[:, width // 16 :] = right
    return DecodedFrame(
        frame_no=number, unit_no=number // 4, pixels=pixels, mark=grid,
        age_ms=np.zeros(grid.shape, np.uint16), p_wrong=np.zeros(grid.shape, np.float16),
    )  # fmt: skip


class Given:
    """`StationView` of one drone that shows what it was given last."""

    def __init__(self, label: str = "unauthenticated") -> None:
        self.label = label
        self.picture: Shown | None = None
        self.chart = MapState()
        self.rows: tuple[EventRow, ...] = ()
        self.heard = True

    @property
    def view(self) -> StationView:
        return cast(StationView, self)

    def show(self, frame: DecodedFrame) -> None:
        serial = 0 if self.picture is None else self.picture.serial + 1
        self.picture = Shown(frame=frame, serial=serial, boot_id=1, shown_ns=10**18 + serial)

    def hold(self, age_ms: int, number: int | None = None) -> None:
        """As the screen does when nothing comes: the same picture (or one that came too late), all of it
        marked lost, its age told."""
        assert self.picture is not None
        frame = self.picture.frame
        self.show(
            replace(
                frame, mark=np.full_like(frame.mark, Mark.LOST),
                age_ms=np.full_like(frame.age_ms, age_ms),
                frame_no=frame.frame_no if number is None else number,
            )
        )  # fmt: skip

    def base(self) -> BaseState:
        return BaseState(
            mode="live", label=self.label, archive="m.db", recording=True, disk_free_bytes=1,
            disk_hours=None,
        )  # fmt: skip

    def drones(self) -> tuple[DroneState, ...]:
        if not self.heard:
            return ()
        state: dict[str, Any] = {"unit_no": -1, "frame_no": -1, "width": 0, "height": 0}
        share: dict[str, float] = {}
        if self.picture is not None:
            frame = self.picture.frame
            counts = np.bincount(frame.mark.ravel(), minlength=len(Mark)) / frame.mark.size
            share = {m.name.lower(): float(counts[m]) for m in Mark}
            state = {"unit_no": frame.unit_no, "frame_no": frame.frame_no, "width": WIDTH,
                     "height": HEIGHT}  # fmt: skip
        return (
            DroneState(
                **state, drone_id="0-1", link_url="memory:0", profile_id="udp", stream_id=1,
                boot_id=1, label=self.label, health="good", fps=Fraction(4), capture_us=0,
                latency_s=None, mark_share=share,
            ),
        )  # fmt: skip

    def shown(self, drone_id: str, *, after: int = -1, wait_s: float = 0.0) -> Shown | None:
        assert drone_id == "0-1" and wait_s == 0
        return self.picture if self.picture and self.picture.serial > after else None

    def map(self, drone_id: str) -> MapState:
        return self.chart

    def events(self, *, after: int = -1, limit: int = 200) -> tuple[EventRow, ...]:
        return tuple(row for row in self.rows if row.event_id > after)[-limit:]


def free_port() -> int:
    """A UDP port of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Wire:
    """A UDP port of this machine that keeps what comes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self.came: list[bytes] = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended:
            try:
                self.came.append(self._socket.recv(65536))
            except TimeoutError:
                continue

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()


def ts_frames(datagrams: list[bytes]) -> tuple[Any, list[Image], list[bytes]]:
    """(names of the streams' codecs, frames as BGR, packets of metadata) of a transport stream."""
    frames, told = [], []
    with av.open(io.BytesIO(b"".join(datagrams)), format="mpegts") as container:
        names = [s.codec_context.name if s.type == "video" else s.type for s in container.streams]
        for packet in container.demux():
            if packet.stream.type == "video":
                frames += [f.to_ndarray(format="bgr24") for f in packet.decode()]
            elif packet.size:
                told.append(bytes(packet))
    return names, frames, told
