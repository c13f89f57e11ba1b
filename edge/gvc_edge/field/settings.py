"""Settings of `gvc-edge run`: declared once, for the command line, the file and the docs alike.

    defaults < edge.toml < command line -> Effective: each value, and where it comes from

The dataclass is the schema. A file may hold any of its fields and nothing else; what is wrong in it is
told in one line with the key's name, before anything is opened.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from gvc_profiles.load import names
from gvc_protocol.errors import UserError

__all__ = [
    "NO_CONFIG", "REQUIRED", "Effective", "RunSettings", "config_places", "effective", "nearest",
    "parse_config", "render_config", "user_config_path",
]  # fmt: skip

NO_CONFIG = "none"
"`--config none`: read no file."
REQUIRED = ("source", "link", "profile")
_PATHS = ("key", "state")
"Relative ones are meant from the file's own folder: a service runs in another one."


def _s(default: Any, doc: str, example: str = "", **rule: Any) -> Any:
    return field(default=default, metadata={"doc": doc, "example": example, **rule})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """All that `gvc-edge run` can be told but how to show it. None: the default depends on others."""

    source: str = _s("", "Camera or video: v4l2:/dev/video0, rtsp://HOST/..., a file.",
                     "v4l2:/dev/video0")  # fmt: skip
    link: str = _s("", "The radio: serial:/dev/ttyUSB0, udp://HOST:PORT, ...",
                   "serial:/dev/ttyUSB0")  # fmt: skip
    profile: str = _s("", "What the radio is: a name of `gvc-edge profiles`, or a .toml file.",
                      "sik-64")  # fmt: skip
    stream: int = _s(1, "Camera number. Cameras that share a key or a base need different ones.",
                     range=(0, 65535))  # fmt: skip
    key: str = _s("", "Key file (`gvc-edge keys new`): only what it vouches for is believed.",
                  "link.key")  # fmt: skip
    encrypt: bool = _s(False, "Encrypt what is sent, too. Needs a key; forbidden on amateur bands.")
    bps: float | None = _s(None, "On-air bit/s, everything included. Unset: what the profile says.",
                           "12000.0", range=(1, 1e9))  # fmt: skip
    fec: str = _s("auto", "Redundancy: auto (the profile's), off, or percent such as 30.")
    latency: float | None = _s(
        None, "Seconds a unit covers, 0.5 to 8 (slow links: to 60). Unset: what the rate needs.",
        "2.0", range=(0.5, 60),
    )  # fmt: skip
    codec: str = _s("gvc", "gvc, or classical (no network).", choices=("gvc", "classical"))
    place: str = _s("", "Where the camera is: mavlink:DEVICE, nmea:DEVICE, fixed:LAT,LON,HEIGHT.",
                    "mavlink+udp://0.0.0.0:14550?pitch=-90")  # fmt: skip
    objects: str = _s("movers", "Who finds objects: movers, people, MODEL.onnx, or none.")
    verify: bool = _s(True, "Tell the base where what is sent is wrong.")
    adapt: bool = _s(True, "Follow the base's reports on the link.")
    wait: bool = _s(True, "Wait for a camera or radio that is away at the start; false: stop.")
    crop_even: bool = _s(False, "Drop the last row or column of an odd-sized picture.")
    state: str = _s("", "Folder of boot counter, spool and what waits. Unset: the usual one.",
                    "state")  # fmt: skip
    spool_mib: int = _s(512, "Limit of the local copy of all that was sent, MiB.",
                        range=(1, 1_000_000))  # fmt: skip
    pictures_mib: int = _s(256, "Limit of the source pictures kept for the base, MiB.",
                           range=(1, 1_000_000))  # fmt: skip


_FIELDS = {f.name: f for f in dataclasses.fields(RunSettings)}
_HINTS = get_type_hints(RunSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What a run uses. `origins`: field -> `default`, `command line`, or the file's path."""

    settings: RunSettings
    origins: Mapping[str, str]
    path: Path | None
    "The file that was read, None without one."

    def check_complete(self) -> None:
        """Raises UserError where camera, radio or profile is not named anywhere."""
        missing = [name for name in REQUIRED if not getattr(self.settings, name)]
        if not missing:
            return
        options = " and ".join(f"--{name}" for name in missing)
        read = f"{self.path} does not name it" if self.path else "there is no config file"
        raise UserError(f"no {' and no '.join(missing)} is set, and {read}: run `gvc-edge config "
                        f"init`, or give {options}")  # fmt: skip


