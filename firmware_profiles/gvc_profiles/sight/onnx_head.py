"""What an ONNX file says about itself: the size of its input and the names of its classes.

OpenCV runs a model but tells neither. The file is a protocol buffer, of which a few fields are read:

    ModelProto: 7 graph, 14 metadata (1 key, 2 value);  GraphProto: 5 initializer (8 name), 11 input
    ValueInfoProto: 1 name, 2 type . 1 tensor . 2 shape . 1 dim . 1 value
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["OnnxHead", "read_head"]

_BYTES = 2
_SIZES = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxHead:
    """Facts about a model."""

    input_size: tuple[int, int] | None
    "Width and height of the input picture; None when the model takes any."
    names: dict[int, str]
    "Names of the classes where the file has them (Ultralytics writes them), else empty."


def read_head(data: bytes) -> OnnxHead | None:
    """Read a whole ONNX file's bytes; None when they are not one."""
    try:
        model = list(_fields(memoryview(data)))
        graphs = [value for number, value in model if number == 7]
        if not graphs:
            return None
        graph = list(_fields(graphs[0]))
        weights = {_text(tensor, 8) for number, tensor in graph if number == 5}
        inputs = [value for number, value in graph if number == 11]
        pictures = [value for value in inputs if _text(value, 1) not in weights]
        names: dict[int, str] = {}
        for number, entry in model:
            if number == 14 and _text(entry, 1) == "names":
                names = _names(_text(entry, 2))
        return OnnxHead(input_size=_size(pictures[0]) if pictures else None, names=names)
    except (ValueError, IndexError):
        return None


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Field numbers and contents; a number comes as its own bytes. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        start = at
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == _BYTES:
            length, start = _varint(data, at)
            at = start + length
        elif kind in _SIZES:
            at += _SIZES[kind]
        else:
            raise ValueError(f"no such kind of field: {kind}")
        if at > len(data):
            raise ValueError("a field runs past the end")
        yield key >> 3, data[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i in range(10):
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError("no varint")


def _first(data: memoryview, *path: int) -> memoryview | None:
    for wanted in path:
        found = next((value for number, value in _fields(data) if number == wanted), None)
        if found is None:
            return None
        data = found
    return data


def _text(data: memoryview, number: int) -> str:
    found = _first(data, number)
    return "" if found is None else bytes(found).decode("utf-8", "replace")


def _size(picture: memoryview) -> tuple[int, int] | None:
    shape = _first(picture, 2, 1, 2)
    if shape is None:
        return None
    dims = [value for number, value in _fields(shape) if number == 1]
    if len(dims) != 4:
        return None
    sides = []
    for dim in (dims[3], dims[2]):
        raw = _first(dim, 1)
        sides.append(0 if raw is None else _varint(raw, 0)[0])
    width, height = sides
    return (width, height) if 16 <= width <= 4096 and 16 <= height <= 4096 else None


def _names(text: str) -> dict[int, str]:
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    if isinstance(read, list):
        read = dict(enumerate(read))
    if not isinstance(read, dict):
        return {}
    return {int(k): str(v) for k, v in read.items() if isinstance(k, int)}
