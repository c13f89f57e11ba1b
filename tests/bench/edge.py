"""`make bench-edge`: what the encoders cost on ONE core: frames a second and peak memory.

    clip -> one 854x480 H.264 file (what a camera's recorder leaves) -> each encoder in a process of its
    own, pinned to one core -> wall and CPU time, and every 20 ms the memory of its process tree

gvc is the real command (`gvc-edge encode`), VVenC's child process included; "gvc quick" the same with
`--quick`; "gvc live" is the pipeline of `gvc-edge run` without its pacing. x264 and SVT-AV1 code every
picture at full size through PyAV with the bit rate that gvc has; where they cannot go that low, their
true rate stands in the table. Everyone decodes the same file. Memory is PSS: shared pages count once,
pages of files (program code) count too.

usage: python -m tests.bench.edge [--clip VIDEO ...] [--out FOLDER] [--seconds N] [--core N]
    [--only NAME ...]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.machine import processor

WIDTH, HEIGHT = 854, 480
RATES_BPP = (0.005, 0.0024, 0.001)
TARGET_FPS, TARGET_MB = 15.0, 400.0
SHARED = Path(__file__).parents[2].parent / "shared/clips"
EVERY_S = 0.02
LATENCY_S = 2.0
ENCODERS = ("gvc", "gvc quick", "gvc live", "x264 medium", "svt-av1 5")
MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One encoder on one clip at one rate."""

    clip: str
    bpp: float
    encoder: str
    frames: int
    fps: float
    "Frames a second while encoding, without the start of the program."
    process_s: float
    "Wall time of the whole process, start included."
    cpu_s: float
    "CPU time of the process and its children."
    first_unit_s: float | None
    peak_mb: float
    "Largest sum of PSS over the process tree."
    largest_process_mb: float
    "Peak resident memory of the largest single process (ru_maxrss)."
    kbps: float
    "What was made: gvc everything on the air, the others their packets."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process tree took."""

    process_s: float
    cpu_s: float
    peak_mb: float
    largest_process_mb: float
    report: dict[str, Any]


# ---------------------------------------------------------------------------- in the measured process


def child_peer(encoder: str, clip: str, bps: float) -> dict[str, Any]:
    """x264 or SVT-AV1 over a file, one thread."""
    import av

    from gvc_edge.codecs.av1 import open_svt

    name = "libx264" if encoder.startswith("x264") else "libsvtav1"
    with av.open(clip) as container:
        stream = container.streams.video[0]
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = stream.width, stream.height, "yuv420p"
        context.framerate = Fraction(stream.average_rate)
        context.time_base, context.bit_rate = 1 / context.framerate, int(bps)
        if name == "libx264":
            context.thread_count = 1
            context.options = {"preset": "medium"}
        else:
            context.options = {"preset": "5", "svtav1-params": "lp=1"}
            open_svt(context)
        began, frames, size = time.perf_counter(), 0, 0
        for frame in container.decode(stream):
            frame.pts, frame.pict_type = frames, 0
            frame.time_base = context.time_base
            size += sum(packet.size for packet in context.encode(frame))
            frames += 1
        size += sum(packet.size for packet in context.encode(None))
        seconds = time.perf_counter() - began
    fps = float(context.framerate)
    return {
        "frames": frames, "frames_per_s": frames / seconds,
        "kbps": size * 8 * fps / frames / 1000, "first_unit_s": None,
    }  # fmt: skip


def child_live(clip: str, bps: float) -> dict[str, Any]:
    """The live pipeline over a file as fast as it goes, with the time of its first unit."""
    from gvc_edge.pipeline import make_pipeline
    from gvc_edge.rate import RateControl
    from gvc_edge.sources import open_source
    from gvc_edge.units import build_units
    from gvc_profiles import load
    from gvc_profiles.params import link_params

    params = link_params(load("udp"), bps=bps, fec="off")
    source = open_source(clip, start_us=0)
    pipeline = make_pipeline(
        source, "udp", params, latency=LATENCY_S, codec="gvc", objects="movers", live=True
    )
    began, first_s, frames, air = time.perf_counter(), None, 0, 0
    for built in build_units(
        source, pipeline.encoder, RateControl(params), unit_frames=pipeline.unit_frames,
        eyes=pipeline.eyes, backlog=lambda: 0,
    ):  # fmt: skip
        first_s = first_s or time.perf_counter() - began
        frames += built.unit.descriptors.frames
        air += built.air_bytes
    seconds = time.perf_counter() - began
    return {
        "frames": frames, "frames_per_s": frames / seconds, "first_unit_s": first_s,
        "kbps": air * 8 * float(source.info.fps) / frames / 1000,
    }  # fmt: skip


# ------------------------------------------------------------------------------ in the measuring process


def command(encoder: str, clip: Path, bps: float, out: Path) -> list[str]:
    """Command line of what is measured; it prints one JSON object."""
    if encoder in ("gvc", "gvc quick"):
        line = [sys.executable, "-m", "gvc_edge", "encode", str(clip), "--profile", "udp"]
        line += ["--fec", "off", "--latency", f"{LATENCY_S:g}", "--bps", f"{bps:.0f}"]
        line += ["--quick"] if encoder == "gvc quick" else []
        return [*line, "--start", "0", "--out", str(out), "--json"]
    return [sys.executable, "-m", "tests.bench.edge", "--child", encoder, str(clip), f"{bps:.0f}"]


def measure(line: list[str], core: int) -> Cost:
    """Run a command on one core and watch its process tree.

    Raises:
        SystemExit: the command failed; its own words are shown.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        child = subprocess.Popen(
            line, stdout=out, stderr=err, preexec_fn=lambda: os.sched_setaffinity(0, {core})
        )
        peak, done, status = 0, 0, 0
        while not done:
            peak = max(peak, sum(map(pss_bytes, tree(child.pid))))
            time.sleep(EVERY_S)
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            tail = err.read().decode(errors="replace").strip()[-400:]
            raise SystemExit(f"{' '.join(line)} ended with {child.returncode}: {tail}")
        report: dict[str, Any] = json.loads(out.read().splitlines()[-1])
    return Cost(
        process_s=seconds, cpu_s=usage.ru_utime + usage.ru_stime, peak_mb=peak / MB,
        # Linux counts it in KiB.
        largest_process_mb=usage.ru_maxrss * 1024 / MB, report=report,
    )  # fmt: skip