def user_config_path() -> Path:
    """`$XDG_CONFIG_HOME/gvc-field/edge.toml`, or `~/.config/gvc-field/edge.toml`."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "gvc-field" / "edge.toml"


def config_places() -> tuple[Path, Path]:
    """Where a config file is looked for; the first that is there is read, alone."""
    return user_config_path(), Path("/etc/gvc-field/edge.toml")


def effective(given: Mapping[str, object], config: Path | None) -> Effective:
    """Settings from defaults, file and command line.

    Args:
        given: field -> value of the command line; None stands for not given.
        config: the file to read, `none` for no file; None: the first of `config_places`.

    Raises:
        UserError: the file named is not there, or something in it is wrong.
    """
    path = next((p for p in config_places() if p.exists()), None) if config is None else config
    if path is not None and str(path) == NO_CONFIG:
        path = None
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_FIELDS, "default")
    if path is not None:
        for name, value in parse_config(_read(path), origin=str(path)).items():
            values[name], origins[name] = _placed(name, value, path), str(path)
    for name, value in given.items():
        if value is not None:
            values[name], origins[name] = value, "command line"
    return Effective(settings=RunSettings(**values), origins=origins, path=path)


def parse_config(text: str, *, origin: str) -> dict[str, Any]:
    """Field -> value of a config file; `origin` names it in errors.

    Raises:
        UserError: no TOML, an unknown key (the nearest known one is named), a value of the wrong type
            or out of range. One line.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise UserError(f"{origin} is not valid TOML: {_one_line(reason)}") from None
    return {name: _checked(name, value, origin) for name, value in raw.items()}


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """The known name that looks most like this one."""
    plain = name.casefold().replace("-", "_")
    return max(known, key=lambda k: difflib.SequenceMatcher(None, plain, k).ratio())


def render_config(settings: RunSettings) -> str:
    """A config file with comments. What has its default is written, too, but commented out."""
    lines = [
        "# Settings of `gvc-edge run`. An option on the command line overrides its line here.",
        "# `gvc-edge config show` tells what is in force; lines that begin with # are not.",
    ]
    for name, f in _FIELDS.items():
        value = getattr(settings, name)
        lines += ["", f"# {f.metadata['doc']}"]
        if value == f.default and name not in REQUIRED:
            shown = f.metadata["example"] if value in ("", None) else _toml(value)
            quoted = value == "" and f.metadata["example"]
            lines.append(f'# {name} = "{shown}"' if quoted else f"# {name} = {shown}")
        else:
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(
            f"no such config file: {path}; make one with `gvc-edge config init`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"cannot read config file {path}: {reason}") from None


def _placed(name: str, value: Any, path: Path) -> Any:
    """A path of the file as one that works from anywhere."""
    if name in _PATHS and value:
        return str(path.resolve().parent / Path(value).expanduser())
    if name == "profile" and value.endswith(".toml"):
        return str(path.resolve().parent / Path(value).expanduser())
    return value


def _checked(name: str, value: Any, origin: str) -> Any:
    if name not in _FIELDS:
        raise UserError(
            f"{origin}: unknown key {_shown(name)}; did you mean {nearest(name, tuple(_FIELDS))!r}?"
        )
    f, kind = _FIELDS[name], _kind(name)
    if kind is float and type(value) is int:
        value = float(value)
    if name == "fec" and type(value) in (int, float):
        value = f"{value:g}"  # percent without quotes
    finite = not isinstance(value, float) or math.isfinite(value)
    if type(value) is not kind or not finite or not _in_rule(value, f.metadata):
        raise UserError(f"{origin}: {name} = {_shown(value)} {_rule(kind, f.metadata)}")
    if name == "profile" and not _is_profile(str(value)):
        raise UserError(
            f"{origin}: profile = {_shown(value)} is no profile; did you mean "
            f"{nearest(str(value), names())!r}? `gvc-edge profiles` lists them"
        )
    return value


def _is_profile(text: str) -> bool:
    return not text or text.endswith(".toml") or text in names()


def _kind(name: str) -> type:
    for kind in (bool, int, float, str):
        if _HINTS[name] in (kind, kind | None):
            return kind
    raise AssertionError(f"field {name} has no plain type")


def _in_rule(value: Any, metadata: Mapping[str, Any]) -> bool:
    if "range" in metadata:
        return bool(metadata["range"][0] <= value <= metadata["range"][1])
    if "choices" in metadata:
        return value in metadata["choices"]
    return not isinstance(value, str) or value.isprintable()


def _rule(kind: type, metadata: Mapping[str, Any]) -> str:
    if "range" in metadata:
        low, high = metadata["range"]
        what = "an integer" if kind is int else "a number"
        return f"must be {what} from {low:,g} to {high:,.0f}"
    if "choices" in metadata:
        return f"must be one of {', '.join(metadata['choices'])}"
    return {bool: "must be true or false", str: "must be one line of text in quotes"}[kind]


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # more digits than Python prints
        text = "a number too long to print"
    return _one_line(text if len(text) <= 60 else f"{text[:57]}...")


def _one_line(text: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(text))


def _toml(value: Any) -> str:
    """A value as TOML writes it; text is printable here, so only quotes and backslashes need care."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
