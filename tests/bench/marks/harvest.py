"""What the decoder knew of each tile, and whether the tile was wrong: what the mark is trained on.

capture -> the base's own decoder, with a recorder -> facts of each tile, its mark, how wrong it is
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.alarms import watch
from gvc_base.decoders import make_decoder
from gvc_base.marks import disagreement
from gvc_base.marks.doubt import Doubt
from gvc_base.marks.facts import PLANES, SCALARS, Told
from gvc_base.marks.model import AWAY, BINS, Model
from gvc_base.marks.texture import detail
from gvc_base.mission import Mission
from gvc_base.recording import PCAP_PARAMS, open_recording
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import DecodedFrame, PartData, Quality, ReceivedUnit
from gvc_protocol.marks import TILE_PX, Mark
from tests.bench.marks.captures import LOSS, Sending, cut, lossy, make_capture, sendings
from tests.bench.marks.grids import Grids
from tests.bench.marks.scenes import Scene, make_clip, read_clip

__all__ = ["Take", "blank_model", "decoded", "harvest", "square_error", "takes"]

_Place = tuple[int, int, int, int]
"Slice, rows and columns of the map, number of the unit."

_TORN, _TORN_SEED = 0.4, 3
"Share of packets lost on the worse link."

Gone = Literal["", "unit", "pictures", "some"]
_GONE: tuple[Gone, ...] = ("unit", "pictures", "some")
_RUN_BYTES = 600
"About a burst of packets."
_SHARE_OF_K = (-0.5, 1.0)
"Below none there is none."


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One way of decoding one sending."""

    sending: Sending
    quality: Quality
    loss_seed: int = 0
    "0: nothing lost."
    loss: float = LOSS
    "Share of packets, in bursts."
    cut: bool = False
    "The link goes away in the middle instead."
    gone: Gone = ""
    "Instead, this much of what was sent is not there, see `_without`."

    @property
    def name(self) -> str:
        """Of its files."""
        heavy = "-cut" if self.cut else f"-{self.loss:g}" if self.loss != LOSS else ""
        heavy = f"-no-{self.gone}" if self.gone else heavy
        return f"{self.sending.name}-{self.quality}-{self.loss_seed}{heavy}"


def takes(scene: Scene) -> list[Take]:
    """How a scene is decoded to train or calibrate: as a mission is, half of it through a bad link.

    The network is slow, so of the two sendings of codec 1 a training scene uses it on one. Parity makes
    good most of a bad link's losses in so short a scene, so there is a worse one, too, which takes the
    first unit with it, and one that goes away after it. What else a bad link leaves, and seldom does
    in these scenes, is made by taking the rest out.
    """
    odd = scene.seed % 2
    if scene.name.endswith("-wide") or scene.kind == "drone":
        # Of the size of most missions, and sent as these are; more than half of them lose a fifth.
        each = sendings(scene)
        out = [
            Take(sending=s, quality="standard", loss_seed=(i + odd) % 2 if i else 0)
            for i, s in enumerate(each)
        ] + [Take(sending=s, quality="standard", loss_seed=2) for s in each]
        return out + [Take(sending=each[1], quality="standard", gone=g) for g in _GONE]
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
    twice = [replace(s, latency_s=2.0) for s in (one, classical)]
    out += [Take(sending=s, quality="standard", loss_seed=1, cut=True) for s in twice]
    return out + [Take(sending=twice[0], quality="standard", gone=g) for g in _GONE]


def blank_model() -> Model:
    """A model that says nothing, to decode with before there is one."""

    def nothing(inputs: int) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
        shapes = ((1, inputs), (1, 1), (1, 1))
        return tuple((np.zeros(s, np.float32), np.zeros(s[0], np.float32)) for s in shapes)

    return Model(
        layers=nothing(PLANES + SCALARS), own_layers=nothing(PLANES + SCALARS),
        away_layers=nothing(len(AWAY) + 1),
        error_layers=nothing(4 + len(Mark)),
        p=np.ones((len(Mark), BINS), np.float16), trusted=np.zeros(len(Mark), np.float32),
        vouched=0.0, received=1.0, unseen=0.0, label="blank",
    )  # fmt: skip


def decoded(
    capture: Path, quality: Quality, doubt: Doubt | None, *, gone: Gone = ""
) -> Iterator[DecodedFrame]:
    """Every frame of a capture, as `gvc-base decode` shows it.

    Args:
        gone: what of it is not there, see `_without`.
    """
    mission, decoder = Mission(PCAP_PARAMS), None
    rng = np.random.default_rng(zlib.crc32(capture.name.encode()))
    for job in _jobs(mission, capture):
        decoder = decoder or watch(
            make_decoder(job.spec, quality, "auto", doubt),
            vouched=doubt.model.vouched if doubt is not None else None,
        )
        for frame in decoder.decode(_without(job, gone, rng), job.span):
            if frame.frame_no >= job.first_new_frame:
                yield frame


