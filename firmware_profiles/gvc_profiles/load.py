"""Profiles from TOML, strict: every field must be there, of its type and in its range."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gvc_protocol.errors import UserError

from gvc_profiles.airtime import lora_airtime_ms
from gvc_profiles.model import LinkProfile

__all__ = ["load", "names", "parse"]

T = TypeVar("T")


def names() -> list[str]:
    """Names of the shipped profiles."""
    folder = files("gvc_profiles")
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load(name_or_path: str) -> LinkProfile:
    """A shipped profile by name, or a user's own by path (anything that ends in .toml).

    Raises:
        UserError: unknown name, unreadable file, or a field that is missing, unknown or out of range.
    """
    if not name_or_path.endswith(".toml"):
        if name_or_path not in names():
            raise UserError(f"unknown profile {name_or_path!r}; choose one of {', '.join(names())}, "
                            "or give a .toml file")  # fmt: skip
        origin = f"{name_or_path}.toml"
        return parse((files("gvc_profiles") / origin).read_text("utf-8"), origin=origin)
    try:
        return parse(Path(name_or_path).read_text("utf-8"), origin=name_or_path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"cannot read profile {name_or_path}: {reason}") from None


def parse(text: str, *, origin: str) -> LinkProfile:
    """A profile from TOML text; `origin` names it in errors. Raises UserError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin} is not valid TOML: {error}") from None
    profile = _Reader(origin).table(LinkProfile, raw, "")
    _cross_check(profile, origin)
    return profile


class _Reader:
    """Builds dataclasses from dicts; the dataclass says what is allowed."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def table(self, kind: type[T], raw: object, path: str) -> T:
        if not isinstance(raw, dict):
            raise self._error(path, raw, "must be a table")
        hints = get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        for name in raw:
            if name not in fields:
                raise self._error(
                    f"{path}{name}", raw[name], f"is unknown; known: {', '.join(fields)}"
                )
        made = {}
        for name, f in fields.items():
            if name in raw:
                made[name] = self._value(hints[name], raw[name], f"{path}{name}", f.metadata)
            elif f.default is dataclasses.MISSING:
                raise UserError(
                    f"{self._origin}: field {path}{name} is missing; {_allowed(hints[name], f.metadata)}"
                )
        return kind(**made)

    def _value(self, hint: Any, raw: object, path: str, metadata: Any) -> object:
        if get_origin(hint) is types.UnionType:
            hint = next(a for a in get_args(hint) if a is not type(None))
        if dataclasses.is_dataclass(hint):
            return self.table(hint, raw, f"{path}.")  # type: ignore[arg-type]
        if get_origin(hint) is tuple:
            if not isinstance(raw, list):
                raise self._error(path, raw, "must be a list")
            item = get_args(hint)[0]
            return tuple(self._value(item, r, f"{path}[{i}]", {}) for i, r in enumerate(raw))
        if not _is_of(raw, hint):
            raise self._error(path, raw, _allowed(hint, metadata))
        if "range" in metadata:
            low, high = metadata["range"]
            if not low <= raw <= high:  # type: ignore[operator]
                raise self._error(path, raw, _allowed(hint, metadata))
        if "choices" in metadata and raw not in metadata["choices"]:
            raise self._error(path, raw, _allowed(hint, metadata))
        return float(raw) if hint is float else raw  # type: ignore[arg-type]

    def _error(self, path: str, raw: object, rule: str) -> UserError:
        return UserError(f"{self._origin}: field {path.rstrip('.')} = {str(raw)[:60]!r} {rule}")


def _is_of(raw: object, hint: Any) -> bool:
    if hint is float:
        number = isinstance(raw, int | float) and not isinstance(raw, bool)
        return number and math.isfinite(raw)  # type: ignore[arg-type]
    return type(raw) is hint


def _allowed(hint: Any, metadata: Any) -> str:
    if "range" in metadata:
        low, high = metadata["range"]
        return f"must be {'an integer' if hint is int else 'a number'} from {low:g} to {high:g}"
    if "choices" in metadata:
        return f"must be one of {', '.join(map(str, metadata['choices']))}"
    kinds = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}
    return f"must be {kinds.get(hint, 'a table or list')}"


def _cross_check(p: LinkProfile, origin: str) -> None:
    """Rules between fields."""
    a = p.airtime
    longest_ms = 0.0
    if a.model == "lora":
        if not (5 <= a.spreading_factor <= 12 and a.bandwidth_hz and 5 <= a.coding_rate <= 8):
            raise UserError(
                f"{origin}: airtime.model lora needs spreading_factor 5..12, bandwidth_hz and coding_rate 5..8"
            )
        longest_ms = lora_airtime_ms(
            min(255, p.mtu_bytes + a.per_packet_overhead_bytes), spreading_factor=a.spreading_factor,
            bandwidth_hz=a.bandwidth_hz, coding_rate=a.coding_rate, preamble_symbols=a.preamble_symbols,
        )  # fmt: skip
    rules = (
        (p.rate.usable_bps <= p.rate.nominal_bps, "rate.usable_bps is above rate.nominal_bps"),
        (p.latency.p50_ms <= p.latency.p95_ms, "latency.p50_ms is above latency.p95_ms"),
        (bool(p.inner_rs_parity) == p.delivers_corrupted,
         "inner_rs_parity pays exactly where delivers_corrupted is true; set both or neither"),
        (p.delivers_corrupted == (p.errors != "erasure"),
         "errors must be byte or both where delivers_corrupted is true, else erasure"),
        (p.mtu_bytes <= p.radio_packet_bytes, "mtu_bytes is above radio_packet_bytes"),
        (not p.legal.dwell_ms or longest_ms <= p.legal.dwell_ms,
         f"a packet of mtu_bytes takes {longest_ms:.0f} ms, above legal.dwell_ms"),
        (bool(p.sources), "sources is empty; say where the figures come from"),
    )  # fmt: skip
    for holds, problem in rules:
        if not holds:
            raise UserError(f"{origin}: {problem}")
