"""`gvc-base trace`: what stands behind one place of a decoded picture, down to the datagrams."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gvc_profiles import load
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import KeyOption
from gvc_profiles.params import link_params
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.marks.trace import Packet
    from gvc_protocol.marks import SourcePart

__all__ = ["trace_tile"]

_PARTS = {
    "NONE": "no received byte", "KEYFRAME": "a picture in K",
    "FEATURES": "a low-resolution picture in F", "PATCH": "a patch of pixels in F",
    "ANSWER": "pixels that were asked for",
}  # fmt: skip
_GRIDS = ("mark", "age_ms", "p_wrong", "source_unit", "source_boot", "source_part")


def trace_tile(
    recording: Annotated[Path, typer.Argument(help="Capture (.pcap) or mission archive (.db).")],
    frame: Annotated[int, typer.Option("--frame", help="Frame of the video, counted from 0.")],
    at: Annotated[str, typer.Option("--at", help="X,Y: a pixel of the picture.")],
    marks: Annotated[
        Path, typer.Option("--marks", help="Marks file that `decode` wrote beside the video.")
    ],
    stream: Annotated[int | None, typer.Option("--stream", help="Camera; default: any.")] = None,
    session: Annotated[int | None, typer.Option("--session", help="Session of an archive.")] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Radio of a capture; few need it.")
    ] = None,
    key: KeyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What one place of a decoded picture was made from: mark, unit, part, received datagrams."""
    from gvc_base.marks.trace import Origin, trace
    from gvc_base.recording import open_recording
    from gvc_protocol.marks import SourcePart

    params = (
        None if profile is None else link_params(load(profile), bps=None, fec="auto", packets=True)
    )
    opened = open_recording(recording, params, session)
    tile = _tile(marks, frame, at)
    part = SourcePart(tile["source_part"])
    origin = Origin(boot_id=tile["source_boot"], unit_no=tile["source_unit"], part=part)
    packets = trace(opened, origin, stream_id=stream, key=link_key(key))
    if part != SourcePart.NONE and not packets:
        raise UserError(
            f"{recording} holds no datagram of unit {origin.unit_no}, boot {origin.boot_id}; "
            f"is {marks} of this recording, and was it decoded with a key? Give that key"
        )
    if as_json:
        print(
            json.dumps({**tile, "part": part.name.lower(), "packets": [_row(p) for p in packets]})
        )
        return
    for line in _lines(tile, part, packets, "row" if opened.session_ids else "record"):
        print(line)


def _tile(path: Path, frame: int, at: str) -> dict[str, Any]:
    """What the marks file says of the tile at a pixel."""
    import numpy as np

    from gvc_protocol.marks import TILE_PX

    try:
        x, y = (int(word) for word in at.split(","))
    except ValueError:
        raise UserError(f"--at {at!r}: give X,Y in pixels, for instance --at 320,200") from None
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in _GRIDS if name not in file.files]
            if missing:
                raise UserError(f"{path} has no {missing[0]}; decode the recording anew")
            width, height = (int(side) for side in file["size"])
            # Marks files of before have no expected error.
            also = [name for name in ("error",) if name in file.files]
            grids = {name: file[name] for name in (*_GRIDS, *also)}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, KeyError):
        raise UserError(f"{path} is no marks file; `gvc-base decode` writes one") from None
    frames = len(grids["mark"])
    if not (0 <= frame < frames and 0 <= x < width and 0 <= y < height):
        raise UserError(
            f"frame {frame}, pixel {x},{y} is outside: {path} has frames 0 to {frames - 1} of "
            f"{width}x{height}"
        )
    row, column = y // TILE_PX, x // TILE_PX
    tile = {name: grid[frame, row, column].item() for name, grid in grids.items()}
    if math.isnan(tile.get("error", 0.0)):
        del tile["error"]
    return {"frame": frame, "row": row, "column": column, **tile}


def _lines(tile: dict[str, Any], part: SourcePart, packets: list[Packet], kind: str) -> list[str]:
    from gvc_protocol.marks import AGE_UNKNOWN_MS, TILE_PX, Mark, SourcePart

    x, y = tile["column"] * TILE_PX, tile["row"] * TILE_PX
    old = "age unknown" if tile["age_ms"] == AGE_UNKNOWN_MS else f"{tile['age_ms']} ms old"
    off = f", error expected {tile['error']:.1f} levels of 255" if "error" in tile else ""
    lines = [
        f"frame {tile['frame']}, pixels {x}-{x + TILE_PX - 1},{y}-{y + TILE_PX - 1}: "
        f"{Mark(tile['mark']).name.lower()}, {old}, p_wrong {tile['p_wrong']:.3f}{off}"
    ]
    if part == SourcePart.NONE:
        return [*lines, "made from: no received byte"]
    lines.append(
        f"made from: {_PARTS[part.name]}, unit {tile['source_unit']} of boot {tile['source_boot']}; "
        f"{len(packets)} datagrams, {sum(p.size for p in packets)} bytes"
    )
    ordered = sorted(packets, key=lambda p: (p.part, p.number, p.block_no, p.symbol))
    for (wire, number, block), group in groupby(ordered, lambda p: (p.part, p.number, p.block_no)):
        name = f"{wire.name.lower()} {number}" if wire.name == "MESSAGE" else wire.name.lower()
        for p in group:
            what = f"symbol {p.symbol + 1} of {p.k}" if p.symbol < p.k else "parity"
            rows = ", ".join(str(row) for row in p.rows)
            lines.append(
                f"  {kind} {rows}: {p.time_ns / 1e9:.3f} s, {name}, block {block}, {what}, "
                f"{p.size} bytes"
            )
    return lines


def _row(packet: Packet) -> dict[str, Any]:
    return {**asdict(packet), "part": packet.part.name.lower()}
