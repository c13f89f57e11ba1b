"""What is told of shown pictures, measured again in minutes: a scene is decoded once and kept.

    source -> real encoder -> units -> real decoder -> six looks a second, on disk
    looks -> the alarms and claims of today -> false alarms, fakes pasted into the picture, movers
        painted over, movers that coding took away, what `p_wrong` is worth

Fakes in what the decoder remembers need the decoder: `tests.bench.marks.planted`.

`python -m tests.bench.marks.looks --data ../shared --only highway_udacity_540p25-15000`
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gvc_base.alarms import WatchedDecoder
from gvc_base.decoders import make_decoder
from gvc_base.decoders.gvc_parts import CodedUnit
from gvc_base.marks import is_wrong
from gvc_base.timeline import DecodeJob
from gvc_protocol.codec import DecodedFrame
from tests.bench.marks import planted
from tests.bench.marks.planted_result import Result
from tests.bench.marks.planted_scenes import Planter, capture, jobs, source, sprites

__all__ = ["main", "measure"]

_Unit = tuple[DecodeJob, CodedUnit, Any, list[DecodedFrame]]
"What was received and decoded, the watch's state before it, and the frames that are looked at."


def _decoded(clip: str, bps: int, data: Path, out: Path) -> Iterator[_Unit]:
    """The scene's units, from disk where they were kept of the same pictures; D is the capture's."""
    sent = jobs(capture(clip, bps, data, out))
    kept = [out / f"{clip}-{bps}-unit-{n}.looks" for n in range(len(sent))]
    if not all(path.exists() and _same(path, job) for path, job in zip(kept, sent, strict=True)):
        for path, made in zip(kept, _decode(sent), strict=True):
            path.write_bytes(pickle.dumps(made))
    for path, job in zip(kept, sent, strict=True):
        unit: _Unit = pickle.loads(path.read_bytes())
        yield job, *unit[1:]


def _same(path: Path, job: DecodeJob) -> bool:
    """Whether a kept unit was decoded from the pictures of this one, told by the same objects and path:
    the sender's map changes no picture."""
    unit: _Unit = pickle.loads(path.read_bytes())
    old, new = unit[0].unit, job.unit
    told = [replace(u.descriptors, truth=None) if u.descriptors else None for u in (old, new)]
    return (old.keyframe, old.features, told[0]) == (new.keyframe, new.features, told[1])


def _decode(sent: list[DecodeJob]) -> Iterator[_Unit]:
    decoder = make_decoder(sent[0].spec, "standard", "onnx")
    timed = planted.Timed(decoder)
    watched = WatchedDecoder(timed)
    for job in sent:
        state, step = watched.state(), max(1, round(job.span.fps / 6))
        frames = [
            replace(frame, alarms=(), truth=None)
            for i, frame in enumerate(watched.decode(job.unit, job.span)) if i % step == 0
        ]  # fmt: skip
        yield job, timed.evidence or CodedUnit(), state, frames


def measure(clip: str, bps: int, data: Path, out: Path, *, count: int, seed: int) -> Result:
    """Counts of one scene.

    Args:
        count: fakes, and as many movers painted over where there are some, a unit.
    """
    out.mkdir(parents=True, exist_ok=True)
    result = Result()
    frames, movers = source(clip, data)
    planter = Planter(sprites(frames, movers) or planted.all_sprites(data), seed)
    scene = planted.Scene(clip, frames, movers, [], planter)
    for job, evidence, state, looks in _decoded(clip, bps, data, out):
        for frame in looks:
            wrong = is_wrong(frames[frame.frame_no], frame.pixels)
            seen = planted.again(job, frame, evidence, state)
            planted.untouched(scene, result, seen, wrong)
            result.count_p(frame.p_wrong, wrong)
        planted.plant_shown(scene, result, job, looks, evidence, state, count)
        planted.remove(scene, result, job, looks, evidence, state, count)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("bench-out/planted"))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    names = {f"{clip}-{bps}": (clip, bps) for clip, bps in planted.SCENES}
    parser.add_argument("--only", required=True, choices=sorted(names))
    chosen = parser.parse_args(arguments)
    clip, bps = names[chosen.only]
    result = measure(clip, bps, chosen.data, chosen.out, count=chosen.count, seed=chosen.seed)
    print("\n".join(result.lines()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
