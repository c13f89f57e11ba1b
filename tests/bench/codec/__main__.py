"""`make bench-codec`: ours against what a user would pick instead, at the same bytes.

Same clip, same total bytes, decoded by a separate process that never sees the source. Peers are counted
by payload alone, ours by everything that leaves for the radio. The whole run takes hours; `--quick`
takes one clip at one rate. Started again with the same --out it goes on where it was.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gvc_protocol.errors import UserError
from tests.bench.codec import report
from tests.bench.codec.cells import ABLATIONS, QUALITIES, Bench, Rate
from tests.bench.codec.footage import HEIGHT, WIDTH, Clip, default_clips, open_clip
from tests.bench.codec.judge import Judge
from tests.bench.codec.rows import Meter, Table
from tests.bench.machine import processor

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(width=170)

PAYLOAD_BPP = (0.005, 0.0024, 0.001, 0.0003)
ON_AIR = (
    Rate(label="43 kbit/s on air", on_air_bps=43_000, profile="udp", fec="auto"),
    Rate(label="18 kbit/s on air", on_air_bps=18_000, profile="sik-64", fec="auto"),
    Rate(label="5 kbit/s on air", on_air_bps=5_000, profile="udp", fec="auto"),
    Rate(label="0.9 kbit/s on air", on_air_bps=900, profile="lora-sf7-125", fec="auto"),
)
LOSSES = (0.0, 0.05, 0.10, 0.20, 0.40)
LONGEST_LATENCY_S = 8.0
_JUDGE = Path(__file__).resolve().parents[4] / "shared" / "judges" / "FastestDet.onnx"


@app.command()
def bench(
    out: Annotated[
        Path, typer.Option("--out", help="Folder; a run that lies there goes on.")
    ] = Path("bench-out/codec"),
    clip: Annotated[
        list[str] | None, typer.Option("--clip", help="Video or synthetic:flood; may be repeated.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Of each clip.")] = 4.0,
    judge: Annotated[
        Path | None, typer.Option("--judge", help="COCO YOLO-style detector, ONNX.")
    ] = None,
    latency: Annotated[
        list[float] | None, typer.Option("--latency", help="Seconds a unit; may be repeated.")
    ] = None,
    bpp: Annotated[
        list[float] | None, typer.Option("--bpp", help="Bits a source pixel; may be repeated.")
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option("--peer", help="svt, x265, x264; may be repeated.")
    ] = None,
    quality: Annotated[
        list[str] | None, typer.Option("--quality", help="Of ours; may be repeated.")
    ] = None,
    peers_only: Annotated[bool, typer.Option("--peers-only", help="Leave ours for later.")] = False,
    on_air: Annotated[bool, typer.Option("--on-air/--no-on-air", help="Cells on radios.")] = True,
    loss: Annotated[bool, typer.Option("--loss/--no-loss", help="Cells with packet loss.")] = True,
    ablate: Annotated[bool, typer.Option("--ablate/--no-ablate", help="Parts left out.")] = True,
    whole: Annotated[
        bool, typer.Option("--whole/--middle", help="JOD of the whole picture, or its middle.")
    ] = True,
    full_grid: Annotated[
        bool, typer.Option("--full-grid", help="Every form measured whole.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One clip and rate, the middle.")] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="Leave out SSIMULACRA2 and MS-SSIM: half the time.")
    ] = False,
    lpips: Annotated[bool, typer.Option("--lpips", help="By the package lpips.")] = False,
    backend: Annotated[str, typer.Option("--backend", help="What runs our network.")] = "auto",
) -> None:
    """Run the comparison and write CSV, plots and a contact sheet."""
    out.mkdir(parents=True, exist_ok=True)
    names = clip or default_clips()
    if quick:
        names, bpp, quality, whole = names[:1], [0.0024], ["standard"], False
        on_air = loss = ablate = False
        latency = [4.0]
    found = judge or (_JUDGE if _JUDGE.exists() else None)
    clips = [open_clip(name, out / "clips", seconds) for name in names]
    # A unit of the slowest link is longer than what the other cells take of a clip.
    longer = [open_clip(name, out / "clips", LONGEST_LATENCY_S) for name in names if on_air]
    truths = {c.name: c.movers for c in [*clips, *longer] if c.movers is not None}
    meter = Meter(judge=Judge(found) if found else None, whole=whole, quick=quick or brief, lpips=lpips,
                  truths=truths)  # fmt: skip
    run = Bench(out, meter, Table(out / "codec.csv"), console, full_grid, backend)
    qualities = tuple(quality or QUALITIES)
    console.print(f"{processor()}; folder {out}")
    for one in clips:
        for seconds_a_unit in latency or (4.0, 2.0, 1.0):
            for value in bpp or PAYLOAD_BPP:
                rate = Rate(label=f"{value:g} bpp", bpp=value)
                for name in peer or ("svt", "x265", "x264"):
                    run.peer(one, name, rate, seconds_a_unit)
                if not peers_only:
                    list(run.ours(one, rate, seconds_a_unit, qualities))
        if peers_only:
            continue
        if ablate:
            for part in ABLATIONS:
                middle = Rate(label="0.0024 bpp", bpp=0.0024)
                list(run.ours(one, middle, 4.0, ("standard",), ablate=part))
        slow = next((c for c in longer if c.name == one.name), None)
        _radio_cells(run, one, slow, qualities, loss=loss)
        _show(run, out, clips)
    report.summary(run.table.rows, console)
    area = "the whole picture" if whole else "the middle half a side"
    heading = (
        f"`make bench-codec`, {date.today():%d %B %Y}, {processor()}; {seconds:g} s of each clip at "
        f"{WIDTH}x{HEIGHT}; JOD of {area}."
    )
    report.markdown(run.table.rows, out / "codec.md", heading)
    console.print(f"written: {out}/codec.csv, codec.md, rates.png, times.png, sheet.jpg")


def _radio_cells(
    run: Bench, clip: Clip, longer: Clip | None, qualities: tuple[str, ...], *, loss: bool
) -> None:
    if longer is not None:
        for rate in ON_AIR:
            slow = rate.on_air_bps < 2000
            one, latency = (longer, LONGEST_LATENCY_S) if slow else (clip, 4.0)
            list(run.ours(one, rate, min(latency, one.seconds), qualities))
    if loss:
        rate = ON_AIR[1]
        list(run.ours(clip, rate, 2.0, ("standard",), losses=LOSSES))
        form = run.peer(clip, "svt", Rate(label="0.001 bpp", bpp=0.001), 2.0)
        if form is not None:
            list(run.peer_lossy(clip, form, rate, 2.0, LOSSES))


def _show(run: Bench, out: Path, clips: list[Clip]) -> None:
    report.plot_rates(run.table.rows, out / "rates.png")
    report.plot_times(run.table.rows, out / "times.png")
    everything = {c.name: run.source(c) for c in clips}
    report.contact_sheet(
        run.table.rows, everything, out / "stills", out / "sheet.jpg", "0.0024 bpp"
    )


def main() -> None:
    """Entry point: one line and exit code 2 for what the user can mend."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"bench-codec: {error}", file=sys.stderr)
        raise SystemExit(2) from None


main()
