"""`gvc-edge config init`: from what is plugged in and a few answers to settings.

Each question has its answer ready: Enter takes it. With `yes` nothing is asked, and what cannot be
guessed safely (which radio, which of two ports) must be given as an option.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from gvc_edge.field.settings import RunSettings, nearest
from gvc_profiles.find import Device, cameras, link_for, link_forms, serial_ports
from gvc_profiles.keys import default_key_path, new_key, write_key
from gvc_profiles.load import load, names
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import UserError

__all__ = ["Given", "ask_settings"]

_ANY = ("any", "worldwide")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line said already; None and empty: ask, or guess."""

    source: str | None = None
    region: str | None = None
    profile: str | None = None
    link: str | None = None
    call: str = ""
    stream: int | None = None
    key: str | None = None
    encrypt: bool = False
    yes: bool = False


def ask_settings(
    given: Given, *, root: Path = Path("/"), say: Callable[[str], None]
) -> RunSettings:
    """Settings for a config file. A key is made where the operator wants one.

    Raises:
        UserError: with `yes`, something that cannot be guessed is missing.
    """
    source = given.source or _camera(given, root, say)
    profile = _profile(given, say)
    link = given.link or _link(given, load(profile), root, say)
    stream = given.stream if given.stream is not None else _stream(given)
    key = _key(given, say)
    encrypt = given.encrypt or _encrypt(given, load(profile), key)
    return RunSettings(
        source=source, link=link, profile=profile, stream=stream, key=key, encrypt=encrypt
    )


def _camera(given: Given, root: Path, say: Callable[[str], None]) -> str:
    found = cameras(root)
    if given.yes:
        if not found:
            raise UserError("no camera found; plug it in, or give --source v4l2:/dev/video0")
        return f"v4l2:{found[0].path}"
    say("Camera")
    for number, device in enumerate(found, 1):
        say(f"  {number}  {_described(device)}")
    say("  or an address: rtsp://HOST/PATH, v4l2:/dev/videoN, a file, synthetic:flood")
    choice = typer.prompt("camera", default="1" if found else "v4l2:/dev/video0")
    picked = _numbered(choice, found)
    return f"v4l2:{picked.path}" if picked else str(choice)


def _profile(given: Given, say: Callable[[str], None]) -> str:
    if given.profile:
        load(given.profile)
        return given.profile
    if given.yes:
        raise UserError("which radio? give --profile; `gvc-edge profiles` lists them")
    known = {name: load(name) for name in names()}
    regions = sorted({p.legal.region for p in known.values()} - set(_ANY))
    region = given.region
    if region is None:
        say("Where you send: the law differs")
        for number, name in enumerate(regions, 1):
            say(f"  {number}  {name}")
        region = typer.prompt("region (Enter: show all radios)", default="", show_default=False)
        if str(region).isdigit() and 1 <= int(region) <= len(regions):
            region = regions[int(region) - 1]
    fits = {n: p for n, p in known.items() if _in_region(p, str(region))} or known
    say("Radio")
    listed = list(fits)
    for number, name in enumerate(listed, 1):
        say(f"  {number:2}  {name:28} {fits[name].title}")
    while True:
        choice = str(typer.prompt("radio, by number or name"))
        if choice.isdigit() and 1 <= int(choice) <= len(listed):
            return listed[int(choice) - 1]
        if choice in known or choice.endswith(".toml"):
            load(choice)
            return choice
        say(f"no radio {choice!r}; did you mean {nearest(choice, listed)}?")


def _in_region(profile: LinkProfile, region: str) -> bool:
    here = profile.legal.region
    return not region or here in _ANY or region.casefold() in here.casefold()


def _link(given: Given, profile: LinkProfile, root: Path, say: Callable[[str], None]) -> str:
    forms = link_forms(profile)
    call = given.call
    if any("call=" in form for form in forms) and not call:
        if given.yes:
            raise UserError(f"{profile.id} is for amateur bands: give --call YOURCALL, or --link")
        call = str(typer.prompt("your call sign (the law wants it on the air)")).strip().upper()
    ports = serial_ports(root) if link_for(profile, "x") else []
    if given.yes:
        if len(ports) == 1:
            return link_for(profile, ports[0].path, call)
        seen = ", ".join(p.path for p in ports) or "none"
        raise UserError(
            f"which link? give --link ({' or '.join(forms)}); serial ports here: {seen}"
        )
    say(f"Where the radio is plugged in: {' or '.join(forms)}; udp://HOST:PORT goes to a bridge")
    for number, device in enumerate(ports, 1):
        say(f"  {number}  {_described(device)}")
    example = link_for(profile, "/dev/ttyUSB0", call) or forms[0].replace("MODE", profile.id[7:])
    choice = str(typer.prompt("link", default="1" if ports else example))
    picked = _numbered(choice, ports)
    return link_for(profile, picked.path, call) if picked else choice


def _stream(given: Given) -> int:
    if given.yes:
        return 1
    return int(
        typer.prompt("camera number (each camera of a team has its own)", default=1, type=int)
    )


def _key(given: Given, say: Callable[[str], None]) -> str:
    if given.key is not None:
        return "" if given.key == "none" else given.key
    usual = default_key_path()
    if given.yes:
        return str(usual) if usual.exists() else ""
    if usual.exists():
        return str(usual) if typer.confirm(f"use the key {usual}", default=True) else ""
    say("Without a key anybody can send in your name, and no request of the base is obeyed.")
    if not typer.confirm("make a key now (you bring a copy to the base)", default=True):
        return ""
    key = new_key()
    write_key(usual, key)
    say(f"key {key.fingerprint} is in {usual}; bring a copy to the base: `gvc-base keys import`")
    return str(usual)


def _encrypt(given: Given, profile: LinkProfile, key: str) -> bool:
    if given.yes or not key or profile.legal.encryption == "forbidden":
        return False
    return bool(typer.confirm("encrypt what is sent, too", default=False))


def _numbered(choice: object, listed: Sequence[Device]) -> Device | None:
    text = str(choice)
    return listed[int(text) - 1] if text.isdigit() and 1 <= int(text) <= len(listed) else None


def _described(device: Device) -> str:
    words = [device.path, device.name, f"now {device.node}" if device.node != device.path else ""]
    return "  ".join(w for w in words if w)
