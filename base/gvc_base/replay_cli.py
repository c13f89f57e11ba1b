"""`gvc-base replay`: the console on recorded time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gvc_base.archive_seal import load_signer
from gvc_base.choices import BackendOption, QualityOption, backend_of, quality_of
from gvc_base.console_cli import DEFAULT_CONSOLE, ConsoleAddress
from gvc_base.replay.view import ReplayOptions, ReplayView
from gvc_base.station.ground import DEFAULT_FOV_DEG
from gvc_profiles.boots import default_state_dir
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

__all__ = ["replay"]


def replay(
    archive: Annotated[Path, typer.Argument(help="Mission archive (.db).")],
    console: Annotated[
        str | None,
        typer.Option(
            "--console", metavar="HOST:PORT",
            help=f"Where the web console is; default: {DEFAULT_CONSOLE}. Beyond loopback with a token.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", help="A browser must give it; default beyond loopback: made."),
    ] = None,
    quality: QualityOption = "preview",
    backend: BackendOption = "auto",
    session: Annotated[int | None, typer.Option("--session", help="Only this session.")] = None,
    fov: Annotated[
        float, typer.Option("--fov", help="Camera's view across the picture, degrees, for the map.")
    ] = DEFAULT_FOV_DEG,
    ground: Annotated[
        float | None,
        typer.Option("--ground", help="Ground above the ellipsoid, m; default: lowest heard."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Stop after this long.")
    ] = None,
    key: KeyOption = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of this base's signing key.")
    ] = None,
) -> None:  # fmt: skip
    """Show a recorded mission in the web console: scrub, 0.25x to 16x, jump to event, loss, low trust.

    What was received runs through the receiver and decoder of a live mission. Notes that are made while
    looking are added to the archive; nothing else in it changes.

    Example: gvc-base replay flood.db
    """
    if not 1 <= fov <= 170:
        raise UserError(f"--fov {fov:g} is no camera's view; give 1 to 170 degrees")
    where = ConsoleAddress.of(console, token)
    folder = state or default_state_dir("gvc-base")
    options = ReplayOptions(
        quality=quality_of(quality), backend=backend_of(backend), key=link_key(key),
        session=session, decoders=max(1, (os.cpu_count() or 2) // 2), fov_deg=fov, ground_m=ground,
        signer=lambda: load_signer(folder, make=True),
    )  # fmt: skip
    ended = threading.Event()
    with ExitStack() as stack:
        view = ReplayView(archive, options, say=_say)
        stack.callback(view.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        where.serve(stack, view, _say, needed=True)
        _say(f"replaying {archive}; ctrl-c ends it")
        ended.wait(seconds)


def _say(line: str) -> None:
    print(f"gvc-base: {line}", file=sys.stderr, flush=True)
