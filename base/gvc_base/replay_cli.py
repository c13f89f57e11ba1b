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

from gvc_base.choices import (
    BackendOption,
    FovOption,
    GroundOption,
    QualityOption,
    SecondsOption,
    backend_of,
    checked_fov,
    quality_of,
)
from gvc_base.console_cli import ConsoleAddress, ConsoleOption, TokenOption
from gvc_base.station import DEFAULT_FOV_DEG
from gvc_profiles.boots import default_state_dir
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption

__all__ = ["replay"]


def replay(
    archive: Annotated[Path, typer.Argument(help="Mission archive (.db).")],
    console: ConsoleOption = None,
    token: TokenOption = None,
    quality: QualityOption = "preview",
    backend: BackendOption = "auto",
    session: Annotated[int | None, typer.Option("--session", help="Only this session.")] = None,
    fov: FovOption = DEFAULT_FOV_DEG,
    ground: GroundOption = None,
    seconds: SecondsOption = None,
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
    from gvc_base.archive_seal import load_signer
    from gvc_base.replay.view import ReplayOptions, ReplayView

    where = ConsoleAddress.of(console, token)
    folder = state or default_state_dir("gvc-base")
    options = ReplayOptions(
        quality=quality_of(quality), backend=backend_of(backend), key=link_key(key),
        session=session, decoders=max(1, (os.cpu_count() or 2) // 2), fov_deg=checked_fov(fov),
        ground_m=ground,
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
