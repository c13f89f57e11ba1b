"""Profiles from TOML, strict: every field must be there, of its type and in its range.

The dataclasses of `model.py` say what is allowed; `rules.py` says what must hold between fields.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gvc_profiles.model import LinkProfile
from gvc_profiles.rules import first_broken
from gvc_protocol.errors import UserError

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
    """A profile from TOML text; `origin` names it in errors.

    Raises:
        UserError: not TOML, a field missing, unknown, mistyped or out of range, or two that contradict
            each other. One line: file, field, value found, what is allowed.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError: TOMLDecodeError, and integers too long to be read.
        reason = "it is nested too deep" if isinstance(error, RecursionError) else _one_line(error)
        raise UserError(f"{origin} is not valid TOML: {reason}") from None
    reader = _Reader(origin)
    profile = reader.table(LinkProfile, raw, "")
    if (broken := first_broken(profile)) is not None:
        raise reader.error(*broken)
    return profile


class _Reader:
    """Builds dataclasses from dicts; the dataclass says what is allowed."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def table(self, kind: type[T], raw: object, path: str) -> T:
        if not isinstance(raw, dict):
            raise self.error(path.rstrip("."), raw, "must be a table")
        hints = get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
        for name in raw:
            if name not in fields:
                known = ", ".join(fields)
                raise self.error(f"{path}{name}", raw[name], f"is unknown; known here: {known}")
        made = {}
        for name, f in fields.items():
            if name in raw:
                made[name] = self._value(hints[name], raw[name], f"{path}{name}", f.metadata)
            elif f.default is dataclasses.MISSING:
                rule = _allowed(hints[name], f.metadata)
                raise UserError(f"{self._origin}: field {path}{name} is missing; it {rule}")
        return kind(**made)

    def _value(self, hint: Any, raw: object, path: str, metadata: Any) -> object:
        if get_origin(hint) is types.UnionType:
            hint = next(a for a in get_args(hint) if a is not type(None))
        if dataclasses.is_dataclass(hint):
            return self.table(hint, raw, f"{path}.")  # type: ignore[arg-type]
        if get_origin(hint) is tuple:
            if not isinstance(raw, list):
                raise self.error(path, raw, "must be a list")
            item = get_args(hint)[0]
            return tuple(self._value(item, r, f"{path}[{i}]", {}) for i, r in enumerate(raw))
        if not (_is_of(raw, hint) and _is_allowed(raw, metadata)):
            raise self.error(path, raw, _allowed(hint, metadata))
        return float(raw) if hint is float else raw  # type: ignore[arg-type]

    def error(self, path: str, raw: object, rule: str) -> UserError:
        """One line: file, field, value found, rule."""
        try:
            shown = repr(raw)
        except ValueError:  # more digits than Python prints
            shown = "a number too long to print"
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return UserError(f"{self._origin}: field {_one_line(path)} = {shown} {rule}")


def _one_line(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))


def _is_of(raw: object, hint: Any) -> bool:
    if hint is float:
        # TOML's 5 is a fine 5.0; its nan and inf are refused, and true is no number.
        if isinstance(raw, float):
            return math.isfinite(raw)
        return type(raw) is int
    return type(raw) is hint


def _is_allowed(raw: Any, metadata: Any) -> bool:
    if "range" in metadata:
        low, high = metadata["range"]
        return bool(low <= raw <= high)
    if "choices" in metadata:
        return raw in metadata["choices"]
    if "line" in metadata:
        return bool(raw.strip()) and raw.isprintable()
    return True


def _allowed(hint: Any, metadata: Any) -> str:
    if "range" in metadata:
        low, high = (f"{v:,.0f}" if v == int(v) else f"{v:g}" for v in metadata["range"])
        return f"must be {'an integer' if hint is int else 'a number'} from {low} to {high}"
    if "choices" in metadata:
        return f"must be one of {', '.join(map(str, metadata['choices']))}"
    if "line" in metadata:
        return "must be one line of text, not blank"
    kinds = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}
    return f"must be {kinds.get(hint, 'a list' if get_origin(hint) is tuple else 'a table')}"
