"""A take decoded once, its marks made again for any calibration: pictures do not hang on `p_wrong`.

capture -> the base's own decoder, which asks a `Logged` doubt -> log of what it asked, truth of frames
log, model -> scores and p_wrong, as that decoder would have shown them
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.doubt import Doubt, Known
from gvc_base.marks.facts import Context, PairFacts, Told
from gvc_base.marks.model import Model
from tests.bench.marks.harvest import blank_model

__all__ = ["TRUE", "Log", "Logged", "Seen", "again"]

F32 = NDArray[np.float32]

TRUE = 0.5
"What the blank model calls pixels that arrived as they are, so that they are found again."


@dataclass(slots=True)
class Seen:
    """One frame held against the source; grids are [R, C]."""

    frame: int
    ask: int
    "Which call of `p_wrong` was its."
    mark: NDArray[np.uint8]
    "As shown."
    true: NDArray[np.bool_]
    "Pixels that arrived as they are."
    apart: NDArray[np.float32]
    "Disagreement of structure, above 1 where it is wrong."
    error: NDArray[np.float32]
    "Mean square of the difference to the source, levels of 255."
    wrong: NDArray[np.bool_]
    detail: F32
    "float32[3, R, C]: see `gvc_base.marks.texture.detail`."


@dataclass(slots=True)
class Log:
    """What a decoder asked its doubt, in order, and what was seen."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    decode_s: float = 0.0
    "Processor seconds that decoding took, what marks need included."
    facts_s: float = 0.0
    "Of these, for facts and sources."
    frames: int = 0

    def save(self, path: Path) -> None:
        """All or nothing."""
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(self, protocol=5))
        part.rename(path)

    @staticmethod
    def load(path: Path) -> Log:
        """What `save` wrote. A file of one's own work folder only."""
        log: Log = pickle.loads(path.read_bytes())
        return log


class Logged(Doubt):
    """Writes down what it is asked. Arrays of planes and scores are named by numbers."""

    def __init__(self, log: Log) -> None:
        super().__init__(replace(blank_model(), received=TRUE))
        self._log = log
        self._names: dict[int, tuple[int, Any]] = {}
        self.asks = 0
        "Calls of `p_wrong`."

    def _name(self, array: F32) -> int:
        """Of an array that this doubt has given; it is kept, so that no other takes its place."""
        return self._names[id(array)][0]

    def _named(self, array: F32) -> F32:
        self._names.setdefault(id(array), (len(self._names), array))
        return array

    def _of(self, known: Known) -> tuple[int, int, int, Context]:
        return self._name(known.planes), self._name(known.score), known.frame, known.context

    def _gives(self, known: Known) -> Known:
        self._named(known.planes)
        self._named(known.score)
        return known

    def tell(self, told: Told | None) -> None:
        self._log.asked.append(("tell", (told,)))
        super().tell(told)

    def coded(self, context: Context, frame: int, planes: F32) -> Known:
        self._log.asked.append(("coded", (context, frame, planes)))
        # Scores of the blank model are all alike; each is an array of its own.
        return self._gives(super().coded(context, frame, planes))

    def kept(self, context: Context, frame: int, fps: float) -> Known | None:
        found = super().kept(context, frame, fps)
        if found is not None:
            self._log.asked.append(("kept", (context, frame, fps)))
            self._gives(found)
        return found

    def between(
        self,
        a: Known,
        b: Known,
        frames: tuple[int, int],
        pair: Callable[[], PairFacts],
        frame: int,
        fps: float,
    ) -> F32:
        asked: list[PairFacts] = []

        def told() -> PairFacts:
            asked.append(pair())
            return asked[0]

        score = super().between(a, b, frames, told, frame, fps)
        motion = asked[0] if asked else None
        self._log.asked.append(("between", (self._of(a), self._of(b), frames, motion, frame, fps)))
        return self._named(score)

    def beyond(
        self, known: Known, frame: int, fps: float, *,
        by: NDArray[np.float64] | None = None, told: bool = False,
    ) -> F32:  # fmt: skip
        self._log.asked.append(("beyond", (self._of(known), frame, fps, by, told)))
        score = super().beyond(known, frame, fps, by=by, told=told)
        # One that was kept keeps its name; when it is asked again it is given the same.
        return self._named(score)

    def followed(self, known: Known, before: PairFacts) -> Known:
        self._log.asked.append(("followed", (self._of(known), before)))
        return self._gives(super().followed(known, before))

    def moved(self, known: Known, matrix: NDArray[np.float64]) -> Known:
        self._log.asked.append(("moved", (self._of(known), matrix)))
        return self._gives(super().moved(known, matrix))

    def on_grid(self, known: Known, grid: tuple[int, int]) -> Known:
        found = super().on_grid(known, grid)
        if found is not known:
            self._log.asked.append(("on_grid", (self._of(known), grid)))
            self._gives(found)
        return found

    def unseen(self, context: Context) -> Known:
        self._log.asked.append(("unseen", (context,)))
        return self._gives(super().unseen(context))

    def p_wrong(
        self, mark: NDArray[np.uint8], score: F32, true: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float16]:
        self._log.asked.append(("p_wrong", (mark.copy(), self._name(score))))
        self.asks += 1
        return super().p_wrong(mark, score, true)


