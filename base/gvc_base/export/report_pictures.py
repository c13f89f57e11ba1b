"""Pictures of a report: a few marked frames where something happened, chosen while frames go by.

Kept are the first and last picture, the one with most received and the one with most regenerated or lost
tiles, of units that tell of a new object the frame with the least of these, and the first frames of
losses. Not more than a page can show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from gvc_base.decode_pass import ShownFrame
from gvc_base.export.words import percent, utc
from gvc_base.render import mark_share, overlay_beneath
from gvc_base.station.objects import ObjectRows, boxes_at
from gvc_base.timeline import DecodeJob
from gvc_protocol.marks import Mark

__all__ = ["KeyPicture", "KeyPictures"]

_MOST_OBJECTS, _MOST_LOSSES = 4, 3
_WIDTH_PX = 640
_QUALITY = 85
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPicture:
    """A marked picture and why it is shown."""

    why: str
    about: str
    "Time, unit, shares."
    jpeg: bytes


class KeyPictures:
    """`take` every frame, then ask for `pictures`. `status` is burned in as on every screen."""

    def __init__(self, status: str) -> None:
        self._status = status
        self._kept: dict[str, tuple[str, int, ShownFrame]] = {}
        self._objects, self._losses = ObjectRows(), 0
        self._job: DecodeJob | None = None
        self._last: ShownFrame | None = None
        self._most: dict[str, float] = {"received": 0.0, "made up": 0.0}
        self._was_lost = True
        self._count = 0
        self._seeking: tuple[str, str, float] | None = None
        "Name, reason and made-up share of the best frame so far of a unit that told of an object."

    def take(self, shown: ShownFrame) -> None:
        """Look at a frame."""
        self._count += 1
        if shown.job is not self._job:
            self._job, self._seeking = shown.job, None
            self._unit(shown)
        shares = mark_share(shown.frame)
        made_up = shares[Mark.REGENERATED] + shares[Mark.LOST]
        if self._seeking is not None and made_up < self._seeking[2]:
            self._seeking = (*self._seeking[:2], made_up)
            self._keep(*self._seeking[:2], shown)
        for name, share, why in (
            ("received", shares[Mark.RECEIVED], "most received tiles"),
            ("made up", made_up, "most regenerated or lost tiles"),
        ):
            if share > self._most[name]:
                self._most[name] = share
                self._keep(name, why, shown)
        self._last = shown

    def pictures(self) -> list[KeyPicture]:
        """In order of time; a frame that was kept for two reasons is shown once."""
        if self._last is not None:
            self._keep("last", "last picture", self._last)
        why: dict[int, list[str]] = {}
        frames = {}
        for text, number, shown in self._kept.values():
            why.setdefault(number, []).append(text)
            frames[number] = shown
        return [self._made(frames[number], "; ".join(why[number])) for number in sorted(frames)]

    def _unit(self, shown: ShownFrame) -> None:
        if not self._kept:
            self._keep("first", "first picture", shown)
        found = [one.text for one in self._objects.of(shown.job)]
        number = sum(name.startswith("object") for name in self._kept)
        if found and number < _MOST_OBJECTS:
            self._seeking = (f"object {number}", f"the edge found {found[0]}", math.inf)
        lost = shown.job.empty
        if lost and not self._was_lost and self._losses < _MOST_LOSSES:
            self._losses += 1
            unit = shown.job.unit.unit_no
            self._keep(
                f"loss {self._losses}", f"unit {unit} lost: an older picture is shown", shown
            )
        self._was_lost = lost

    def _keep(self, name: str, why: str, shown: ShownFrame) -> None:
        self._kept[name] = (why, self._count, shown)

    def _made(self, shown: ShownFrame, why: str) -> KeyPicture:
        frame, d = shown.frame, shown.job.unit.descriptors
        picture = overlay_beneath(frame, status=self._status)
        for box in boxes_at(d, frame.frame_no - shown.job.span.first_frame):
            corners = (box["x"], box["y"]), (box["x"] + box["width"], box["y"] + box["height"])
            for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
                cv2.rectangle(picture, *corners, colour, thickness)
        if picture.shape[1] > _WIDTH_PX:
            height = round(picture.shape[0] * _WIDTH_PX / picture.shape[1])
            picture = np.asarray(
                cv2.resize(picture, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8
            )
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        when = f"received {utc(shown.received_ns)[11:19]} UTC"
        if d is not None and d.capture_us:
            when = f"taken {utc(d.capture_us * 1000)[11:19]} UTC"
        shares = ", ".join(
            f"{mark.name.lower()} {percent(share)}"
            for mark, share in mark_share(frame).items() if share
        )  # fmt: skip
        return KeyPicture(
            why=why, jpeg=jpeg,
            about=f"unit {shown.job.unit.unit_no}, frame {frame.frame_no}, {when}: {shares}",
        )  # fmt: skip
