"""`gvc-base compare`: two decodes beside each other. Thin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_base.choices import (
    BackendOption,
    BootOption,
    SessionOption,
    StreamOption,
    backend_of,
    quality_of,
)
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.missions.compare import Side
    from gvc_base.recording import Recording
    from gvc_protocol.codec import DecodedFrame

__all__ = ["compare_decodes"]

_SideOption = typer.Option(help="QUALITY or QUALITY/MODEL: best/evidence-250f5934, preview, ...")


def compare_decodes(
    first: Annotated[Path, typer.Argument(help="Recording (.db, .pcap), or a decoded video.")],
    second: Annotated[
        Path | None, typer.Argument(help="A second decoded video, marks beside it.")
    ] = None,
    a: Annotated[str | None, _SideOption] = None,
    b: Annotated[str | None, _SideOption] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write: OUT.mp4, OUT.png, ...")
    ] = None,
    backend: BackendOption = "auto",
    session: SessionOption = None,
    stream: StreamOption = None,
    boot: BootOption = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Two decodes of one mission: a video of both with their marks, where they differ, in numbers too.

    Examples: gvc-base compare flood.db --a standard --b preview; gvc-base compare old.mp4 new.mp4
    """
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.missions.compare import compare
    from gvc_base.missions.decoded import decoded_side
    from gvc_base.missions.redecode import codec_of
    from gvc_base.recording import open_recording

    if second is not None:
        if a is not None or b is not None:
            raise UserError("--a and --b are for one recording; two decoded videos need neither")
        sides = (decoded_side(first), decoded_side(second))
        name, fps = f"{first.stem}.vs.{second.stem}", sides[0].fps
    else:
        if a is None or b is None:
            raise UserError("say what to compare: --a QUALITY[/MODEL] --b QUALITY[/MODEL]")
        recording = open_recording(first, None, session)
        settings = DecodeSettings(
            quality="preview", backend=backend_of(backend), stream_id=stream, boot_id=boot,
            key=link_key(key),
        )  # fmt: skip
        codec = codec_of(recording, settings)
        sides = (
            _recorded(recording, settings, a, codec),
            _recorded(recording, settings, b, codec),
        )
        if sides[0].label == sides[1].label:
            raise UserError(f"--a and --b are the same decode: {sides[0].label}")
        name = f"{first.stem}.compare.{sides[0].label}.vs.{sides[1].label}".replace("/", "-")
        fps = sides[0].fps
    assert fps is not None
    found = compare(*sides, out or first.with_name(name), fps=fps)
    print(found.as_json() if as_json else "\n".join((*found.lines(), *found.files.values())))


def _recorded(recording: Recording, settings: DecodeSettings, text: str, codec: int | None) -> Side:
    """A side that is decoded while it is looked at."""
    from gvc_base.decode_pass import DecodePass
    from gvc_base.missions.compare import Side
    from gvc_base.missions.models import how_of
    from gvc_base.neural.weights import FOLDER

    quality, _, model = text.partition("/")
    chosen = quality_of(quality)
    weights = how_of(chosen, model or None, codec)
    run = DecodePass(
        recording,
        replace(settings, quality=chosen, weights=FOLDER if weights is None else weights.folder),
    )
    frames = run.frames()
    head = next(frames, None)
    if head is None:
        raise UserError(run.nothing())
    label = chosen if weights is None else f"{chosen}/{weights.label}"
    rest: Iterator[DecodedFrame] = (shown.frame for shown in frames)
    return Side(label=label, frames=chain([head.frame], rest), fps=Fraction(head.job.span.fps))