def again(log: Log, model: Model) -> Iterator[tuple[Seen, NDArray[np.float16], float]]:
    """Each frame that was seen, its `p_wrong` by this model, and processor seconds spent so far."""
    doubt, arrays = Doubt(model), _Arrays()
    seen = {one.ask: one for one in log.seen}
    asks, spent = 0, 0.0
    for name, given in log.asked:
        began = time.process_time()
        if name != "p_wrong":
            _ask(doubt, arrays, name, given)
            spent += time.process_time() - began
            continue
        mark, score = given
        p = doubt.p_wrong(mark, arrays.by_number[score])
        spent += time.process_time() - began
        asks += 1
        one = seen.get(asks)
        if one is not None:
            p[one.true] = model.received
            yield one, p, spent


class _Arrays:
    """Arrays by the numbers that `Logged` gave them, which is the order in which they came."""

    def __init__(self) -> None:
        self.by_number: dict[int, F32] = {}
        self._numbers: dict[int, int] = {}
        self._known: dict[tuple[int, int, int], Known] = {}

    def add(self, array: F32) -> int:
        number = self._numbers.setdefault(id(array), len(self._numbers))
        self.by_number[number] = array
        return number

    def gives(self, known: Known) -> None:
        key = (self.add(known.planes), self.add(known.score), known.frame)
        self._known.setdefault(key, known)

    def known(self, named: tuple[int, int, int, Context]) -> Known:
        planes, score, frame, context = named
        made = Known(frame, self.by_number[planes], self.by_number[score], context)
        return self._known.setdefault((planes, score, frame), made)


def _ask(doubt: Doubt, arrays: _Arrays, name: str, given: Any) -> None:
    match name:
        case "tell":
            doubt.tell(*given)
        case "coded":
            arrays.gives(doubt.coded(*given))
        case "kept":
            kept = doubt.kept(*given)
            assert kept is not None
            arrays.gives(kept)
        case "unseen":
            arrays.gives(doubt.unseen(*given))
        case "on_grid":
            arrays.gives(doubt.on_grid(arrays.known(given[0]), given[1]))
        case "followed":
            arrays.gives(doubt.followed(arrays.known(given[0]), given[1]))
        case "moved":
            arrays.gives(doubt.moved(arrays.known(given[0]), given[1]))
        case "between":
            a, b, frames, motion, frame, fps = given
            known = arrays.known(a), arrays.known(b)
            arrays.add(doubt.between(*known, frames, lambda: motion, frame, fps))
        case "beyond":
            known, frame, fps, by, told = given
            arrays.add(doubt.beyond(arrays.known(known), frame, fps, by=by, told=told))
