"""`gvc-base`: the base-station operator's and the analyst's command line. Thin.

Each command loads what it needs inside, here and in the `*_cli` modules: help and completion are
there at once, also on a slow computer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from gvc_base.ask_cli import ask_app
from gvc_base.channel import ChannelSpec
from gvc_base.choices import (
    BackendOption,
    BootOption,
    ObjectsOption,
    QualityOption,
    SessionOption,
    SignOption,
    StreamOption,
    backend_of,
    quality_of,
)
from gvc_base.compare_cli import compare_decodes
from gvc_base.examples import EXAMPLES
from gvc_base.export_cli import export
from gvc_base.missions_cli import missions_app
from gvc_base.post_cli import post_app
from gvc_base.redecode_cli import redecode_mission
from gvc_base.replay_cli import replay
from gvc_base.run_cli import run
from gvc_base.trace_cli import trace_tile
from gvc_base.verify_cli import verify
from gvc_base.workers_cli import workers_app
from gvc_profiles import load
from gvc_profiles.check_cli import check
from gvc_profiles.cli_help import add_examples
from gvc_profiles.completion import complete_profile, completion
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import EncryptOption, KeyOption, keys_app
from gvc_profiles.listing import print_profiles
from gvc_profiles.params import link_params
from gvc_protocol.auth import auth_label
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.rehearse import RehearsalResult

__all__ = ["app", "main"]

app = typer.Typer(
    name="gvc-base", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
    help="Base station: receive, archive, decode and mark what a gvc-edge sent.",
)  # fmt: skip

app.add_typer(ask_app)
app.add_typer(keys_app)
app.add_typer(workers_app)
app.add_typer(missions_app)
app.add_typer(post_app)
app.command()(check)
app.command()(verify)
app.command()(run)
app.command()(replay)
app.command()(export)
app.command("trace")(trace_tile)
app.command("redecode")(redecode_mission)
app.command("compare")(compare_decodes)

ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", "-p", help="Radio profile, or a .toml file.", autocompletion=complete_profile
    ),
]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="Folder of what this base keeps from start to start.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LossOption = Annotated[float, typer.Option("--loss", help="Share of packets lost, 0 to 0.95.")]
BurstOption = Annotated[
    float, typer.Option("--burst", help="Mean length of a loss burst, packets.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed, same losses.")]
BerOption = Annotated[float, typer.Option("--ber", help="Bit error rate.")]
SlipOption = Annotated[float, typer.Option("--slip", help="Bytes deleted or inserted, per byte.")]
DupOption = Annotated[float, typer.Option("--dup", help="Share of packets that come twice.")]
ReorderOption = Annotated[float, typer.Option("--reorder", help="Share of packets out of order.")]


@app.command()
def decode(
    recording: Annotated[Path, typer.Argument(help="Capture (.pcap) or mission archive (.db).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Video to write (.mp4).")],
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Leave the marks out of --out; they still lie beside it."),
    ] = False,
    received: Annotated[
        bool,
        typer.Option("--received-only", help="Show received evidence alone, nothing made of it."),
    ] = False,
    marks: Annotated[
        Path | None, typer.Option("--marks", help="Marks file; default: beside the video.")
    ] = None,
    marked: Annotated[
        Path | None, typer.Option("--marked", help="A second video, marks burned in.")
    ] = None,
    marks_video: Annotated[
        Path | None, typer.Option("--marks-video", help="The marks alone, on grey (.mp4).")
    ] = None,
    stills: Annotated[
        Path | None,
        typer.Option("--stills", help="Folder for received pixels of each unit, as PNG."),
    ] = None,
    objects: ObjectsOption = "movers",
    sign: SignOption = True,
    state: StateOption = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Store the recording in an archive, too.")
    ] = None,
    quality: QualityOption = "standard",
    backend: BackendOption = "auto",
    stream: StreamOption = None,
    boot: BootOption = None,
    session: SessionOption = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Radio of a capture; few need it.")
    ] = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode a recording to video and marks; frames align with the source whatever was lost.

    Examples: gvc-base decode flood.db --out flood.mp4; gvc-base decode flood.db --out seen.mp4
    --received-only; gvc-base verify flood.mp4 says what is real in it.
    """
    from gvc_base.decode import Outputs, decode_recording, marks_path_for
    from gvc_base.decode_pass import DecodeSettings
    from gvc_base.missions.redecode import note_decode
    from gvc_base.progress import progress
    from gvc_base.recording import open_recording, store_recording
    from gvc_profiles.sight.detector import load_detector

    params = (
        None if profile is None else link_params(load(profile), bps=None, fec="auto", packets=True)
    )
    chosen = quality_of(quality)
    secret = link_key(key)
    opened = open_recording(recording, params, session)
    marks_path = marks or marks_path_for(out)
    outputs = Outputs(
        plain=out if clean else None, marked=marked if clean else out, marks=marks_path,
        marks_video=marks_video, stills=stills, received_only=received, sign=sign, state=state,
    )  # fmt: skip
    if marked is not None and not clean:
        raise UserError("--out has the marks burned in already; --marked goes with --clean")
    _refuse_overwrite(recording, [*outputs.all(), archive])
    detector = load_detector(objects)
    if archive is not None:
        store_recording(opened, archive, secret)
    with progress("decoding", quiet=as_json) as step:
        report = decode_recording(
            opened, outputs, quality=chosen, backend=backend_of(backend), stream_id=stream,
            boot_id=boot, key=secret, detector=detector,
            on_frame=lambda done, total: step("decoding", done / total if total else 0.0),
        )  # fmt: skip
    report.out = str(out)
    settings = DecodeSettings(quality=chosen, stream_id=stream, boot_id=boot, key=secret)
    note_decode(recording, opened, settings, outputs, report, out)
    print(report.as_json() if as_json else f"{out}: {report.as_text()}\nmarks: {marks_path}")
    for note in () if as_json else report.notes:
        print(f"note: {note}")


