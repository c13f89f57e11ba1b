"""YOLO-style ONNX models through OpenCV's own network runner: no other library is needed.

Four layouts of the output are known, C classes, N boxes:

    [1, N, 5 + C]   YOLOv5 and kin: centre, size, objectness, classes
    [1, 4 + C, N]   YOLOv8 and kin: centre, size, classes
    [1, N, 6]       models that choose by themselves: two corners, score, class
    [1, 5 + C, h, w]  FastestDet: objectness, offset, size, classes in each cell of a grid
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.detector import Found
from gvc_profiles.sight.onnx_head import read_head
from gvc_protocol.errors import UserError
from gvc_protocol.objects import ObjectClass

__all__ = ["YoloDetector", "decode"]

Floats = NDArray[np.float32]

_DEFAULT_SIZE = (640, 640)
_LEAST_SCORE = 0.35
_SAME_BOX_IOU = 0.5
_MOST_FOUND = 64

_KINDS: dict[ObjectClass, tuple[str, ...]] = {
    ObjectClass.PERSON: ("person", "people", "pedestrian", "human"),
    ObjectClass.VEHICLE: (
        "bicycle", "car", "motorcycle", "motor", "motorbike", "airplane", "bus", "train", "truck",
        "van", "tricycle", "awning-tricycle", "vehicle",
    ),
    ObjectClass.BOAT: ("boat", "ship"),
    ObjectClass.ANIMAL: (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
        "animal",
    ),
    ObjectClass.FIRE: ("fire", "flame"),
}  # fmt: skip
_BY_NAME = {name: kind for kind, names in _KINDS.items() for name in names}
_COCO_CLASSES = 80
_COCO = {
    0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 4: "airplane", 5: "bus", 6: "train",
    7: "truck", 8: "boat", 14: "bird", 15: "cat", 16: "dog", 17: "horse", 18: "sheep", 19: "cow",
    20: "elephant", 21: "bear", 22: "zebra", 23: "giraffe",
}  # fmt: skip


class YoloDetector:
    """One model file.

    Raises:
        UserError: the file is missing, no ONNX model, or of an output or classes that are not known.
    """

    def __init__(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}; check the path") from None
        head = read_head(data)
        if head is None:
            raise UserError(f"{path} is not an ONNX model; export the detector to ONNX")
        self._size, self._rgb = head.input_size or _DEFAULT_SIZE, True
        try:
            self._net: Any = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
            blank = np.zeros((self._size[1], self._size[0], 3), np.uint8)
            outputs = self._run(blank)
            _, scores = decode(outputs, self._size)
        except cv2.error as error:
            reason = str(error.err or error).splitlines()[0]
            raise UserError(
                f"OpenCV cannot run {path} ({reason}); export it with opset 12"
            ) from None
        except ValueError as error:
            raise UserError(f"{path}: {error}; give a YOLO-style detector") from None
        # FastestDet, the one with a grid, was trained on pictures as OpenCV reads them.
        self._rgb = all(out.ndim != 4 for out in outputs)
        self._kinds = _kinds(path, scores.shape[1], head.names)

    def detect(self, bgr: NDArray[np.uint8]) -> list[Found]:
        """See `Detector`."""
        height, width = bgr.shape[:2]
        # Scaled to fit and padded: models are trained on undistorted pictures.
        scale = min(self._size[0] / width, self._size[1] / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = np.full((self._size[1], self._size[0], 3), 114, np.uint8)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[: inner[1], : inner[0]] = cv2.resize(bgr, inner, interpolation=way)
        boxes, scores = decode(self._run(canvas), self._size)
        return _choose(boxes / scale, scores, self._kinds, (width, height))

    def _run(self, picture: NDArray[np.uint8]) -> list[Floats]:
        self._net.setInput(cv2.dnn.blobFromImage(picture, 1 / 255, swapRB=self._rgb))
        return [np.asarray(o, np.float32) for o in self._net.forward(self._names())]

    def _names(self) -> Any:
        return self._net.getUnconnectedOutLayersNames()


def decode(outputs: list[Floats], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Boxes and scores out of what a model gives.

    Args:
        size: width and height of the model's input.

    Returns:
        float32[N, 4] corners x0, y0, x1, y1 in the input's pixels; float32[N, C] scores 0..1.

    Raises:
        ValueError: the layout is not known.
    """
    for out in outputs:
        if out.ndim == 4 and out.shape[0] == 1 and out.shape[1] > 5:
            return _from_grid(out[0], size)
        if out.ndim == 3 and out.shape[0] == 1 and min(out.shape[1:]) >= 5:
            return _from_rows(out[0], size)
    shapes = ", ".join(str(list(out.shape)) for out in outputs)
    raise ValueError(f"its output {shapes} is none that is known")


