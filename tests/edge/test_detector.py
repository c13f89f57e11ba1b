"""Detectors: the names that load them, the layouts that are read, and one clear line for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gvc_edge.eyes import load_detector
from gvc_profiles.sight.onnx_head import read_head
from gvc_profiles.sight.yolo import decode
from gvc_protocol.errors import UserError
from gvc_protocol.objects import ObjectClass

SIDE = 64


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def part(number: int, content: bytes | str | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def tensor(name: str, values: NDArray[Any]) -> bytes:
    kind = 7 if values.dtype == np.int64 else 1
    dims = b"".join(part(1, d) for d in values.shape)
    return dims + part(2, kind) + part(8, name) + part(9, values.tobytes())


def port(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(part(1, part(1, d)) for d in shape)
    return part(1, name) + part(2, part(1, part(1, 1) + part(2, dims)))


def node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    head = b"".join(part(1, name) for name in inputs) + part(2, output) + part(4, kind)
    return head + b"".join(part(5, a) for a in attributes)


def model(rows: NDArray[np.float32], names: str = "", side: int = SIDE) -> bytes:
    """An ONNX file whose output is `rows`, whatever picture it is given."""
    flat = rows.ravel()
    weights = {
        "w": np.zeros((flat.size, 3), np.float32), "b": flat,
        "shape": np.array([1, *rows.shape], np.int64),
    }  # fmt: skip
    nodes = [
        node("GlobalAveragePool", ["x"], "pooled"),
        node("Flatten", ["pooled"], "flat"),
        node("Gemm", ["flat", "w", "b"], "all", part(1, "transB") + part(3, 1) + part(20, 2)),
        node("Reshape", ["all", "shape"], "y"),
    ]
    graph = b"".join(part(1, n) for n in nodes) + part(2, "g")
    graph += b"".join(part(5, tensor(name, value)) for name, value in weights.items())
    graph += part(11, port("x", (1, 3, side, side))) + part(12, port("y", (1, *rows.shape)))
    file = part(1, 8) + part(7, graph) + part(8, part(1, "") + part(2, 12))
    return file + (part(14, part(1, "names") + part(2, names)) if names else b"")


def rows_v5() -> NDArray[np.float32]:
    """A car, the same car again, a surfboard, and a person who is hardly there; centre and size."""
    rows = np.zeros((100, 85), np.float32)
    rows[0, :5], rows[0, 5 + 2] = (32, 16, 16, 8, 0.9), 1.0
    rows[1, :5], rows[1, 5 + 2] = (33, 16, 16, 8, 0.8), 1.0
    rows[2, :5], rows[2, 5 + 37] = (10, 50, 6, 6, 0.9), 1.0
    rows[3, :5], rows[3, 5 + 0] = (50, 50, 6, 6, 0.2), 1.0
    return rows


def saved(path: Path, rows: NDArray[np.float32], names: str = "") -> str:
    path.write_bytes(model(rows, names))
    return str(path)


def test_movers_need_no_detector() -> None:
    assert load_detector("movers") is None


def test_a_yolo_v5_model_names_a_car_once(tmp_path: Path) -> None:
    detector = load_detector(saved(tmp_path / "a.onnx", rows_v5()))
    assert detector is not None
    (found,) = detector.detect(np.zeros((240, 320, 3), np.uint8))
    # The picture is scaled by 1/5 into the model's 64 pixels.
    assert (found.class_id, found.score_pct) == (ObjectClass.VEHICLE, 90)
    assert (found.x, found.y, found.width, found.height) == (120, 60, 80, 40)


def test_a_yolo_v8_model_brings_its_own_names(tmp_path: Path) -> None:
    out = np.zeros((6, 100), np.float32)
    out[:, 7] = (8, 8, 8, 16, 0.1, 0.7)
    detector = load_detector(saved(tmp_path / "b.onnx", out, "{0: 'kite', 1: 'Pedestrian'}"))
    assert detector is not None
    (found,) = detector.detect(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert (found.class_id, found.score_pct) == (ObjectClass.PERSON, 70)
    assert (found.x, found.y, found.width, found.height) == (4, 0, 8, 16)


def test_corners_and_shares_are_read() -> None:
    out = np.zeros((1, 50, 6), np.float32)
    out[0, 0] = (0.25, 0.5, 0.75, 1.0, 0.8, 8)
    boxes, scores = decode([out], (64, 32))
    assert boxes[0].tolist() == [16, 16, 48, 32]
    assert scores[0].argmax() == 8 and scores.shape == (50, 80)


def test_a_grid_is_read() -> None:
    out = np.full((1, 85, 4, 4), -20, np.float32)
    out[0, :5, 1, 2] = (1.0, 0, 0, 0, 0)
    out[0, 5, 1, 2] = 1.0
    boxes, scores = decode([out], (64, 64))
    assert boxes[6].tolist() == [16, 0, 48, 32] and scores[6, 0] == 1
    assert float(np.delete(scores, 6, axis=0).max()) == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.onnx", None, "cannot read"),
        ("empty.onnx", b"", "not an ONNX model"),
        ("text.onnx", b"hello, this is no model", "not an ONNX model"),
        ("cut.onnx", model(rows_v5())[:4000], "not an ONNX model"),
        ("graph.onnx", part(7, part(2, "g")), "OpenCV cannot run"),
        ("flat.onnx", model(np.zeros((3, 4), np.float32)), "none that is known"),
        ("many.onnx", model(np.zeros((100, 25), np.float32)), "20 classes without names"),
        ("kites.onnx", model(np.zeros((6, 100), np.float32), "{0: 'kite'}"), "knows no people"),
        ("model.pt", b"x", "unknown detector"),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        load_detector(str(path))
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_have_a_head_or_none(raw: bytes) -> None:
    read_head(raw)
    read_head(part(7, raw) + part(14, part(1, "names") + part(2, raw)))


class Hog:
    """What OpenCV's people finder looks like from outside."""

    def setSVMDetector(self, weights: object) -> None:  # noqa: N802 - OpenCV's name
        assert weights == "people"

    def detectMultiScale(self, image: NDArray[np.uint8], **_: object) -> tuple[Any, Any]:  # noqa: N802
        assert image.shape == (360, 640, 3)
        return np.array([(80, 40, 64, 128), (0, 0, 64, 128)]), np.array([[1.2], [0.1]])


def test_people_by_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "HOGDescriptor", Hog, raising=False)
    monkeypatch.setattr(
        cv2, "HOGDescriptor_getDefaultPeopleDetector", lambda: "people", raising=False
    )
    people = load_detector("people")
    assert people is not None
    (found,) = people.detect(np.zeros((720, 1280, 3), np.uint8))
    assert (found.class_id, found.score_pct) == (ObjectClass.PERSON, 86)
    assert (found.x, found.y, found.width, found.height) == (176, 96, 96, 224)
    assert people.detect(np.zeros((64, 64, 3), np.uint8)) == []


def test_an_opencv_without_people_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "HOGDescriptor", raising=False)
    with pytest.raises(UserError, match="without the HOG people finder"):
        load_detector("people")
