"""The shipped calibration: small networks in numpy, what their score means by mark, what is trusted.

`calibration/index.json` names the file by its hash; docs/marks.md is its card. The file holds arrays
alone (.npz, no pickles):
    g1, h1, g2, h2, g3, h3   planes and scalars without the sender's map -> the tile's own score (`OWN`)
    w1, b1, w2, b2, w3, b3   planes and scalars -> score (log-odds: more likely wrong the higher)
    v1, a1, v2, a2, v3, a3   `AWAY` and the score when it was made -> log-odds that a picture held or
            moved is out of place by now
    e1, f1, e2, f2, e3, f3   `error_inputs` -> log of the expected square error, levels of 255
    p       float32[marks, bins]: share of wrong tiles in calibration at that score, never falling
    trusted float32[marks]: a tile of that mark is trusted at a p_wrong of at most this
    vouched float32[]: what the sender found right is shown as verified at a p_wrong of at most this
    received float32[]: share of wrong tiles among pixels that arrived as a patch or an answer
    unseen  float32[]: score of a picture that nothing was received of
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gvc_base.marks.facts import PLANES, SCALARS, Fact, Scalar
from gvc_base.marks.texture import detail
from gvc_base.neural.weights import read_checked
from gvc_profiles.sight.shares import log_odds
from gvc_protocol.errors import UserError
from gvc_protocol.marks import Mark

__all__ = [
    "AWAY",
    "BINS",
    "FOLDER",
    "REACH",
    "Model",
    "bins_of",
    "error_inputs",
    "load_model",
    "model_of",
    "prepared",
    "run",
    "still_right",
]

F32 = NDArray[np.float32]

FOLDER = Path(__file__).resolve().parent / "calibration"
BINS = 128
REACH = 8.0
"Scores beyond this, either way, are as good as this."
_AMPLITUDES = [
    Fact.EXPECTED_ERROR, Fact.MADE_UP, Fact.ASKED_FINE, Fact.ASKED_MIDDLE, Fact.ASKED_COARSE,
    Fact.ASKED_NEAR, Fact.ERROR_NEAR,
]  # fmt: skip
"In tenths of full scale: times 25.5 levels of 255."

AWAY = [
    Fact.STRUCTURE, Fact.DISPLACED, Fact.DRIFT, Fact.SPEED, Fact.EDGE, Fact.UNCOVERED,
    PLANES + Scalar.SINCE, PLANES + Scalar.MOVED, PLANES + Scalar.HELD,
]  # fmt: skip
"""What tells whether a picture is out of place by now, of planes and scalars one after the other.
Whether it was right when it was made is another question, answered then."""

_TELLING = (-6.0, 4.0)
"Scores beyond tell no more of what a displacement does."

_MOST_NETS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The arrays of a calibration file."""

    layers: tuple[tuple[F32, F32], ...]
    "(weights [out, in], bias [out]) three times; the first takes planes, then scalars."
    own_layers: tuple[tuple[F32, F32], ...]
    "The same; all that came of the sender's map weighs nothing."
    away_layers: tuple[tuple[F32, F32], ...]
    "The same; the first takes what `away_inputs` gives."
    error_layers: tuple[tuple[F32, F32], ...]
    "The same; the first takes what `error_inputs` gives."
    p: NDArray[np.float16]
    trusted: F32
    vouched: float
    received: float
    unseen: float
    label: str
    _middle: F32 = field(init=False, repr=False)
    _own_middle: F32 = field(init=False, repr=False)
    _away_middle: F32 = field(init=False, repr=False)
    "Blocks of the second layers, found once."

    def __post_init__(self) -> None:
        object.__setattr__(self, "_middle", _blocks(self.layers[1][0]))
        object.__setattr__(self, "_own_middle", _blocks(self.own_layers[1][0]))
        object.__setattr__(self, "_away_middle", _blocks(self.away_layers[1][0]))

    def score(
        self, planes: F32, scalars: F32, spread: Callable[[F32], tuple[F32, F32]] | None = None
    ) -> F32:
        """Score of each tile, float32[R, C].

        Args:
            planes: float32[PLANES, R, C] (`facts.Fact`); of these `OWN` and its offsets are filled in.
            scalars: float32[SCALARS].
            spread: the offsets for `OWN` (`spread.Spread.see`); None where the sender told nothing.
        """
        grid = planes.shape[1:]
        ready = prepared(planes.reshape(PLANES, -1).copy())
        own = _score(self.own_layers, self._own_middle, ready, scalars)
        planes[Fact.OWN] = own.reshape(grid)
        planes[[Fact.OFFSET, Fact.OFFSET_EVENLY]] = spread(planes[Fact.OWN]) if spread else 0
        ready[Fact.OWN :] = planes[Fact.OWN :].reshape(PLANES - Fact.OWN, -1)
        return _score(self.layers, self._middle, ready, scalars).reshape(grid)

    def away(self, planes: F32, scalars: F32, before: F32) -> F32:
        """Score of a picture that is held or moved, float32[R, C]: right only if it was, and still is.

        Args:
            planes, scalars: aged (`facts.aged`). before: its score when it was made, float32[R, C].
        """
        made = before.ravel()
        rows = [
            np.broadcast_to(scalars[i - PLANES], made.size) if i >= PLANES else planes[i].ravel()
            for i in AWAY
        ]
        inputs = np.stack([*rows, _telling(made)])
        moved = _score(self.away_layers, self._away_middle, inputs, np.zeros(0, np.float32))
        return still_right(made, moved).reshape(before.shape)

    def p_wrong(self, mark: NDArray[np.uint8], score: F32) -> NDArray[np.float16]:
        """Calibrated probability, float16 of the grid."""
        at = bins_of(score)
        at += np.multiply(mark, BINS, dtype=np.int32)
        return np.take(self.p, at)

    def expected_error(
        self, picture: NDArray[np.uint8], mark: NDArray[np.uint8], p_wrong: NDArray[np.float16]
    ) -> NDArray[np.float16]:
        """How far the pixels of each tile are expected to be from the truth: root mean square, levels of
        255, float16[R, C]. Fine detail that is blurred counts here, and is not wrong.

        Args:
            picture: uint8[H, W, 3], as shown.
        """
        root = np.sqrt(self.expected_square(detail(picture), mark, p_wrong))
        return np.minimum(root, 255).astype(np.float16).reshape(mark.shape)

    def expected_square(
        self, shown: F32, mark: NDArray[np.uint8], p_wrong: NDArray[np.float16]
    ) -> F32:
        """The same squared, float32[R * C], from what the picture holds (`texture.detail`)."""
        inputs = error_inputs(shown.reshape(3, -1).T, mark.ravel(), p_wrong.ravel())
        return np.exp(run(self.error_layers, inputs))

    def is_trusted(
        self, mark: NDArray[np.uint8], p_wrong: NDArray[np.float16]
    ) -> NDArray[np.bool_]:
        """Tiles of which at most 1 in 20 is wrong, together."""
        return np.asarray(p_wrong <= self.trusted.astype(np.float16)[mark], np.bool_)


