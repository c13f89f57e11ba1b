"""Options that several commands share, and what they may be."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from gvc_base.decoders import BACKENDS, Backend
from gvc_protocol.codec import Quality
from gvc_protocol.errors import UserError

__all__ = ["BackendOption", "QualityOption", "backend_of", "quality_of"]

QualityOption = Annotated[str, typer.Option("--quality", help="preview, standard or best.")]
BackendOption = Annotated[
    str, typer.Option("--backend", help="What runs the network: auto, cuda, torch or onnx.")
]


def backend_of(name: str) -> Backend:
    """The backend of that name. Raises UserError for another."""
    if name not in BACKENDS:
        raise UserError(f"unknown backend {name!r}; choose {', '.join(BACKENDS)}")
    return name


def quality_of(name: str) -> Quality:
    """The quality of that name. Raises UserError for another."""
    if name not in get_args(Quality):
        raise UserError(f"unknown quality {name!r}; choose {', '.join(get_args(Quality))}")
    return cast(Quality, name)
