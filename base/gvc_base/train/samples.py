"""Random crops of scenes as short sequences, with everything that goes wrong on the air.

Each sequence starts with a memory that is empty, an older decoded picture, or received pixels (a
keyframe or some of its tiles, with codec damage); flow is disturbed, tiles of it are lost.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gvc_base.neural.layout import CELL_PX, cost_value, scale_value

__all__ = ["Sequence", "batches", "prefetched"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Array = Any
"Arrays straight from a scene's file, of whatever type they were stored in."

_RENEW_EVERY = 6
"Batches between two scenes read from disk."


@dataclass(frozen=True, slots=True)
class Sequence:
    """A batch of sequences: leading axes [batch, time]. Pictures are float32 in 0..1."""

    true: Tensor
    current: Tensor
    ahead: Tensor
    "The next decoded picture, already moved onto this one."
    ahead_trust: Tensor
    "[b, t, 1, h/4, w/4]"
    back: Tensor
    "[b, t, 2, h/4, w/4], flow to the picture before, pixels."
    back_trust: Tensor
    scale: Tensor
    cost: Tensor
    "[b]"
    memory: Tensor
    "[b, 3, h, w], the memory at the moment before the first."
    received: Tensor
    "[b, 1, h/4, w/4], which part of it are received pixels."
    age_s: Tensor
    hz: Tensor


def batches(
    folder: Path, *, seed: int, batch: int, crop: int, length: int, kept: int = 40
) -> Iterator[Sequence]:
    """Endless batches. `kept` scenes are held in memory and renewed one by one."""
    rng = np.random.default_rng(seed)
    paths = sorted(folder.glob("*.npz"))
    paths = [p for p in paths if not p.name.endswith(".part.npz")]
    scenes = [_load(paths[int(i)]) for i in rng.permutation(len(paths))[:kept]]
    for number in itertools.count():
        if len(paths) > kept and number % _RENEW_EVERY == 0:
            scenes[int(rng.integers(len(scenes)))] = _load(paths[int(rng.integers(len(paths)))])
        rows: list[dict[str, Array]] = []
        while len(rows) < batch:
            scene = scenes[int(rng.integers(len(scenes)))]
            if len(scene["low"]) > length:
                rows.append(_sequence(scene, rng, crop, length))
        stacked = {k: torch.from_numpy(np.stack([row[k] for row in rows])) for k in rows[0]}
        yield Sequence(**stacked)


def _load(path: Path) -> dict[str, Array]:
    with np.load(path) as file:
        scene = {name: file[name] for name in file.files}
    high, wide = scene["true"].shape[1:3]
    # Enlarged once, as the decoder does it: every sample cuts its window from here.
    scene["low"] = np.stack([_enlarged(low, high, wide) for low in scene["low"]])
    return scene


def _sequence(
    scene: dict[str, Array], rng: np.random.Generator, crop: int, length: int
) -> dict[str, Array]:
    count, high, wide = scene["true"].shape[:3]
    first = int(rng.integers(1, count - length + 1)) if count > length else 0
    x = int(rng.integers(0, (wide - crop) // CELL_PX + 1)) * CELL_PX
    y = int(rng.integers(0, (high - crop) // CELL_PX + 1)) * CELL_PX
    window = (x, y, crop)
    shift = _disturbance(rng, crop)
    rows: dict[str, list[Array]] = {
        k: [] for k in ("true", "current", "ahead", "ahead_trust", "back", "back_trust")
    }
    for i in range(first, first + length):
        current = _view(scene["low"][i], window)
        ahead, trust = current, np.zeros((crop // CELL_PX,) * 2, np.float32)
        if i + 1 < count and rng.random() < 0.9:
            ahead = _moved(scene["low"][i + 1], scene["ahead"][i], window, shift)
            trust = _cells(scene["ahead_trust"][i], window) / np.float32(255)
        rows["true"].append(_planar(scene["true"][i][y : y + crop, x : x + crop]))
        rows["current"].append(_planar(current))
        rows["ahead"].append(_planar(ahead))
        rows["ahead_trust"].append(trust[None])
        flow = _cells(scene["back"][i], window) + shift
        rows["back"].append(np.ascontiguousarray(flow.transpose(2, 0, 1)))
        rows["back_trust"].append((_cells(scene["back_trust"][i], window) / 255)[None])
    memory, received, age = _memory(scene, rng, first - 1, window)
    out: dict[str, Array] = {k: np.stack(v) for k, v in rows.items()}
    out |= {"memory": _planar(memory), "received": received[None], "age_s": age[None]}
    out["scale"] = np.float32(scale_value(float(scene["scale"])))
    out["cost"] = np.float32(cost_value(float(scene["cost"])))
    out["hz"] = np.float32(scene["hz"])
    return {k: np.asarray(v, np.float32) for k, v in out.items()}


def _memory(
    scene: dict[str, Array],
    rng: np.random.Generator,
    at: int,
    window: tuple[int, int, int],
) -> tuple[U8, F32, F32]:
    """The memory before the first moment: (picture, received share, age in seconds)."""
    x, y, crop = window
    cells = crop // CELL_PX
    low = _view(scene["low"][at], window)
    received: Any = np.zeros((cells, cells), np.float32)
    age: Any = np.zeros((cells, cells), np.float32)
    if rng.random() < 0.5:
        return low, received, age
    true = np.ascontiguousarray(scene["true"][at][y : y + crop, x : x + crop])
    damaged = _damaged(true, rng)
    for _ in range(int(rng.integers(1, 5))):
        w, h = (int(v) for v in rng.integers(4, cells + 1, 2))
        cx, cy = int(rng.integers(0, cells - w + 1)), int(rng.integers(0, cells - h + 1))
        received[cy : cy + h, cx : cx + w] = 1
    age += received * np.float32(rng.exponential(1.5))
    mask = np.kron(received, np.ones((CELL_PX, CELL_PX), np.float32))[..., None]
    return np.asarray(damaged * mask + low * (1 - mask), np.uint8), received, age


def _damaged(true: U8, rng: np.random.Generator) -> U8:
    """A still's codec damage, by JPEG: what matters is that it is not the truth."""
    ok, data = cv2.imencode(".jpg", true, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
    assert ok
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _disturbance(rng: np.random.Generator, crop: int) -> F32:
    """Smooth wrong motion in pixels, float32[crop/4, crop/4, 2]; zero two times in three."""
    cells = crop // CELL_PX
    if rng.random() < 0.67:
        return np.zeros((cells, cells, 2), np.float32)
    coarse = rng.standard_normal((4, 4, 2)).astype(np.float32) * np.float32(rng.uniform(0.3, 2.5))
    return np.asarray(cv2.resize(coarse, (cells, cells), interpolation=cv2.INTER_CUBIC), np.float32)


def _cells(plane: Array, window: tuple[int, int, int]) -> F32:
    x, y, crop = (v // CELL_PX for v in window)
    return np.asarray(plane[y : y + crop, x : x + crop], np.float32)


def _view(low: Array, window: tuple[int, int, int]) -> U8:
    """The window of an enlarged low-resolution picture."""
    x, y, crop = window
    return np.asarray(low[y : y + crop, x : x + crop], np.uint8)


def _enlarged(low: Array, high: int, wide: int) -> U8:
    size = (wide, high)
    return np.asarray(cv2.resize(np.asarray(low, np.uint8), size, interpolation=cv2.INTER_CUBIC))


def _moved(low: Array, flow: Array, window: tuple[int, int, int], shift: F32) -> U8:
    x, y, crop = window
    vectors = cv2.resize(_cells(flow, window) + shift, (crop, crop))
    grid_x, grid_y = np.meshgrid(
        np.arange(crop, dtype=np.float32), np.arange(crop, dtype=np.float32)
    )
    at_x, at_y = grid_x + x + vectors[..., 0], grid_y + y + vectors[..., 1]
    picture = np.asarray(low, np.uint8)
    out = cv2.remap(picture, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def _planar(picture: U8) -> F32:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def prefetched(feed: Iterator[Sequence], depth: int = 3) -> Iterator[Sequence]:
    """The same batches, made ahead in a thread (decoding and resizing let go of the interpreter)."""
    waiting: queue.Queue[Sequence] = queue.Queue(depth)

    def work() -> None:
        for item in feed:
            waiting.put(item)

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield waiting.get()