def _score(layers: Sequence[tuple[F32, F32]], middle: F32, ready: F32, scalars: F32) -> F32:
    """float32[n] of what is known of each tile, float32[in, n], and of the frame, float32[in]."""
    (w, b), (_, middle_b), (last, last_b) = layers
    out = w[:, : len(ready)] @ ready
    out += (w[:, len(ready) :] @ scalars + b)[:, None]
    np.maximum(out, 0, out=out)
    nets, _, wide = middle.shape
    out = np.matmul(middle, out.reshape(nets, wide, -1)).reshape(len(middle_b), -1)
    out += middle_b[:, None]
    np.maximum(out, 0, out=out)
    return np.asarray((last @ out + last_b[:, None])[0], np.float32)


def _blocks(weights: F32) -> F32:
    """The diagonal blocks of a layer of several networks side by side, float32[n, out, in]: what lies
    beside them is nought, and need not be multiplied."""
    for n in range(_MOST_NETS, 1, -1):
        high, wide = weights.shape[0] // n, weights.shape[1] // n
        if (high * n, wide * n) == weights.shape:
            parts = weights.reshape(n, high, n, wide).transpose(0, 2, 1, 3)
            if not parts[~np.eye(n, dtype=np.bool_)].any():
                return np.ascontiguousarray(parts[np.arange(n), np.arange(n)])
    return weights[None]