def tree(pid: int) -> list[int]:
    """A process and everything under it, as far as it still lives."""
    found, todo = [], [pid]
    while todo:
        found.append(pid := todo.pop())
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def pss_bytes(pid: int) -> int:
    """Proportional set size; 0 when the process has gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def prepare(clip: str, seconds: float, folder: Path) -> Path:
    """A clip as an 854x480 file; pictures of another size are scaled.

    Raises:
        UserError: the clip cannot be opened.
    """
    import av

    from gvc_edge.sources import open_source

    source = open_source(clip, start_us=0, seconds=seconds, crop_even=True)
    path = folder / f"{Path(clip.split('?')[0].replace(':', '-')).stem}.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=source.info.fps)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "14", "bf": "0"}
        for number, frame in enumerate(source.frames()):
            picture = av.VideoFrame.from_ndarray(frame.pixels, "bgr24")
            picture = picture.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="AREA")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def rows_for(name: str, clip: Path, bpp: float, encoders: list[str], core: int) -> list[Row]:
    """Every encoder on one clip at one rate."""
    import av

    with av.open(str(clip)) as container:
        fps = float(container.streams.video[0].average_rate or 0)
    bps = bpp * WIDTH * HEIGHT * fps
    rows = []
    for encoder in encoders:
        capture = clip.with_suffix(".pcap")
        cost = measure(command(encoder, clip, bps, capture), core)
        report = cost.report
        rows.append(
            Row(
                clip=name,
                bpp=bpp,
                encoder=encoder,
                frames=report["frames"],
                fps=round(report["frames_per_s"], 2),
                process_s=round(cost.process_s, 2),
                cpu_s=round(cost.cpu_s, 2),
                first_unit_s=report.get("first_unit_s"),
                peak_mb=round(cost.peak_mb, 1),
                largest_process_mb=round(cost.largest_process_mb, 1),
                kbps=round(report["kbps"] if "kbps" in report else report["air_bps"] / 1000, 2),
            )
        )
    return rows


def show(rows: list[Row], console: Console) -> None:
    """The table, and who misses the reach."""
    table = Table(title=f"encoders on one core, {WIDTH}x{HEIGHT}, units of {LATENCY_S:g} s")
    table.add_column("clip")
    table.add_column("encoder")
    for head in ("bpp", "kbit/s", "frames/s", "process s", "CPU s", "frames/CPU s", "peak MB"):
        table.add_column(head, justify="right")
    for i, row in enumerate(rows):
        slow, big = row.fps < TARGET_FPS, row.peak_mb > TARGET_MB
        table.add_row(
            row.clip, row.encoder, f"{row.bpp:g}", f"{row.kbps:.1f}",
            f"[red]{row.fps:.1f}[/]" if slow else f"{row.fps:.1f}", f"{row.process_s:.1f}",
            f"{row.cpu_s:.1f}", f"{row.frames / max(1e-9, row.cpu_s):.1f}",
            f"[red]{row.peak_mb:.0f}[/]" if big else f"{row.peak_mb:.0f}",
            end_section=i + 1 == len(rows) or (rows[i + 1].clip, rows[i + 1].bpp) != (row.clip, row.bpp),
        )  # fmt: skip
    console.print(table)
    for name in ENCODERS[:3]:
        ours = [row for row in rows if row.encoder == name]
        if not ours:
            continue
        console.print(
            f"{name}: slowest {min(r.fps for r in ours):.1f} frames/s (reach {TARGET_FPS:g}), "
            f"largest {max(r.peak_mb for r in ours):.0f} MB (reach {TARGET_MB:g})"
        )


def write(rows: list[Row], out: Path, core: int) -> None:
    """edge.csv and edge.json."""
    out.mkdir(parents=True, exist_ok=True)
    dicts = [asdict(row) for row in rows]
    with (out / "edge.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dicts[0]))
        writer.writeheader()
        writer.writerows(dicts)
    body = {
        "machine": processor(), "core": core, "load_before": LOAD, "size": [WIDTH, HEIGHT],
        "unit_s": LATENCY_S, "memory": "peak PSS of the process tree, MB = 1e6 bytes", "rows": dicts,
    }  # fmt: skip
    (out / "edge.json").write_text(json.dumps(body, indent=1) + "\n")


LOAD = os.getloadavg()[0]
"Of the machine before anything was started: far above 0 means that times are not to be trusted."


def main() -> None:
    """Measure, print one table, write CSV and JSON."""
    if sys.argv[1:2] == ["--child"]:
        encoder, clip, bps = sys.argv[2], sys.argv[3], float(sys.argv[4])
        live = encoder == "gvc live"
        print(json.dumps(child_live(clip, bps) if live else child_peer(encoder, clip, bps)))
        return
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("memory is read from Linux's /proc; run this on Linux")
    from gvc_protocol.errors import UserError

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", action="append", default=[], help="file or synthetic:flood")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--seconds", type=float, default=8.0, help="of each clip")
    parser.add_argument("--bpp", type=float, action="append", default=[])
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--only", action="append", default=[], choices=ENCODERS)
    options = parser.parse_args()
    shared = [SHARED / f"{n}.mp4" for n in ("flyover_brighton", "highway_udacity_540p25")]
    clips = options.clip or ["synthetic:flood", *(str(p) for p in shared if p.exists())]
    if others := os.sched_getaffinity(0) - {options.core}:
        # The watching must not take the watched one's time.
        os.sched_setaffinity(0, others)
    console, rows = Console(width=120), []
    if not options.clip and len(clips) == 1:
        console.print("no folder of clips beside the repository: the synthetic scene only")
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            try:
                path = prepare(clip, options.seconds, Path(folder))
            except UserError as error:
                raise SystemExit(str(error)) from None
            for bpp in options.bpp or RATES_BPP:
                console.print(f"[dim]{path.stem} {bpp:g} bpp ...[/]")
                rows += rows_for(path.stem, path, bpp, options.only or list(ENCODERS), options.core)
    write(rows, options.out, options.core)
    show(rows, console)
    console.print(f"written: {options.out / 'edge.csv'}, {options.out / 'edge.json'}")
    if LOAD > 0.5:
        console.print(f"[yellow]the machine was not quiet (load {LOAD:.1f}): repeat the times[/]")


if __name__ == "__main__":
    main()
