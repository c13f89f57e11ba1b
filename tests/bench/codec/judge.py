"""What a detector makes of a decoded clip beside its source: what vanished, and what was invented.

The model is a file of the user's, any COCO YOLO-style ONNX detector. Per sampled frame:

    feature distance   the detector's own features, on three crops (left, middle, right) at full size:
                       each point's vector made a unit vector, squared difference summed over channels,
                       averaged. 0 is the same. It grows with blur, blocking and downscaling, but no
                       people calibrated it: never call it LPIPS.
    recall, precision  boxes in the decoded frame against those in the source frame, same class and
                       IoU of at least 0.5: low recall is a thing that vanished, low precision a thing
                       that was invented.

Features are the outputs of five layers where the model is FastestDet, else those of the last convolution
of each scale. The figures of two models cannot be compared: name the model with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_profiles.sight.yolo import decode
from gvc_protocol.errors import UserError
from tests.bench.codec.metrics import Clip, check_pair, sampled

__all__ = ["FASTEST_DET", "Box", "Judge", "Verdict", "iou", "last_of_each_scale", "matched"]

Floats = NDArray[np.float32]

FASTEST_DET = (
    "onnx::MaxPool_423", "onnx::Conv_432", "input.136", "input.376", "input.504"
)  # fmt: skip
"FastestDet's features: its first layer, the first block, and the end of each of the three stages."
_DEFAULT_PX = 640
_LEAST_SCORE = 0.5
_SAME_OBJECT_IOU = 0.5
_SAME_BOX_IOU = 0.45
_LEAST_CHANNELS = 8
"A convolution of fewer gives answers or bookkeeping, no features."


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One detection. Corners are shares of the picture's width and height."""

    score: float
    class_no: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Sums over the sampled frames of a clip."""

    feature_distance: float
    source_boxes: int
    decoded_boxes: int
    matched: int

    @property
    def recall(self) -> float | None:
        """Share of the source's boxes found again; None where the source shows nothing."""
        return self.matched / self.source_boxes if self.source_boxes else None

    @property
    def precision(self) -> float | None:
        """Share of the decoded clip's boxes that the source has; None where there are none."""
        return self.matched / self.decoded_boxes if self.decoded_boxes else None


class Judge:
    """One detector.

    Raises:
        UserError: no such file, no ONNX model, onnx or onnxruntime missing, or an unknown output.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        model = _load(path)
        self._size, self._kind = _input(path, model)
        self._answers = [o.name for o in model.graph.output]
        there = {name for node in model.graph.node for name in node.output}
        known = there.issuperset(FASTEST_DET)
        inner = [n.output[0] for n in model.graph.node if n.op_type == "Conv"]
        self._levels = list(FASTEST_DET) if known else inner
        self._session = _session(path, model, self._levels)
        self._grid = False
        blank = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        try:
            first = self._run(blank, self._answers)
            decode(first, self._size)
        except ValueError as error:
            raise UserError(f"{path}: {error}; give a YOLO-style detector") from None
        except Exception as error:  # onnxruntime's errors have no public base
            raise _cannot_run(path, error) from None
        # Models with a grid, FastestDet's kind, take colours as OpenCV reads them; others take RGB.
        self._grid = next(out.ndim == 4 for out in first if out.ndim in (3, 4))
        if not known:
            chosen = [n for n in inner if n not in self._answers]
            shapes = [out.shape for out in self._run(blank, chosen)]
            self._levels = last_of_each_scale(chosen, shapes, self._size)
            if not self._levels:
                raise UserError(
                    f"{path} has no features that could be compared; give another model"
                )
            self._session = _session(path, model, self._levels)

    def features(self, bgr: NDArray[np.uint8]) -> list[Floats]:
        """Unit vectors float32[channels, rows, columns] of each level of each crop of a frame."""
        height, width = bgr.shape[:2]
        shrink = min(1.0, width / self._size[0], height / self._size[1])
        w, h = (min(s, round(m * shrink)) for s, m in zip((width, height), self._size, strict=True))
        top, found = (height - h) // 2, []
        for left in (0, (width - w) // 2, width - w):
            crop = np.asarray(bgr[top : top + h, left : left + w])
            if (w, h) != self._size:
                crop = np.asarray(cv2.resize(crop, self._size), np.uint8)
            for level in self._run(crop, self._levels):
                size = np.sqrt((level[0] ** 2).sum(0, keepdims=True))
                found.append(np.asarray(level[0] / (size + 1e-6), np.float32))
        return found

    def distance(self, source: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
        """Feature distance of two frames uint8[h, w, 3] BGR: 0 is the same, 4 the most."""
        pairs = zip(self.features(source), self.features(decoded), strict=True)
        return float(np.mean([((p - q) ** 2).sum(0).mean() for p, q in pairs]))

    def boxes(self, bgr: NDArray[np.uint8]) -> list[Box]:
        """What the detector sees in a frame, surest first, each object once."""
        picture, inner = self._fit(np.asarray(bgr))
        in_pixels, scores = decode(self._run(picture, self._answers), self._size)
        corners = in_pixels / np.array([*inner, *inner], np.float32)
        best = scores.argmax(1)
        score = scores[np.arange(len(scores)), best]
        index = np.flatnonzero((score >= _LEAST_SCORE) & np.isfinite(corners).all(1))
        found = [
            Box(score=float(score[i]), class_no=int(best[i]), x0=x0, y0=y0, x1=x1, y1=y1)
            for i, (x0, y0, x1, y1) in zip(index, corners[index].tolist(), strict=True)
        ]
        kept: list[Box] = []
        for box in sorted(found, key=lambda b: (b.score, b.class_no, b.x0, b.y0), reverse=True):
            if all(box.class_no != k.class_no or iou(box, k) < _SAME_BOX_IOU for k in kept):
                kept.append(box)
        return kept

    def compare(self, source: Clip, decoded: Clip, *, frames: int = 24) -> Verdict:
        """Judge `frames` evenly sampled frames of two clips uint8[n, h, w, 3] BGR."""
        check_pair(source, decoded)
        distances, want, got, same = [], 0, 0, 0
        for i in sampled(len(source), frames):
            distances.append(self.distance(source[i], decoded[i]))
            true, seen = self.boxes(source[i]), self.boxes(decoded[i])
            want, got, same = want + len(true), got + len(seen), same + matched(true, seen)
        return Verdict(
            feature_distance=float(np.mean(distances)), source_boxes=want, decoded_boxes=got,
            matched=same,
        )  # fmt: skip

    def _fit(self, bgr: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The frame in the model's input, and the size that the whole frame takes in there."""
        if self._grid:  # trained on pictures stretched to a square
            return np.asarray(cv2.resize(bgr, self._size), np.uint8), self._size
        height, width = bgr.shape[:2]
        scale = min(self._size[0] / width, self._size[1] / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = np.full((self._size[1], self._size[0], 3), 114, np.uint8)
        canvas[: inner[1], : inner[0]] = cv2.resize(bgr, inner)
        return canvas, inner

    def _run(self, bgr: NDArray[np.uint8], names: list[str]) -> list[Floats]:
        picture = bgr if self._grid else bgr[..., ::-1]
        x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None]).astype(np.float32) / 255
        given = {self._session.get_inputs()[0].name: x.astype(self._kind)}
        return [np.asarray(out, np.float32) for out in self._session.run(names, given)]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    both = max(0.0, width) * max(0.0, height)
    areas = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in (a, b))
    return both / (areas - both + 1e-9)