def run(layers: Sequence[tuple[F32, F32]], inputs: F32) -> F32:
    """A network's outputs, float32[n], of inputs float32[n, in]."""
    out = inputs
    for index, (weights, bias) in enumerate(layers):
        out = out @ weights.T + bias
        if index < len(layers) - 1:
            out = np.maximum(out, 0)
    return np.asarray(out[:, 0], np.float32)


def away_inputs(away: F32, before: F32) -> F32:
    """What the network of `away` takes: `AWAY`, float32[n, 9], and the score when the picture was made,
    float32[n]. One that was sure shows all the structure there is."""
    return np.concatenate([away, _telling(before)[:, None]], 1)


def _telling(before: F32) -> F32:
    return np.clip(before, *_TELLING)


def error_inputs(shown: F32, mark: NDArray[np.uint8], p_wrong: NDArray[np.floating[Any]]) -> F32:
    """What the network of the expected error takes, float32[n, 4 + marks].

    Args:
        shown: float32[n, 3] of `texture.detail`; mark, p_wrong: [n].
    """
    p = np.clip(p_wrong.astype(np.float32), 1e-3, 1 - 1e-3)
    kinds = np.eye(len(Mark), dtype=np.float32)[mark]
    return np.concatenate([shown, log_odds(p)[:, None], kinds], 1)


def still_right(before: F32, away: F32) -> F32:
    """Log-odds of wrong, where right is: it was, and it is not away; both log-odds, of any one shape."""
    right = -np.logaddexp(0, before) - np.logaddexp(0, away)
    right = np.minimum(right, np.float32(-1e-6))
    return np.asarray(np.log(-np.expm1(right)) - right, np.float32)


def prepared(facts: F32) -> F32:
    """The network's inputs from facts, float32[PLANES, n], changed in place: amplitudes become
    logarithms of power, as those of what is shown are, so that a difference is a ratio."""
    amplitudes = facts[_AMPLITUDES]
    facts[_AMPLITUDES] = np.log1p(np.square(amplitudes * np.float32(25.5)))
    return facts


def bins_of(score: F32) -> NDArray[np.int32]:
    """Bin of each score, 0..BINS - 1."""
    scaled = (score + np.float32(REACH)) * np.float32(BINS / (2 * REACH))
    return np.clip(scaled, 0, BINS - 1, out=scaled).astype(np.int32)


@lru_cache(maxsize=4)
def load_model(folder: Path = FOLDER) -> Model:
    """The package's calibration.

    Raises:
        UserError: the file is missing, damaged or not the one of its index.
    """
    index = folder / "index.json"
    try:
        row = json.loads(index.read_text())
        name, sha256 = str(row["file"]), str(row["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{index}: no usable calibration of the marks; reinstall gvc-field"
        ) from error
    data = read_checked(folder / name, sha256)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return model_of({key: file[key] for key in file.files}, f"marks-{sha256[:8]}")
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{folder / name}: is no calibration of this version: {error}") from None


def model_of(arrays: dict[str, NDArray[Any]], label: str) -> Model:
    """The model that these arrays are.

    Raises:
        ValueError: they do not fit this version's facts. KeyError: one is missing.
    """
    own, layers, away, error = (
        tuple(
            (np.asarray(arrays[f"{w}{i}"], np.float32), np.asarray(arrays[f"{b}{i}"], np.float32))
            for i in (1, 2, 3)
        )
        for w, b in ("gh", "wb", "va", "ef")
    )
    wanted = [PLANES + SCALARS, PLANES + SCALARS, len(AWAY) + 1, 4 + len(Mark)]
    if [net[0][0].shape[1] for net in (own, layers, away, error)] != wanted:
        raise ValueError("the network has other inputs")
    p = np.asarray(arrays["p"], np.float16)
    if p.shape != (len(Mark), BINS) or arrays["trusted"].shape != (len(Mark),):
        raise ValueError("the table has other marks")
    return Model(
        layers=layers, own_layers=own, away_layers=away, error_layers=error, p=p,
        trusted=np.asarray(arrays["trusted"], np.float32), vouched=float(arrays["vouched"]),
        received=float(arrays["received"]), unseen=float(arrays["unseen"]), label=label,
    )  # fmt: skip
