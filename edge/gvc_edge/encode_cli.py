"""`gvc-edge encode` and `render`: whole files, offline."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from gvc_edge.cli_parts import (
    CropOption,
    JsonOption,
    SecondsOption,
    print_report,
    progress,
    say_to_stderr,
)
from gvc_profiles import load
from gvc_profiles.completion import complete_profile
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import EncryptOption, KeyOption
from gvc_profiles.params import link_params
from gvc_protocol.errors import UserError

__all__ = ["encode", "render"]

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", "-p", help="Radio profile, or a .toml file.", autocompletion=complete_profile
    ),
]
BpsOption = Annotated[
    float | None, typer.Option("--bps", help="On-air bit/s, everything included.")
]
FecOption = Annotated[
    str, typer.Option("--fec", help="auto (the profile's), off, or redundancy in percent.")
]
LatencyOption = Annotated[
    float | None,
    typer.Option(
        "--latency",
        help="Seconds a unit covers, 0.5 to 8, on very slow links to 60: longer is sharper. Default: "
        "2, or what the link's rate needs.",
    ),
]
CodecOption = Annotated[str, typer.Option("--codec", help="gvc, or classical (no network).")]
VerifyOption = Annotated[
    bool,
    typer.Option("--verify/--no-verify", help="Tell the base where what is sent is wrong."),
]
ObjectsOption = Annotated[
    str,
    typer.Option("--objects", help="Who finds objects: movers, people, MODEL.onnx, or none."),
]
StreamOption = Annotated[int, typer.Option("--stream", help="Camera number, 0 to 65535.")]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="As quick as run: a third of the time, less sharp.")
]


def encode(
    video: Annotated[str, typer.Argument(help="A video file, or synthetic:flood.")],
    profile: ProfileOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Capture file to write (.pcap).")],
    bps: BpsOption = None,
    fec: FecOption = "auto",
    latency: LatencyOption = None,
    codec: CodecOption = "gvc",
    objects: ObjectsOption = "movers",
    verify: VerifyOption = True,
    quick: QuickOption = False,
    seconds: SecondsOption = None,
    crop_even: CropOption = False,
    stream: StreamOption = 1,
    boot: Annotated[
        int | None, typer.Option("--boot", help="Boot number to write; default 1. Not with --key.")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option("--place", help="fixed:LAT,LON,HEIGHT[?pitch=-90]: where the camera stood."),
    ] = None,
    start: Annotated[
        float | None, typer.Option("--start", help="Unix time of the first frame; default now.")
    ] = None,
    key: KeyOption = None,
    encrypt: EncryptOption = False,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of the boot counter, with --key.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Encode a video into a capture file, as it would leave for the radio."""
    # Heavy: numpy, PyAV, the codec. Help and completion do without.
    from gvc_edge.offline import encode_to_packets
    from gvc_edge.pipeline import long_units_line, make_pipeline
    from gvc_edge.place.watch import open_place
    from gvc_edge.sources import open_source
    from gvc_edge.state import PcapFile, default_state_dir, next_boot_id

    chosen = load(profile)
    if place is not None and not place.startswith("fixed:"):
        raise UserError(f"--place {place}: a file's camera stood still; give fixed:LAT,LON,HEIGHT")
    where = None if place is None else open_place(place, say_to_stderr)
    secret = link_key(key, encrypt=encrypt, profile=chosen)
    if secret is not None and boot is not None:
        raise UserError(
            "--boot and --key do not go together: with a key no boot number may repeat, so it is "
            "counted; leave --boot out"
        )
    _check_ids(stream, 1 if boot is None else boot)
    params = link_params(
        chosen, bps=bps, fec=fec, tagged=secret is not None, encrypted=encrypt
    )  # fmt: skip
    start_us = int((time.time() if start is None else start) * 1e6)
    opened = open_source(video, start_us=start_us, seconds=seconds, crop_even=crop_even)
    with closing(opened) as source:
        pipeline = make_pipeline(
            source, chosen.id, params, latency=latency, codec=codec, objects=objects, live=quick,
            verify=verify,
        )  # fmt: skip
        params = pipeline.params
        if line := long_units_line(pipeline, latency, params.rate_bps):
            say_to_stderr(line)
        boot_id = 1 if boot is None else boot
        if secret is not None:
            boot_id = next_boot_id(state or default_state_dir(), secret, key)
        part = out.with_name(out.name + ".part")
        file = PcapFile(part)
        try:
            total = source.info.total_frames
            with progress("encoding", quiet=as_json) as step:
                report = encode_to_packets(
                    source, pipeline, params, file.write,
                    stream_id=stream, boot_id=boot_id, key=secret,
                    on_frame=lambda number: step(number + 1, total),
                    place=(lambda: None) if where is None else where.now,
                )  # fmt: skip
            file.close()
            part.replace(out)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    report.profile, report.out = chosen.id, str(out)
    print_report(report, as_json)


def render(
    source: Annotated[str, typer.Argument(help="synthetic:flood[?seed=1&seconds=10] or a file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="MP4 to write.")],
    seconds: SecondsOption = None,
) -> None:
    """Write a source to an MP4 (synthetic scenes with their true boxes as JSON beside it)."""
    from gvc_edge.render_source import render as render_source

    with progress("rendering", quiet=False) as step:
        render_source(source, out, start_us=0, seconds=seconds, on_progress=step)


def _check_ids(stream: int, boot: int) -> None:
    for name, value in (("--stream", stream), ("--boot", boot)):
        if not 0 <= value <= 0xFFFF:
            raise UserError(f"{name} {value} is out of range; give 0 to 65535")
