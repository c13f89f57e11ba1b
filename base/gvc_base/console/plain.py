"""What the console sends: a view's dataclasses as plain JSON. Times leave as milliseconds.

A browser counts in doubles: Unix time in nanoseconds does not fit, in milliseconds it is exact to less
than a microsecond. So every `x_ns` leaves as `x_ms`.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gvc_base.console.view import MapState

__all__ = ["as_json", "map_plain", "ms", "plain"]


def ms(time_ns: int) -> float:
    """Nanoseconds as milliseconds."""
    return time_ns / 1e6


def plain(value: Any) -> Any:
    """Dataclasses, tuples and fractions as what JSON knows; what is no number leaves as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return _entries((f.name, getattr(value, f.name)) for f in fields(value))
    if isinstance(value, dict):
        return _entries((str(k), v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Fraction | np.generic):
        value = float(value) if isinstance(value, Fraction) else value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _entries(pairs: Any) -> dict[str, Any]:
    out = {}
    for name, value in pairs:
        if name.endswith("_ns") and isinstance(value, int):
            out[name[:-3] + "_ms"] = ms(value)
        else:
            out[name] = plain(value)
    return out


def map_plain(state: MapState) -> dict[str, Any]:
    """A map's state; the third of each track point is its time in milliseconds."""
    out: dict[str, Any] = plain(state)
    out["track"] = [[lon, lat, ms(time_ns)] for lon, lat, time_ns in state.track]
    return out


def as_json(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
