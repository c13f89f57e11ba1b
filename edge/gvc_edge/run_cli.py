"""`gvc-edge run`: from power-on to video. Options override the settings file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gvc_edge.cli_parts import ConfigOption, JsonOption, SecondsOption, print_report, say_to_stderr
from gvc_edge.field.settings import effective
from gvc_profiles.completion import (
    complete_fec,
    complete_key,
    complete_link,
    complete_objects,
    complete_profile,
    complete_source,
)

__all__ = ["run"]

_WHAT, _RADIO, _TRUST, _HERE = "What is sent", "Radio", "Trust", "This machine"


def run(
    source: Annotated[
        str | None,
        typer.Option("--source", help="v4l2:/dev/video0, rtsp://..., a file, synthetic:flood.",
                     autocompletion=complete_source, rich_help_panel=_WHAT),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option("--link", help="serial:/dev/ttyUSB0, udp://HOST:PORT, file:x.pcap, ...",
                     autocompletion=complete_link, rich_help_panel=_RADIO),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", help="Radio profile, or a .toml file.",
                     autocompletion=complete_profile, rich_help_panel=_RADIO),
    ] = None,
    config: ConfigOption = None,
    bps: Annotated[
        float | None,
        typer.Option("--bps", help="On-air bit/s, everything included.", rich_help_panel=_RADIO),
    ] = None,
    fec: Annotated[
        str | None,
        typer.Option("--fec", help="auto (the profile's), off, or redundancy in percent.",
                     autocompletion=complete_fec, rich_help_panel=_RADIO),
    ] = None,
    adapt: Annotated[
        bool | None,
        typer.Option("--adapt/--no-adapt", help="Follow the base's reports on the link.",
                     rich_help_panel=_RADIO),
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option("--latency", rich_help_panel=_WHAT,
                     help="Seconds a unit covers, 0.5 to 8, on very slow links to 60: longer is "
                     "sharper. Default: 2, or what the link's rate needs."),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option("--codec", help="gvc, or classical (no network).", rich_help_panel=_WHAT),
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option("--objects", help="Who finds objects: movers, people, MODEL.onnx, or none.",
                     autocompletion=complete_objects, rich_help_panel=_WHAT),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option("--place", rich_help_panel=_WHAT,
                     help="Where the camera is, for the map: mavlink:/dev/ttyACM0, "
                     "mavlink+udp://0.0.0.0:14550, nmea:/dev/ttyUSB1, fixed:LAT,LON,HEIGHT; "
                     "?pitch=-90 how it is mounted."),
    ] = None,
    verify: Annotated[
        bool | None,
        typer.Option("--verify/--no-verify", help="Tell the base where what is sent is wrong.",
                     rich_help_panel=_WHAT),
    ] = None,
    crop_even: Annotated[
        bool | None,
        typer.Option("--crop-even/--no-crop-even", help="Drop the last row/column if odd.",
                     rich_help_panel=_WHAT),
    ] = None,
    stream: Annotated[
        int | None,
        typer.Option("--stream", help="Camera number, 0 to 65535.", rich_help_panel=_WHAT),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Key file (`keys new`): believe and send only with it.",
                     autocompletion=complete_key, rich_help_panel=_TRUST),
    ] = None,
    encrypt: Annotated[
        bool | None,
        typer.Option("--encrypt/--no-encrypt", rich_help_panel=_TRUST,
                     help="Encrypt what is sent, too; where the law allows it."),
    ] = None,
    seconds: SecondsOption = None,
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", rich_help_panel=_HERE,
                     help="Wait for a camera or radio that is away at the start."),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Folder of the boot counter and the spool.",
                     rich_help_panel=_HERE),
    ] = None,
    spool_mib: Annotated[
        int | None,
        typer.Option("--spool-mib", help="Limit of the local copy.", rich_help_panel=_HERE),
    ] = None,
    pictures_mib: Annotated[
        int | None,
        typer.Option("--pictures-mib", help="Limit of the source pictures kept for the base.",
                     rich_help_panel=_HERE),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", rich_help_panel=_HERE,
                     help="Single lines instead of the live screen, as where there is no terminal."),
    ] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Encode a camera and send it, until the source ends or Ctrl-C.

    Without options all comes from the settings file (`gvc-edge config init` makes one). A camera or
    radio that is away is waited for.
    """
    given = {
        "source": source, "link": link, "profile": profile, "stream": stream, "key": key,
        "encrypt": encrypt, "bps": bps, "fec": fec, "latency": latency, "codec": codec,
        "objects": objects, "place": place, "verify": verify, "adapt": adapt, "wait": wait,
        "crop_even": crop_even, "state": state, "spool_mib": spool_mib,
        "pictures_mib": pictures_mib,
    }  # fmt: skip
    chosen = effective(given, config)
    chosen.check_complete()
    # Heavy: numpy, PyAV. Help and completion do without.
    from gvc_edge.field.board import Board
    from gvc_edge.field.doctor import state_folder
    from gvc_edge.field.mission import fly
    from gvc_edge.field.tellers import Plain, Screen, can_draw

    board = Board(state_folder(chosen.settings))
    teller: Plain | Screen
    if plain or as_json or not can_draw(sys.stderr):
        teller = Plain(board, say_to_stderr, status=not as_json)
    else:
        teller = Screen(board, sys.stderr)
    with teller:
        report = fly(chosen.settings, teller, seconds=seconds)
    print_report(report, as_json)
