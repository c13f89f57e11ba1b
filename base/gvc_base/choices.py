"""Options that several commands share, and what they may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.decoders import Backend
    from gvc_protocol.codec import Quality

__all__ = [
    "BackendOption", "BootOption", "FovOption", "GroundOption", "ObjectsOption", "QualityOption",
    "SecondsOption", "SessionOption", "SignOption", "SigningStateOption", "StreamOption",
    "backend_of", "checked_fov", "quality_of",
]  # fmt: skip

QualityOption = Annotated[str, typer.Option("--quality", help="preview, standard or best.")]
BackendOption = Annotated[
    str, typer.Option("--backend", help="What runs the network: auto, cuda, torch or onnx.")
]

FovOption = Annotated[
    float, typer.Option("--fov", help="Camera's view across the picture, degrees, for the map.")
]
GroundOption = Annotated[
    float | None,
    typer.Option("--ground", help="Ground above the ellipsoid, m; default: lowest heard."),
]
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="Stop after this long.")]
StreamOption = Annotated[
    int | None, typer.Option("--stream", help="Camera to follow; default: the first heard.")
]
BootOption = Annotated[int | None, typer.Option("--boot", help="Only this start of the edge.")]
SessionOption = Annotated[int | None, typer.Option("--session", help="Session of an archive.")]
ObjectsOption = Annotated[
    str, typer.Option("--objects", help="Who checks the picture: movers, people, MODEL.onnx.")
]
SignOption = Annotated[
    bool, typer.Option("--sign/--no-sign", help="Content credentials into what is written.")
]
SigningStateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder of this base's signing identity.")
]


def checked_fov(degrees: float) -> float:
    """The angle. Raises UserError where no camera has it."""
    if not 1 <= degrees <= 170:
        raise UserError(f"--fov {degrees:g} is no camera's view; give 1 to 170 degrees")
    return degrees


def backend_of(name: str) -> Backend:
    """The backend of that name. Raises UserError for another."""
    from gvc_base.decoders import BACKENDS

    if name not in BACKENDS:
        raise UserError(f"unknown backend {name!r}; choose {', '.join(BACKENDS)}")
    return name


def quality_of(name: str) -> Quality:
    """The quality of that name. Raises UserError for another."""
    from gvc_protocol.codec import Quality

    if name not in get_args(Quality):
        raise UserError(f"unknown quality {name!r}; choose {', '.join(get_args(Quality))}")
    return cast(Quality, name)