def _from_rows(out: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    if out.shape[1] == 6 and out.shape[0] != 6:
        scores = np.zeros((len(out), _COCO_CLASSES), np.float32)
        kinds = np.clip(out[:, 5], 0, _COCO_CLASSES - 1).astype(int)
        scores[np.arange(len(out)), kinds] = out[:, 4]
        return _in_pixels(out[:, :4], size), scores
    # Both layouts have far more boxes than classes.
    upright = out.shape[0] > out.shape[1]
    rows = out if upright else out.T
    scores = rows[:, 5:] * rows[:, 4:5] if upright else rows[:, 4:]
    if scores.shape[1] == 0:
        raise ValueError(f"its output {[1, *out.shape]} has no classes")
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    return _in_pixels(corners, size), np.asarray(scores, np.float32)


def _in_pixels(corners: Floats, size: tuple[int, int]) -> Floats:
    """Some exports give shares of the picture's size in place of pixels."""
    if len(corners) and float(np.abs(corners).max()) <= 2.0:
        corners = corners * np.array([*size, *size], np.float32)
    return np.asarray(corners, np.float32)


def _from_grid(out: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    rows, columns = out.shape[1:]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    centre_x = (x + np.tanh(out[1])) / columns * size[0]
    centre_y = (y + np.tanh(out[2])) / rows * size[1]
    # Clipped, as exp of a wild number overflows.
    half_w, half_h = (size[i] / 2 / (1 + np.exp(-np.clip(out[3 + i], -30, 30))) for i in (0, 1))
    boxes = [centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h]
    scores = np.clip(out[0], 0, 1) ** 0.6 * np.clip(out[5:], 0, 1) ** 0.4
    flat = scores.reshape(len(scores), -1).T
    return np.stack(boxes, -1).reshape(-1, 4).astype(np.float32), np.asarray(flat, np.float32)


def _kinds(path: Path, classes: int, names: dict[int, str]) -> dict[int, ObjectClass]:
    """The model's class numbers that mean something to us."""
    if not names and classes == _COCO_CLASSES:
        names = _COCO
    if not names:
        raise UserError(
            f"{path} has {classes} classes without names; "
            "give a COCO model, or one with names in its metadata"
        )
    known = {i: _BY_NAME[n.lower()] for i, n in names.items() if n.lower() in _BY_NAME}
    if not known:
        raise UserError(
            f"{path} knows no people, vehicles, boats, animals or fire; give another model"
        )
    return known


def _choose(
    boxes: Floats, scores: Floats, kinds: dict[int, ObjectClass], size: tuple[int, int]
) -> list[Found]:
    """The surest box of each object, in whole pixels inside a picture of `size`."""
    best = scores.argmax(axis=1)
    score = scores[np.arange(len(scores)), best]
    wanted = (score >= _LEAST_SCORE) & np.isin(best, list(kinds)) & np.isfinite(boxes).all(1)
    index = np.flatnonzero(wanted)
    index = index[np.argsort(-score[index], kind="stable")][: 8 * _MOST_FOUND]
    kept: list[int] = []
    for i in index.tolist():
        if all(_iou(boxes[i], boxes[k]) < _SAME_BOX_IOU for k in kept):
            kept.append(i)
    found = []
    for i in kept[:_MOST_FOUND]:
        x0, y0 = np.maximum(np.round(boxes[i, :2]), 0).astype(int).tolist()
        x1, y1 = np.minimum(np.round(boxes[i, 2:]), size).astype(int).tolist()
        if x1 - x0 < 2 or y1 - y0 < 2:
            continue
        found.append(
            Found(
                class_id=kinds[int(best[i])], score_pct=min(100, round(100 * float(score[i]))),
                x=x0, y=y0, width=x1 - x0, height=y1 - y0,
            )
        )  # fmt: skip
    return found


def _iou(a: Floats, b: Floats) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))
