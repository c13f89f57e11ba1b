"""What the decoder knew of each tile, and whether the tile was wrong: what the mark is trained on.

    capture -> the base's own decoder, with a recorder -> facts of a tile, its mark, wrong or not
Rows are drawn by a seed of the capture's name; each capture gives about the same number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.alarms import watch
from gvc_base.decoders import make_decoder
from gvc_base.marks import disagreement
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.facts import PLANES, SCALARS, Fact
from gvc_base.marks.model import AWAY, BINS, Model, prepared
from gvc_base.marks.texture import detail
from gvc_base.mission import Mission
from gvc_base.recording import PCAP_PARAMS, open_recording
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import DecodedFrame, Quality
from gvc_protocol.marks import TILE_PX, Mark
from tests.bench.marks.captures import LOSS, Sending, cut, lossy, make_capture, sendings
from tests.bench.marks.scenes import Scene, make_clip, read_clip

__all__ = ["Rows", "Take", "blank_model", "decoded", "harvest", "joined", "square_error", "takes"]

_TILES = 300
"Of each frame that a score was made for."

_TORN, _TORN_SEED = 0.4, 3
"Share of packets lost on the worse link."


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One way of decoding one sending."""

    sending: Sending
    quality: Quality
    loss_seed: int
    "0: nothing lost."
    loss: float = LOSS
    "Share of packets, in bursts."
    cut: bool = False
    "The link goes away in the middle instead."

    @property
    def name(self) -> str:
        """Of its files."""
        heavy = "-cut" if self.cut else f"-{self.loss:g}" if self.loss != LOSS else ""
        return f"{self.sending.name}-{self.quality}-{self.loss_seed}{heavy}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Tiles: inputs float32[n, PLANES + SCALARS] as the network takes them, mark uint8[n], apart
    float32[n]: disagreement with the source, error float32[n]: mean square of the difference, levels of
    255, detail float32[n, 3] of what is shown (`gvc_base.marks.texture.detail`), picture int32[n]:
    which tiles are of one."""

    inputs: NDArray[np.float32]
    mark: NDArray[np.uint8]
    apart: NDArray[np.float32]
    error: NDArray[np.float32]
    detail: NDArray[np.float32]
    picture: NDArray[np.int32]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """As `is_wrong` says."""
        return self.apart > 1

    def seen(self) -> tuple[Rows, NDArray[np.bool_]]:
        """Tiles of pictures that something was received of, and whether those of the others are wrong.

        A picture before anything came is grey: no structure at all, and the same in all of its tiles.
        """
        none = ~self.inputs[:, [Fact.STRUCTURE, Fact.CODED_OWN]].any(1)
        return self.of(~none), self.wrong[none]

    def of(self, these: NDArray[np.bool_]) -> Rows:
        """Some of the tiles."""
        return Rows(
            self.inputs[these], self.mark[these], self.apart[these], self.error[these],
            self.detail[these], self.picture[these],
        )  # fmt: skip


def takes(scene: Scene) -> list[Take]:
    """How a scene is decoded to train or calibrate: as a mission is, half of it through a bad link.

    The network is slow, so of the two sendings of codec 1 a training scene uses it on one. Parity makes
    good most of a bad link's losses in so short a scene, so there is a worse one, too, which takes the
    first unit with it, and one that goes away after it.
    """
    odd = scene.seed % 2
    if scene.name.endswith("-wide") or scene.kind == "drone":
        # Of the size of most missions, and sent as these are; half of them lose a fifth.
        return [
            Take(sending=s, quality="standard", loss_seed=(i + odd) % 2 if i else 0)
            for i, s in enumerate(sendings(scene))
        ]
    low, high, classical = sendings(scene)
    one, other = (low, high) if odd else (high, low)
    rows: list[tuple[Sending, Quality, int]] = [
        (one, "standard", scene.seed // 2 % 2), (other, "preview", 1 - scene.seed // 2 % 2),
        (classical, "standard", odd),
    ]  # fmt: skip
    if scene.split == "calibrate":
        rows += [
            (other, "standard", 1 - scene.seed // 2 % 2), (classical, "standard", 1 - odd),
            (one, "preview", 2),
        ]  # fmt: skip
    out = [Take(sending=s, quality=q, loss_seed=seed) for s, q, seed in rows]
    torn = [one, classical] if scene.split == "calibrate" else [one]
    out += [Take(sending=s, quality="standard", loss_seed=_TORN_SEED, loss=_TORN) for s in torn]
    # Of two units, so that something is held in the second.
    return out + [
        Take(sending=replace(s, latency_s=2.0), quality="standard", loss_seed=1, cut=True)
        for s in (one, classical)
    ]


def blank_model() -> Model:
    """A model that says nothing, to decode with before there is one."""

    def nothing(inputs: int) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
        shapes = ((1, inputs), (1, 1), (1, 1))
        return tuple((np.zeros(s, np.float32), np.zeros(s[0], np.float32)) for s in shapes)

    return Model(
        layers=nothing(PLANES + SCALARS), away_layers=nothing(len(AWAY) + 1),
        error_layers=nothing(4 + len(Mark)),
        p=np.ones((len(Mark), BINS), np.float16), trusted=np.zeros(len(Mark), np.float32),
        vouched=0.0, received=1.0, unseen=0.0, label="blank",
    )  # fmt: skip


def decoded(capture: Path, quality: Quality, doubt: Doubt | None) -> Iterator[DecodedFrame]:
    """Every frame of a capture, as `gvc-base decode` shows it."""
    mission, decoder = Mission(PCAP_PARAMS), None
    for job in _jobs(mission, capture):
        decoder = decoder or watch(
            make_decoder(job.spec, quality, "auto", doubt),
            vouched=doubt.model.vouched if doubt is not None else None,
        )
        for frame in decoder.decode(job.unit, job.span):
            if frame.frame_no >= job.first_new_frame:
                yield frame


def _jobs(mission: Mission, capture: Path) -> Iterator[DecodeJob]:
    now = 0
    for now, data in open_recording(capture, None).packets():
        yield from mission.receive(data, now)
    yield from mission.close(now, to_total=True)


def harvest(take: Take, data: Path, folder: Path) -> Rows:
    """The rows of one take, made once."""
    path = folder / f"{take.name}.npz"
    if not path.exists():
        capture = make_capture(take.sending, data, folder)
        if take.cut:
            capture = cut(capture, take.loss_seed)
        elif take.loss_seed:
            capture = lossy(capture, take.loss_seed, take.loss)
        clip = read_clip(make_clip(take.sending.scene, data, folder))
        rows = _rows(capture, take, clip)
        part = path.with_suffix(".part.npz")
        np.savez(
            part, inputs=rows.inputs.astype(np.float16), mark=rows.mark, apart=rows.apart,
            error=rows.error, detail=rows.detail.astype(np.float16), picture=rows.picture,
        )  # fmt: skip
        part.rename(path)
    with np.load(path) as file:
        inputs = file["inputs"].astype(np.float32)
        prepared(inputs.T[:PLANES])
        shown = file["detail"].astype(np.float32)
        return Rows(inputs, file["mark"], file["apart"], file["error"], shown, file["picture"])


def _rows(capture: Path, take: Take, clip: NDArray[np.uint8]) -> Rows:
    """`_TILES` tiles of each picture that a score was made for; inputs as the facts are."""
    rng = np.random.default_rng(zlib.crc32(take.name.encode()))
    seen: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def record(frame: int, planes: NDArray[np.float32], scalars: NDArray[np.float32]) -> None:
        seen[frame] = (planes, scalars)

    found: list[Rows] = []
    for frame in decoded(capture, take.quality, Doubt(blank_model(), record)):
        known = seen.pop(frame.frame_no, None)
        if known is None or frame.frame_no >= len(clip):
            continue
        true = clip[frame.frame_no]
        apart = disagreement(true, frame.pixels)
        pick = rng.permutation(apart.size)[:_TILES]
        planes, scalars = known
        chosen = planes.reshape(PLANES, -1)[:, pick].T
        found.append(Rows(
            np.concatenate([chosen, np.tile(scalars, (len(pick), 1))], 1),
            frame.mark.ravel()[pick], apart.ravel()[pick],
            square_error(true, frame.pixels, frame.mark.shape).ravel()[pick],
            detail(frame.pixels).reshape(3, -1)[:, pick].T,
            np.full(len(pick), len(found), np.int32),
        ))  # fmt: skip
    return joined(found)


def joined(rows: Sequence[Rows]) -> Rows:
    """All of them, one after the other."""
    none = Rows(
        np.zeros((0, PLANES + SCALARS), np.float32), np.zeros(0, np.uint8),
        np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, 3), np.float32),
        np.zeros(0, np.int32),
    )  # fmt: skip
    names = ("inputs", "mark", "apart", "error", "detail", "picture")
    return Rows(*(np.concatenate([getattr(r, n) for r in (none, *rows)]) for n in names))


def square_error(
    true: NDArray[np.uint8], shown: NDArray[np.uint8], grid: tuple[int, ...]
) -> NDArray[np.float32]:
    """Mean square of the difference in each tile, levels of 255, float32[R, C]."""
    square = np.square(true.astype(np.float32) - shown.astype(np.float32)).mean(2)
    rows, columns = grid
    below, right = rows * TILE_PX - square.shape[0], columns * TILE_PX - square.shape[1]
    whole = cv2.copyMakeBorder(square, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
