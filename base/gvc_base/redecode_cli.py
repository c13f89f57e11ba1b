"""`gvc-base redecode`: derived media of a mission, made again. Thin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gvc_base.choices import (
    BackendOption,
    BootOption,
    ObjectsOption,
    QualityOption,
    SigningStateOption,
    SignOption,
    StreamOption,
    backend_of,
    quality_of,
)
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption

__all__ = ["ModelOption", "redecode_mission"]

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Weights: a name or hash, or a folder of `make train`."),
]


def redecode_mission(
    archive: Annotated[Path, typer.Argument(help="Mission archive (.db).")],
    quality: QualityOption = "best",
    model: ModelOption = None,
    backend: BackendOption = "auto",
    session: Annotated[int | None, typer.Option("--session", help="Only this session.")] = None,
    stream: StreamOption = None,
    boot: BootOption = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Also a copy without marks burned in, to compare.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Even if it is there and current.")
    ] = False,
    objects: ObjectsOption = "movers",
    sign: SignOption = True,
    state: SigningStateOption = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Decode an archive again, to files beside it named by quality and model; none replaces another.

    Example: gvc-base redecode flood.db --quality best --model evidence-250f5934
    """
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.missions.redecode import redecode
    from gvc_base.progress import progress
    from gvc_profiles.sight.detector import load_detector

    settings = DecodeSettings(
        quality=quality_of(quality), backend=backend_of(backend), stream_id=stream, boot_id=boot,
        key=link_key(key), detector=load_detector(objects),
    )  # fmt: skip
    with progress("decoding", quiet=as_json) as step:
        made = redecode(
            archive, settings, model=model, session=session, clean=clean, again=again, sign=sign,
            state=state,
            on_frame=lambda done, total: step("decoding", done / total if total else 0.0),
        )  # fmt: skip
    if made.report is None:
        print(f"{made.video}: is there, and shows what the archive holds; --again makes it anew")
    elif as_json:
        print(made.report.as_json())
    else:
        print(f"{made.video}: {made.report.as_text()}")
        for note in made.report.notes:
            print(f"note: {note}")
