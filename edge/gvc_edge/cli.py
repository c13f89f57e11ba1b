"""`gvc-edge`: the field operator's command line. Thin: it reads options, calls, prints."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gvc_edge.door import say_to_edge
from gvc_edge.live import LiveRun
from gvc_edge.offline import encode_to_packets
from gvc_edge.paced import PcapLink
from gvc_edge.pipeline import USUAL_LATENCY_S, Pipeline, make_pipeline
from gvc_edge.render_source import render
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource, open_source
from gvc_edge.state import PcapFile, Spool, default_state_dir, next_boot_id
from gvc_edge.way_back import BackOptions
from gvc_profiles import load
from gvc_profiles.airtime_ledger import KeptLedger, make_ledger
from gvc_profiles.check_cli import check
from gvc_profiles.clock import steady_clock
from gvc_profiles.keys import link_key
from gvc_profiles.keys_cli import EncryptOption, KeyOption, keys_app
from gvc_profiles.links import ByteLink, open_link
from gvc_profiles.listing import print_profiles
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.auth import auth_label
from gvc_protocol.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="gvc-edge", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
    help="Edge encoder: camera or video in, datagrams for a slow radio out.",
)  # fmt: skip

app.add_typer(keys_app)
app.command()(check)

ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="Radio profile, or a .toml file.")
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
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="Stop after this long.")]
CropOption = Annotated[bool, typer.Option("--crop-even", help="Drop the last row/column if odd.")]
StreamOption = Annotated[int, typer.Option("--stream", help="Camera number, 0 to 65535.")]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="As quick as run: a third of the time, less sharp.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
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
    chosen = load(profile)
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
    with _source(video, start_us, seconds, crop_even) as source:
        pipeline = make_pipeline(
            source, chosen.id, params, latency=latency, codec=codec, objects=objects, live=quick,
            verify=verify,
        )  # fmt: skip
        params = pipeline.params
        _tell_long_units(pipeline, latency, params.rate_bps)
        boot_id = 1 if boot is None else boot
        if secret is not None:
            boot_id = next_boot_id(state or default_state_dir(), secret, key)
        part = out.with_name(out.name + ".part")
        file = PcapFile(part)
        try:
            with _progress("encoding", source.info.total_frames, quiet=as_json) as step:
                report = encode_to_packets(
                    source, pipeline, params, file.write,
                    stream_id=stream, boot_id=boot_id, key=secret, on_frame=lambda _: step(1),
                )  # fmt: skip
            file.close()
            part.replace(out)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    report.profile, report.out = chosen.id, str(out)
    _print_report(report, as_json)


@app.command()
def run(
    source: Annotated[
        str, typer.Option("--source", help="File, v4l2:/dev/video0, rtsp://..., synthetic:flood")
    ],
    link: Annotated[
        str, typer.Option("--link", help="serial:/dev/ttyUSB0, udp://HOST:PORT, file:x.pcap")
    ],
    profile: ProfileOption,
    bps: BpsOption = None,
    fec: FecOption = "auto",
    latency: LatencyOption = None,
    codec: CodecOption = "gvc",
    objects: ObjectsOption = "movers",
    verify: VerifyOption = True,
    seconds: SecondsOption = None,
    crop_even: CropOption = False,
    stream: StreamOption = 1,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of the boot counter and the spool.")
    ] = None,
    spool_mib: Annotated[int, typer.Option("--spool-mib", help="Limit of the local copy.")] = 512,
    pictures_mib: Annotated[
        int, typer.Option("--pictures-mib", help="Limit of the source pictures kept for the base.")
    ] = 256,
    adapt: Annotated[
        bool, typer.Option("--adapt/--no-adapt", help="Follow the base's reports on the link.")
    ] = True,
    key: KeyOption = None,
    encrypt: EncryptOption = False,
    as_json: JsonOption = False,
) -> None:
    """Encode a camera and send it, until the source ends or Ctrl-C."""
    chosen = load(profile)
    secret = link_key(key, encrypt=encrypt, profile=chosen)
    params = link_params(
        chosen, bps=bps, fec=fec, tagged=secret is not None, encrypted=encrypt
    )  # fmt: skip
    folder = state or default_state_dir()
    boot_id = next_boot_id(folder, secret, key)
    _check_ids(stream, boot_id)
    with _source(source, time.time_ns() // 1000, seconds, crop_even) as opened:
        pipeline = make_pipeline(
            opened, chosen.id, params, latency=latency, codec=codec, objects=objects, live=True,
            verify=verify,
        )  # fmt: skip
        params = pipeline.params
        _tell_long_units(pipeline, latency, params.rate_bps)
        radio = _open_link(link, chosen)
        spool = Spool(folder / "spool", boot_id, limit_bytes=spool_mib << 20)
        say = _say_to_stderr()
        limited = make_ledger(chosen) is not None
        ledger = KeptLedger(chosen, folder, steady_clock()(), say) if limited else None
        label = auth_label(secret.fingerprint if secret else "")
        hidden = ", encrypted" if encrypt else ""
        say(f"sending on {link}, stream {stream}, boot {boot_id}, {label}{hidden}")
        mission = LiveRun(
            opened, pipeline, params, radio, spool, stream_id=stream,
            boot_id=boot_id, say=say, key=secret,
            back=BackOptions(
                mode=chosen.backchannel,
                listen_ms=chosen.listen_ms, adapt=adapt, state_dir=folder,
                pictures_bytes=pictures_mib << 20,
                replay=None if secret is None else ReplayStore(folder, secret),
            ),
            on_status=lambda r: None if as_json else say(r.as_text()), ledger=ledger,
        )  # fmt: skip
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: mission.stop())
        try:
            report = mission.run()
        finally:
            radio.close()
            if ledger is not None:
                ledger.close()
    report.profile, report.out = chosen.id, link
    _print_report(report, as_json)


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="Shown and archived at the base.")],
    state: Annotated[
        Path | None, typer.Option("--state", help="State folder of the edge that runs.")
    ] = None,
) -> None:
    """Say something to whoever is at the base, through the edge that runs now."""
    say_to_edge(state or default_state_dir(), text)
    print("queued: the running edge says when the base has it")


@app.command("render")
def render_command(
    source: Annotated[str, typer.Argument(help="synthetic:flood[?seed=1&seconds=10] or a file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="MP4 to write.")],
    seconds: SecondsOption = None,
) -> None:
    """Write a source to an MP4 (synthetic scenes with their true boxes as JSON beside it)."""
    with _progress("rendering", 0, quiet=False) as step:
        render(source, out, start_us=0, seconds=seconds, on_progress=lambda *_: step(1))


@app.command()
def profiles() -> None:
    """List the radio profiles."""
    print_profiles()


def _tell_long_units(pipeline: Pipeline, asked: float | None, rate_bps: float) -> None:
    if asked is None and pipeline.unit_s > USUAL_LATENCY_S:
        _say_to_stderr()(
            f"units of {pipeline.unit_s:g} s, the shortest in which {rate_bps:.0f} bit/s carry a "
            "picture with ease: what is shown is that old, or older"
        )


def _open_link(url: str, profile: LinkProfile) -> ByteLink | PcapLink:
    if url.startswith("file:"):
        return PcapLink(PcapFile(Path(url.removeprefix("file:"))), steady_clock())
    return open_link(url, profile, listen=False)


@contextmanager
def _source(
    url: str, start_us: int, seconds: float | None, crop_even: bool
) -> Iterator[FrameSource]:
    if seconds is not None and seconds <= 0:
        raise UserError(f"--seconds {seconds:g} is out of range; give a time above 0")
    source = open_source(url, start_us=start_us, seconds=seconds, crop_even=crop_even)
    try:
        yield source
    finally:
        source.close()


def _check_ids(stream: int, boot: int) -> None:
    for name, value in (("--stream", stream), ("--boot", boot)):
        if not 0 <= value <= 0xFFFF:
            raise UserError(f"{name} {value} is out of range; give 0 to 65535")


@contextmanager
def _progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; nothing where it is no terminal or JSON was asked for."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.completed} frames"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total or None)
        yield lambda count: bar.advance(task, count)


def _say_to_stderr() -> Callable[[str], None]:
    return lambda line: print(f"gvc-edge: {line}", file=sys.stderr, flush=True)


def _print_report(report: SendReport, as_json: bool) -> None:
    print(report.as_json() if as_json else f"{report.out}: {report.as_text()}")


def main() -> None:
    """Entry point: a UserError is one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"gvc-edge: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
