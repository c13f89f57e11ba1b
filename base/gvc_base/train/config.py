"""What a training run is: one TOML file, complete enough to repeat the run."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gvc_protocol.errors import UserError

__all__ = ["DataConfig", "TrainConfig", "load_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where pictures come from and what is done to them."""

    photos: tuple[str, ...] = ()
    "Glob patterns of photos, relative to the data folder: flights are rendered over them."
    clips: tuple[str, ...] = ()
    "Glob patterns of real video clips."
    held_out: tuple[str, ...] = ()
    "Names that never train, whatever matches: the judges' scenes."
    flights: int = 120
    cuts: int = 40
    frames: int = 14
    "Coded pictures a scene."
    width: int = 856
    height: int = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run. Times of a step are in the card; here is only what decides the result."""

    seed: int = 1
    channels: int = 128
    blocks: int = 6
    steps: int = 2500
    batch: int = 6
    crop: int = 192
    sequence: int = 2
    learning_rate: float = 8e-4
    contrast: float = 10.0
    pixel: float = 0.5
    strength: float = 0.1
    checkpoint_every: int = 200
    data: DataConfig = field(default_factory=DataConfig)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the card and the checkpoint."""
        return asdict(self)


def load_config(path: Path) -> TrainConfig:
    """Read a run's TOML.

    Raises:
        UserError: the file cannot be read, or has a key or type that no run has.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: cannot be read as TOML: {error}") from error
    data = raw.pop("data", {})
    _check_keys(path, raw, TrainConfig)
    _check_keys(path, data, DataConfig)
    lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return TrainConfig(**raw, data=DataConfig(**lists))


def _check_keys(path: Path, given: dict[str, Any], kind: type) -> None:
    known = {f.name: f for f in fields(kind)}
    for name, value in given.items():
        if name not in known or name == "data":
            raise UserError(f"{path}: no setting is called {name}; known: {', '.join(known)}")
        default = known[name].default
        if isinstance(default, tuple):
            good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        elif isinstance(default, float):
            good = isinstance(value, int | float) and not isinstance(value, bool)
        else:
            good = type(value) is type(default)
        if not good:
            raise UserError(f"{path}: {name} = {value!r} has the wrong type")