@app.command()
def impair(
    capture: Annotated[Path, typer.Argument(help="Capture written by gvc-edge.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Capture to write.")],
    loss: LossOption = 0.0,
    burst: BurstOption = 1.0,
    ber: BerOption = 0.0,
    slip: SlipOption = 0.0,
    dup: DupOption = 0.0,
    reorder: ReorderOption = 0.0,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Send a capture through a bad link (Gilbert-Elliott losses, errors, slips), seeded."""
    from gvc_base.impair import impair_capture

    spec = ChannelSpec(
        loss=loss, burst=burst, ber=ber, slip=slip, dup=dup, reorder=reorder, seed=seed
    )
    _refuse_overwrite(capture, [out])
    report = impair_capture(capture, out, spec)
    print(report.as_json() if as_json else f"{out}: {report.as_text()}")


@app.command()
def rehearse(
    video: Annotated[str, typer.Argument(help="A video file, or synthetic:flood.")],
    profile: ProfileOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything.")],
    loss: LossOption = 0.0,
    burst: BurstOption = 1.0,
    ber: BerOption = 0.0,
    slip: SlipOption = 0.0,
    seed: SeedOption = 1,
    bps: Annotated[float | None, typer.Option("--bps", help="On-air bit/s.")] = None,
    fec: Annotated[str, typer.Option("--fec", help="auto, off, or percent.")] = "auto",
    latency: Annotated[float, typer.Option("--latency", help="Seconds a unit covers.")] = 2.0,
    seconds: Annotated[float | None, typer.Option("--seconds", help="Use only this much.")] = None,
    codec: Annotated[str, typer.Option("--codec", help="gvc, or classical.")] = "gvc",
    quality: QualityOption = "standard",
    backend: BackendOption = "auto",
    key: KeyOption = None,
    encrypt: EncryptOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fly a video over a simulated link with the real programs, and show what arrives."""
    from gvc_base.progress import progress
    from gvc_base.rehearse import Rehearsal, RehearsalFailedError

    quality_of(quality)
    spec = ChannelSpec(loss=loss, burst=burst, ber=ber, slip=slip, dup=0, reorder=0, seed=seed)
    chosen = load(profile)
    link_key(key, encrypt=encrypt, profile=chosen)
    with progress("rehearsing", quiet=as_json) as step:
        flight = Rehearsal(
            video, chosen, profile, spec, out, seconds=seconds, bps=bps, fec=fec,
            latency=latency, quality=quality, backend=backend_of(backend), codec=codec, step=step,
            key=key, encrypt=encrypt,
        )  # fmt: skip
        try:
            result = flight.run()
        except RehearsalFailedError as error:
            print(f"gvc-base: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
    if as_json:
        print(_result_json(result))
    else:
        _print_result(result)


@app.command()
def profiles() -> None:
    """List the radio profiles."""
    print_profiles()


app.command()(completion)
add_examples(app, EXAMPLES)


def _refuse_overwrite(source: Path, targets: list[Path | None]) -> None:
    for target in targets:
        if target is not None and target.exists() and target.samefile(source):
            raise UserError(f"{target} is the input; write the output to another file")


def _result_json(result: RehearsalResult) -> str:
    import json

    paths = {
        "side_by_side": str(result.side_by_side), "sheet": str(result.sheet),
        "archive": str(result.archive), "decoded": str(result.decoded),
        "marked": str(result.marked), "marks": str(result.marks),
    }  # fmt: skip
    return json.dumps({"edge": result.edge, "base": result.base, "proxy": result.proxy, **paths})


def _print_result(result: RehearsalResult) -> None:
    edge, base = result.edge, result.base
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = (
        ("on the air", f"{edge['air_bps'] / 1000:.2f} of {edge['rate_bps'] / 1000:.2f} kbit/s, "
         f"{100 * edge['payload_bytes'] / max(1, edge['air_bytes']):.0f} % of it payload"),
        ("packets", f"{edge['packets_sent']} sent, {base['packets_received']} received, "
         f"{base['packets_repaired']} repaired"),
        ("units", f"{base['units_sent']}: {base['units_whole']} whole, "
         f"{base['units_degraded']} degraded, {base['units_lost']} lost"),
        ("picture", f"{base['seconds']:.1f} s, {base['frames']} frames, decoded at "
         f"{base['frames_per_s']:.0f} frames/s ({base['quality']})"),
        ("tiles", ", ".join(f"{k} {100 * v:.0f} %" for k, v in base["marks"].items())),
        ("source | decoded | marked", str(result.side_by_side)),
        ("sender", auth_label(base["key"]) + (", encrypted" if edge["encrypted"] else "")),
        ("contact sheet", str(result.sheet)),
        ("archive", str(result.archive)),
        ("marks", str(result.marks)),
    )  # fmt: skip
    for name, value in rows:
        table.add_row(name, value)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def main() -> None:
    """Entry point: a UserError is one line and exit code 2."""
    # Numpy is not loaded yet. Its OpenBLAS threads would wait for their next product by turning in
    # circles and keep a core from whatever receives, shows and writes.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "10")
    try:
        app()
    except UserError as error:
        print(f"gvc-base: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
