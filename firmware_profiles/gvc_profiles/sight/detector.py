"""Who names what is seen: nobody, OpenCV's people finder, or a YOLO-style ONNX model.

`load_detector` is the one place that decides; what a detector needs is imported there and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gvc_protocol.errors import UserError
from gvc_protocol.objects import ObjectClass

__all__ = ["Detector", "Found", "load_detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object in one picture; the box is in that picture's pixels and inside it."""

    class_id: int
    "An `ObjectClass`."
    score_pct: int
    x: int
    y: int
    width: int
    height: int


class Detector(Protocol):
    """Names objects in single pictures. Slow compared to the rest: it is asked about once a second."""

    def detect(self, bgr: NDArray[np.uint8]) -> list[Found]:
        """Objects in a picture, uint8[H, W, 3] BGR, surest first."""


def load_detector(spec: str) -> Detector | None:
    """A detector by name.

    Args:
        spec: `movers` = none, objects are told by their motion alone; `people` = OpenCV's HOG people
            finder, for cameras that look at people from the side; else the path of a YOLO-style ONNX
            model.

    Returns:
        None for `movers`.

    Raises:
        UserError: there is no such detector here, or the model cannot be read or is of another kind.
    """
    if spec == "movers":
        return None
    if spec == "people":
        return _load_people()
    if not spec.lower().endswith(".onnx"):
        raise UserError(
            f"unknown detector {spec!r}; use movers, people or the path of an .onnx file"
        )
    from gvc_profiles.sight.yolo import YoloDetector

    return YoloDetector(Path(spec))


def _load_people() -> Detector:
    import cv2

    maker = getattr(cv2, "HOGDescriptor", None)
    weights = getattr(cv2, "HOGDescriptor_getDefaultPeopleDetector", None)
    if maker is None or weights is None:
        raise UserError(
            f"OpenCV {cv2.__version__} comes without the HOG people finder; "
            "install opencv-python-headless<5, or use movers or an .onnx model"
        )
    hog = maker()
    hog.setSVMDetector(weights())
    return _People(hog)


class _People:
    """Upright people of at least 96 pixels, in a picture at most 640 wide to keep it below 0.1 s."""

    _WIDTH_PX = 640
    _LEAST_WEIGHT = 0.3

    def __init__(self, hog: Any) -> None:
        self._hog = hog

    def detect(self, bgr: NDArray[np.uint8]) -> list[Found]:
        """See `Detector`."""
        import cv2

        height, width = bgr.shape[:2]
        scale = min(1.0, self._WIDTH_PX / width)
        size = (round(width * scale), round(height * scale))
        if size[0] < 64 or size[1] < 128:
            return []  # smaller than the finder's window
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        boxes, weights = self._hog.detectMultiScale(small, winStride=(8, 8), scale=1.1)
        out = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(weights).tolist(), strict=True):
            if weight < self._LEAST_WEIGHT:
                continue
            # The window has a rim of about an eighth around the person.
            x0, y0 = max(0, round((x + w / 8) / scale)), max(0, round((y + h / 16) / scale))
            x1 = min(width, round((x + w * 7 / 8) / scale))
            y1 = min(height, round((y + h * 15 / 16) / scale))
            score = min(99, round(50 + 30 * weight))
            out.append(
                Found(
                    class_id=ObjectClass.PERSON, score_pct=score, x=x0, y=y0, width=x1 - x0,
                    height=y1 - y0,
                )
            )  # fmt: skip
        return sorted(out, key=lambda found: -found.score_pct)