def matched(true: list[Box], seen: list[Box]) -> int:
    """How many true boxes, surest first, find a seen box of their own: same class, IoU >= 0.5."""
    left, count = list(seen), 0
    for box in true:
        best = max(
            (b for b in left if b.class_no == box.class_no), key=lambda b: iou(box, b), default=None
        )
        if best is not None and iou(box, best) >= _SAME_OBJECT_IOU:
            left.remove(best)
            count += 1
    return count


def _load(path: Path) -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401  (said here, before the model is read)
    except ImportError as error:
        raise UserError(
            f"the judge: {error.name} is missing; pip install onnx onnxruntime"
        ) from None
    if not path.is_file():
        raise UserError(f"cannot read {path}: no such file; give a detector as .onnx")
    try:
        model = onnx.load(str(path))
        if not model.graph.node or not model.graph.input:
            raise ValueError
    except Exception:  # protobuf's errors have no public base
        raise UserError(f"{path} is not an ONNX model; export the detector to ONNX") from None
    return model


def _input(path: Path, model: Any) -> tuple[tuple[int, int], type[Any]]:
    """Width and height of the model's input picture (640x640 where it takes any), and its kind."""
    import onnx

    # Old exports list the weights as inputs too.
    weights = {tensor.name for tensor in model.graph.initializer}
    tensor = next(i for i in model.graph.input if i.name not in weights).type.tensor_type
    dims = [dim.dim_value for dim in tensor.shape.dim]
    kinds = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.FLOAT16: np.float16}
    if len(dims) != 4 or tensor.elem_type not in kinds:
        raise UserError(f"{path} does not take a picture of floats; give a YOLO-style detector")
    return (dims[3] or _DEFAULT_PX, dims[2] or _DEFAULT_PX), kinds[tensor.elem_type]


def _session(path: Path, model: Any, extra: list[str]) -> Any:
    """A session that gives the model's answers and the inner values `extra` too."""
    import onnx
    import onnxruntime

    opened, there = onnx.ModelProto(), {o.name for o in model.graph.output}
    opened.CopyFrom(model)
    for name in (n for n in extra if n not in there):
        # Without a type, onnxruntime infers it; half and float values stand side by side in some.
        opened.graph.output.append(onnx.ValueInfoProto(name=name))
    try:
        return onnxruntime.InferenceSession(
            opened.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as above
        raise _cannot_run(path, error) from None


def _cannot_run(path: Path, error: Exception) -> UserError:
    reason = str(error).splitlines()[0]
    return UserError(f"onnxruntime cannot run {path} ({reason}); export it again")


def last_of_each_scale(
    names: list[str], shapes: list[tuple[int, ...]], size: tuple[int, int]
) -> list[str]:
    """Of convolutions in the graph's order, the last of each scale, the finest scale first.

    Args:
        shapes: of their outputs; only [1, channels, rows, columns] of at least 8 channels counts.
        size: width and height of the input. A scale is this over a power of two.
    """
    last: dict[int, str] = {}
    for name, shape in zip(names, shapes, strict=True):
        if len(shape) != 4 or shape[1] < _LEAST_CHANNELS or 0 in shape:
            continue
        step = size[0] // shape[3]
        if step and (shape[3] * step, shape[2] * step) == size and step & (step - 1) == 0:
            last[step] = name
    return [last[step] for step in sorted(last)]
