"""`gvc-base ask ...`: what an operator can ask of the camera while a base runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gvc_protocol.errors import UserError

__all__ = ["ask_app"]

ask_app = typer.Typer(
    name="ask", no_args_is_help=True, help="Ask the camera through the base that runs now."
)

ArchiveOption = Annotated[
    Path, typer.Option("--archive", help="Archive (.db) of the base that runs.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds to wait for what becomes of it; 0 for not at all.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DroneOption = Annotated[
    str | None,
    typer.Option("--drone", help="LINK-STREAM, such as 0-1; needed where several are heard."),
]
_LEVELS = 3


@ask_app.command()
def keyframe(
    archive: ArchiveOption, drone: DroneOption = None, wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """The next unit starts fresh, and all of it has a keyframe's protection."""
    _ask(archive, {"ask": "keyframe", "drone": drone}, wait, as_json)


@ask_app.command()
def region(
    box: Annotated[str, typer.Argument(help="X,Y,WIDTH,HEIGHT in source pixels.")],
    archive: ArchiveOption,
    unit: Annotated[int | None, typer.Option("--unit", help="Default: the newest.")] = None,
    frame: Annotated[int, typer.Option("--frame", help="Frame in the unit.")] = 0,
    boot: Annotated[int | None, typer.Option("--boot", help="Default: the newest.")] = None,
    drone: DroneOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """The real pixels of a box: coarse first, then finer, beside the archive and in `decode`."""
    try:
        sides = [int(word) for word in box.split(",")]
    except ValueError:
        sides = []
    if len(sides) != 4 or min(sides) < 0 or min(sides[2:]) < 1 or max(sides) > 16_384:
        raise UserError(f"{box!r} is no box; give X,Y,WIDTH,HEIGHT in source pixels: 320,200,96,64")
    for name, value in (("--unit", unit), ("--frame", frame), ("--boot", boot)):
        if value is not None and not 0 <= value <= 100_000_000:
            raise UserError(f"{name} {value} is out of range; give a number from 0")
    wanted = {"ask": "region", "box": sides, "unit": unit, "frame": frame, "boot": boot,
              "drone": drone}  # fmt: skip
    _ask(archive, wanted, wait, as_json)


@ask_app.command()
def rate(
    bps: Annotated[int, typer.Argument(help="On-air bit/s; 0 lets the edge choose again.")],
    archive: ArchiveOption,
    drone: DroneOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Hold a rate; never above the edge's own limit."""
    if bps < 0:
        raise UserError(f"{bps} bit/s is out of range; give 0 or more")
    _ask(archive, {"ask": "rate", "bps": bps, "drone": drone}, wait, as_json)


@ask_app.command()
def mode(
    finest: Annotated[
        int, typer.Argument(help="0 full motion, 1 fewer frames, 2 stills, 3 chips.")
    ],
    coarsest: Annotated[int, typer.Argument(help="Not below the first.")],
    archive: ArchiveOption,
    drone: DroneOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Bound the ladder: no step finer than the first, none coarser than the second."""
    if not 0 <= finest <= coarsest <= _LEVELS:
        raise UserError(f"{finest} {coarsest} are no bounds; give two steps from 0 to 3, rising")
    _ask(
        archive,
        {"ask": "mode", "finest": finest, "coarsest": coarsest, "drone": drone},
        wait,
        as_json,
    )


@ask_app.command()
def text(
    line: Annotated[str, typer.Argument(help="Shown where the edge runs.")],
    archive: ArchiveOption,
    drone: DroneOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Say something to whoever is at the edge."""
    from gvc_protocol.messages import MAX_TEXT_BYTES

    if not line.strip() or len(line.encode()) > MAX_TEXT_BYTES:
        raise UserError(f"a text has 1 to {MAX_TEXT_BYTES} bytes; this has {len(line.encode())}")
    _ask(archive, {"ask": "text", "text": line, "drone": drone}, wait, as_json)


@ask_app.command()
def resume(archive: ArchiveOption, drone: DroneOption = None) -> None:
    """Send again what was lost, of all starts of the edge that this archive knows."""
    from gvc_base.asks import ask

    ask(archive, {"ask": "resume", "drone": drone}, wait_s=0)
    print("asked: lost units come as the link has room, `decode` puts them in their place")


def _ask(archive: Path, wanted: dict[str, Any], wait: float, as_json: bool) -> None:
    from gvc_base.asks import ask

    command_id, state = ask(archive, wanted, wait_s=wait)
    if as_json:
        print(json.dumps({"id": command_id, "state": state}))
    else:
        print(f"{wanted['ask']} {command_id}: {state}")
