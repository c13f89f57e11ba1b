"""`gvc-edge install-service`: write the unit, start it, or take it away again."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gvc_edge.cli_parts import ConfigOption
from gvc_edge.field.service import (
    NAME,
    ServicePlan,
    home_of,
    known_groups,
    unit_path,
    unit_text,
)
from gvc_edge.field.settings import config_places, effective, user_config_path
from gvc_protocol.errors import UserError

__all__ = ["install_service"]


def install_service(
    user: Annotated[
        bool, typer.Option("--user", help="A service of yours alone, without root.")
    ] = False,
    config: ConfigOption = None,
    run_as: Annotated[
        str | None,
        typer.Option("--run-as", help="Whom it runs as; default: who called sudo, or you."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the unit there and do no more.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the unit and do no more.")] = False,
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Stop it and take the unit away.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start/--no-start", help="Start it now and at each power-on.")
    ] = True,
) -> None:
    """Start video at each power-on: write a systemd unit for `run`, and start it.

    It reads the settings file at each start, waits for camera and radio, and begins again whatever ends
    it. As root for the whole machine, or with --user for yours.
    """
    path = out or unit_path(user=user, config_home=user_config_path().parents[1])
    if uninstall:
        _uninstall(path, user=user, live=out is None)
        return
    name = "" if user else run_as or os.environ.get("SUDO_USER") or getpass.getuser()
    chosen = effective({}, config or _config_of(name))
    chosen.check_complete()
    if chosen.path is None:
        raise UserError("a service needs a settings file; make one with `gvc-edge config init`")
    text = unit_text(ServicePlan(
        python=sys.executable, config=chosen.path.resolve(), settings=chosen.settings, user=name,
        groups=known_groups(),
    ))  # fmt: skip
    if show:
        print(text, end="")
        return
    _make_state(chosen.settings.state, name)
    _write(path, text)
    print(f"written: {path}")
    if out is None:
        _start(user=user, start=start)


def _config_of(name: str) -> Path | None:
    """The settings of whom it runs as: under sudo, the home folder is root's."""
    if not name or name == getpass.getuser():
        return None
    own = home_of(name) / ".config/gvc-field/edge.toml"
    return own if own.exists() else config_places()[1]


def _make_state(folder: str, name: str) -> None:
    """A state folder of the operator's own must be there before the unit may write to it."""
    if not folder or Path(folder).exists():
        return
    try:
        Path(folder).mkdir(parents=True, mode=0o700)
        if name and os.geteuid() == 0:
            shutil.chown(folder, name)
    except (OSError, LookupError) as error:
        raise UserError(f"cannot make the state folder {folder}: {error}") from None


def _start(*, user: bool, start: bool) -> None:
    _systemctl(user, "daemon-reload")
    how = "systemctl --user" if user else "systemctl"
    if start:
        _systemctl(user, "enable", "--now", NAME)
    else:
        print(f"start it with: {how} enable --now {NAME}")
    if user:
        print(f"to run without a login: sudo loginctl enable-linger {getpass.getuser()}")
    print(
        f"watch it with: journalctl {'--user ' if user else ''}-fu {NAME.removesuffix('.service')}"
    )


def _uninstall(path: Path, *, user: bool, live: bool) -> None:
    if not path.exists():
        raise UserError(f"there is no {path}; nothing was done")
    if live:
        _systemctl(user, "disable", "--now", NAME)
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"cannot take {path} away: {error.strerror}; use sudo, or --user") from None
    if live:
        _systemctl(user, "daemon-reload")
    print(f"taken away: {path}; settings, keys and what was recorded are left as they are")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(text)
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; use sudo, or --user for a service of yours"
        ) from None


def _systemctl(user: bool, *args: str) -> None:
    command = ["systemctl", *(["--user"] if user else []), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        problem = "" if done.returncode == 0 else done.stderr.strip() or f"code {done.returncode}"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise UserError(f"`{' '.join(command)}` failed: {problem.splitlines()[0]}")