def _without(job: DecodeJob, gone: Gone, rng: np.random.Generator) -> ReceivedUnit:
    """The unit as a bad link may leave it.

    Args:
        gone: "some": every other run of F did not come. The others leave a clip's first unit whole; of
            each later one nothing came ("unit"), or D and a share of K ("pictures").
    """
    unit = job.unit
    if gone == "some":
        ranges = [run for part in unit.features.ranges for run in _runs(*part)]
        return replace(unit, features=PartData(ranges=tuple(ranges[int(rng.integers(2)) :: 2])))
    if not gone or job.span.first_frame == 0:
        return unit
    if gone == "unit":
        return ReceivedUnit(unit_no=unit.unit_no)
    came = unit.keyframe.prefix
    came = came[: round(max(0.0, float(rng.uniform(*_SHARE_OF_K))) * len(came))]
    return ReceivedUnit(
        unit_no=unit.unit_no, descriptors=unit.descriptors,
        keyframe=PartData(ranges=((0, came),) if came else ()),
    )  # fmt: skip


def _runs(start: int, data: bytes) -> list[tuple[int, bytes]]:
    return [(start + i, data[i : i + _RUN_BYTES]) for i in range(0, len(data), _RUN_BYTES)]


def _jobs(mission: Mission, capture: Path) -> Iterator[DecodeJob]:
    now = 0
    for now, data in open_recording(capture, None).packets():
        yield from mission.receive(data, now)
    yield from mission.close(now, to_total=True)


def harvest(take: Take, data: Path, folder: Path) -> Grids:
    """The pictures of one take, made once."""
    path = folder / f"{take.name}.npz"
    if not path.exists():
        capture = make_capture(take.sending, data, folder)
        if take.cut:
            capture = cut(capture, take.loss_seed)
        elif take.loss_seed:
            capture = lossy(capture, take.loss_seed, take.loss)
        clip = read_clip(make_clip(take.sending.scene, data, folder))
        _grids(capture, take.quality, clip, gone=take.gone).save(path)
    return Grids.load(path)


class _Recorded(Doubt):
    """Keeps what it made scores of: facts, numbers, and which unit's map was told."""

    def __init__(self) -> None:
        super().__init__(blank_model(), self._see)
        self.seen: dict[int, tuple[NDArray[np.float32], NDArray[np.float32], _Place]] = {}
        self._units = -1

    def tell(self, told: Told | None) -> None:
        self._units += 1
        super().tell(told)

    def _see(self, frame: int, planes: NDArray[np.float32], scalars: NDArray[np.float32]) -> None:
        cells = (0, 0, 0)
        if self._told is not None:
            odds, part = self._told.cells(frame)
            cells = (part, *odds.shape)
        self.seen[frame] = (planes, scalars, (*cells, self._units))


def _grids(capture: Path, quality: Quality, clip: NDArray[np.uint8], *, gone: Gone = "") -> Grids:
    """Each picture that a score was made for; inputs as the facts are."""
    doubt = _Recorded()
    found: list[tuple[NDArray[Any], ...]] = []
    for frame in decoded(capture, quality, doubt, gone=gone):
        known = doubt.seen.pop(frame.frame_no, None)
        if known is None or frame.frame_no >= len(clip):
            continue
        true = clip[frame.frame_no]
        planes, scalars, place = known
        found.append((
            planes.astype(np.float16), scalars, np.array(place, np.int32), frame.mark,
            disagreement(true, frame.pixels), square_error(true, frame.pixels, frame.mark.shape),
            detail(frame.pixels).astype(np.float16),
        ))  # fmt: skip
    if not found:
        return Grids.none()
    planes, scalars, places, mark, apart, error, shown = (
        np.stack(each) for each in zip(*found, strict=True)
    )
    return Grids(
        planes=planes, scalars=scalars, cells=places[:, :3], unit=places[:, 3], mark=mark,
        apart=apart, error=error, detail=shown,
    )  # fmt: skip


def square_error(
    true: NDArray[np.uint8], shown: NDArray[np.uint8], grid: tuple[int, ...]
) -> NDArray[np.float32]:
    """Mean square of the difference in each tile, levels of 255, float32[R, C]."""
    square = np.square(true.astype(np.float32) - shown.astype(np.float32)).mean(2)
    rows, columns = grid
    below, right = rows * TILE_PX - square.shape[0], columns * TILE_PX - square.shape[1]
    whole = cv2.copyMakeBorder(square, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
