"""Scenes on disk: true pictures, what a base decodes of them, and the flow between the decoded ones.

One .npz a scene, made once from config and seed, so that a run can be resumed and repeated:
    true  uint8[n, H, W, 3]     low  uint8[n, h, w, 3]     scale, cost
    back, ahead  float16[n, H/4, W/4, 2]: flow from each decoded picture to the one before and after,
    in pixels of the full picture; back_trust, ahead_trust uint8[n, H/4, W/4], 255 = trusted
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.decoders.fusion import grey
from gvc_base.decoders.motion import FlowEngine, agreement, resize_flow
from gvc_base.neural.layout import CELL_PX
from gvc_base.train.coding import code, random_recipe
from gvc_base.train.config import DataConfig
from gvc_base.train.flyover import fly
from gvc_protocol.errors import UserError

__all__ = ["Job", "make_scene", "plan"]

U8 = NDArray[np.uint8]

_FLOW_WIDTH_PX = 480
_RATES_HZ = (5.0, 7.5, 10.0, 10.0, 15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One scene to make: from which file, and the seed of everything random about it."""

    name: str
    source: Path
    synthetic: bool
    seed: int


def plan(config: DataConfig, root: Path, seed: int) -> list[Job]:
    """Which scenes a run has, from what lies in `root`.

    Raises:
        UserError: nothing matches.
    """
    photos, clips = matching(root, config.photos, config), matching(root, config.clips, config)
    if not photos and not clips:
        raise UserError(f"{root}: no photo or clip matches the run's patterns; see its [data] part")
    jobs = []
    for kind, files, count in (("flight", photos, config.flights), ("cut", clips, config.cuts)):
        for index in range(count if files else 0):
            source = files[index % len(files)]
            name = f"{kind}-{index:04d}"
            mixed = zlib.crc32(f"{seed}/{name}/{source.name}".encode())
            jobs.append(Job(name=name, source=source, synthetic=kind == "flight", seed=mixed))
    return jobs


def matching(root: Path, patterns: tuple[str, ...], config: DataConfig) -> list[Path]:
    """Files of a run, sorted, without those held out."""
    found = sorted({path for pattern in patterns for path in root.glob(pattern)})
    return [p for p in found if not any(word in p.name for word in config.held_out)]


def make_scene(job: Job, config: DataConfig, out: Path) -> Path:
    """Render or cut, code, decode, find the flow, write. Nothing is done when the file is there."""
    path = out / f"{job.name}.npz"
    if path.exists():
        return path
    rng = np.random.default_rng(job.seed)
    hz = float(rng.choice(_RATES_HZ))
    true = _flight(job, config, hz) if job.synthetic else _cut(job, config, hz, rng)
    recipe = random_recipe(rng)
    coded = code(true, recipe, hz)
    low = coded.pictures[: len(true)]
    true = true[: len(low)]
    part = path.with_suffix(".part.npz")
    np.savez(
        part, true=np.stack(true), low=np.stack(low), scale=np.float32(recipe.scale),
        cost=np.float32(coded.bits_per_coded_pixel), hz=np.float32(hz), **_flows(low, config),
    )  # fmt: skip
    part.rename(path)
    return path


def _flight(job: Job, config: DataConfig, hz: float) -> list[U8]:
    photo = cv2.imread(str(job.source))
    if photo is None:
        raise UserError(f"{job.source}: cannot be read as a picture")
    return fly(
        np.asarray(photo, np.uint8), seed=job.seed, frames=config.frames, hz=hz,
        width=config.width, height=config.height,
    )  # fmt: skip


def _cut(job: Job, config: DataConfig, hz: float, rng: np.random.Generator) -> list[U8]:
    """Frames of a clip from a random start, perhaps mirrored or cropped to half of its size."""
    with av.open(str(job.source)) as container:
        stream = container.streams.video[0]
        step = max(1, round(float(stream.average_rate or 30) / hz))
        frames = list(_decoded(container))
    first = int(rng.integers(0, max(1, len(frames) - step * config.frames)))
    chosen = frames[first : first + step * config.frames : step]
    high, wide = chosen[0].shape[:2]
    ratio = max(config.width / wide, config.height / high) * float(rng.choice([1.0, 1.0, 1.5]))
    out = []
    mirrored, at_x, at_y = rng.random() < 0.5, rng.random(), rng.random()
    for frame in chosen:
        how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        big = cv2.resize(frame, None, fx=ratio + 1e-6, fy=ratio + 1e-6, interpolation=how)
        big = np.ascontiguousarray(big[:, ::-1]) if mirrored else big
        x = round(at_x * max(0, big.shape[1] - config.width))
        y = round(at_y * max(0, big.shape[0] - config.height))
        view = np.asarray(big[y : y + config.height, x : x + config.width], np.uint8)
        if view.shape[:2] != (config.height, config.width):
            view = np.asarray(cv2.resize(view, (config.width, config.height)), np.uint8)
        out.append(view)
    return out


def _decoded(container: av.container.InputContainer) -> Iterator[U8]:
    for frame in container.decode(video=0):
        yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _flows(low: list[U8], config: DataConfig) -> dict[str, Any]:
    """Flow and trust to the neighbour on each side; zero where there is none."""
    engine = FlowEngine(fine=False)
    greys = [grey(picture, _FLOW_WIDTH_PX) for picture in low]
    h, w = config.height // CELL_PX, config.width // CELL_PX
    out: dict[str, Any] = {}
    for name, way in (("back", -1), ("ahead", 1)):
        flow = np.zeros((len(low), h, w, 2), np.float16)
        trust = np.zeros((len(low), h, w), np.uint8)
        for i in range(len(low)):
            if 0 <= i + way < len(low):
                there = engine.flow(greys[i], greys[i + way])
                back = engine.flow(greys[i + way], greys[i])
                small = resize_flow(there, w, h) * CELL_PX
                flow[i] = small.astype(np.float16)
                trust[i] = (cv2.resize(agreement(there, back), (w, h)) * 255).astype(np.uint8)
        out[name], out[f"{name}_trust"] = flow, trust
    return out
