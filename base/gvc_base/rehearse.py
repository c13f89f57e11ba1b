"""`gvc-base rehearse`: what will my mission look like on this link?

    gvc-edge run (process) -> RadioProxy (pty pair or UDP, seeded) -> gvc-base run (process) -> archive
    archive -> gvc-base decode (process) -> video, marks -> side by side with the source, contact sheet

The decoder is a process that is given the archive and nothing else; the source is read here only
afterwards, to be shown beside what came of it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gvc_base.channel import Channel, ChannelSpec
from gvc_base.proxy import RadioProxy
from gvc_base.sheets import contact_sheet, side_by_side
from gvc_base.video import Mp4Writer, probe, read_video
from gvc_profiles.model import LinkProfile
from gvc_protocol.errors import GvcError, UserError

__all__ = ["Rehearsal", "RehearsalFailedError", "RehearsalResult", "Step"]

Step = Callable[[str, float], None]
"""Progress: (what is being done, share 0..1)."""

Image = NDArray[np.uint8]
_SHEET_ROWS = 5
_EDGE_GRACE_S = 60.0
_DRAIN_S = 3.0


class RehearsalFailedError(GvcError):
    """One of the processes ended badly; the text holds its last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalResult:
    """Paths and totals of a finished rehearsal."""

    side_by_side: Path
    sheet: Path
    archive: Path
    decoded: Path
    marked: Path
    marks: Path
    edge: dict[str, Any]
    "The edge's JSON report."
    base: dict[str, Any]
    "The decoder's JSON report."
    proxy: dict[str, Any]


class Rehearsal:
    """One rehearsal into one folder."""

    def __init__(
        self, video: str, profile: LinkProfile, profile_name: str, spec: ChannelSpec, out: Path,
        *, seconds: float | None, bps: float | None, fec: str, latency: float, quality: str,
        backend: str, codec: str, step: Step, key: Path | None = None, encrypt: bool = False,
    ) -> None:  # fmt: skip
        self._video, self._profile, self._profile_name = video, profile, profile_name
        self._spec, self._out, self._seconds = spec, out, seconds
        self._bps, self._fec, self._latency, self._quality = bps, fec, latency, quality
        self._backend, self._codec, self._step = backend, codec, step
        # A path, never the key: other programs see these arguments.
        self._key_args = [] if key is None else ["--key", str(key.resolve())]
        self._encrypt_args = ["--encrypt"] if encrypt else []

    def run(self) -> RehearsalResult:
        """Everything, in order.

        Raises:
            UserError: the video, an option or the folder is bad.
            RehearsalFailedError: a process ended badly.
        """
        out = self._out
        try:
            out.mkdir(parents=True, exist_ok=True)
            for old in ("mission.db", "mission.db-wal", "mission.db-shm"):
                (out / old).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {out}: {error.strerror}") from None
        source = self._prepare_source()
        edge, proxy = self._fly(source)
        base = self._decode()
        return self._compose(source, edge, base, proxy)

    def _prepare_source(self) -> Path:
        if not self._video.startswith("synthetic:"):
            return Path(self._video)
        target = self._out / "source.mp4"
        self._step("rendering the synthetic scene", 0.0)
        args = ["gvc_edge", "render", self._video, "--out", str(target)]
        if self._seconds is not None:
            args += ["--seconds", str(self._seconds)]
        _start(args, self._out).finish()
        self._step("rendering the synthetic scene", 1.0)
        return target

    def _fly(self, source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start base, proxy and edge; wait until the edge is done; end the base."""
        expected = self._seconds or probe_seconds(source)
        with ExitStack() as stack:
            proxy = RadioProxy(self._radio(), Channel(self._spec))
            stack.callback(proxy.stop)
            edge_url, base_url = proxy.start()
            archive = self._out / "mission.db"
            base = _start([
                "gvc_base", "run", "--link", base_url, "--profile", self._profile_name,
                "--archive", str(archive), "--quality", "preview", "--json", "--no-console",
                "--state", str(self._out / "base-state"), *self._key_args, *self._encrypt_args,
            ], self._out)  # fmt: skip
            stack.callback(base.kill)
            base.wait_for("listening")
            edge = _start(self._edge_args(source, edge_url), self._out)
            stack.callback(edge.kill)
            self._watch(edge.process, expected)
            edge_report = edge.finish()
            time.sleep(_DRAIN_S)
            base.process.send_signal(signal.SIGINT)
            base.finish()
            return edge_report, proxy.stats.as_dict()

    def _radio(self) -> LinkProfile:
        """The profile, or a faster one where it leaves the rate to the operator."""
        rate = self._profile.rate
        if rate.fixed or self._bps is None or self._bps <= rate.nominal_bps:
            return self._profile
        return replace(self._profile, rate=replace(rate, nominal_bps=self._bps))

    def _edge_args(self, source: Path, url: str) -> list[str]:
        args = [
            "gvc_edge", "run", "--config", "none", "--source", str(source), "--link", url,
            "--profile", self._profile_name, "--latency", str(self._latency), "--fec", self._fec,
            "--codec", self._codec,
            "--state", str(self._out / "edge-state"), "--json", *self._key_args, *self._encrypt_args,
        ]  # fmt: skip
        if self._bps is not None:
            args += ["--bps", str(self._bps)]
        if self._seconds is not None:
            args += ["--seconds", str(self._seconds)]
        return args

    def _watch(self, edge: subprocess.Popen[str], expected_s: float) -> None:
        # Two units of delay (capture, then transmission) follow the last frame.
        whole = expected_s + 2 * self._latency
        began = time.monotonic()
        while edge.poll() is None:
            passed = time.monotonic() - began
            self._step("flying the mission in real time", min(1.0, passed / whole))
            if passed > 4 * whole + _EDGE_GRACE_S:
                raise RehearsalFailedError(
                    "the edge did not finish in four times the video's length"
                )
            time.sleep(0.2)

    def _decode(self) -> dict[str, Any]:
        self._step("decoding the archive", 0.0)
        out = self._out
        args = [
            "gvc_base", "decode", str(out / "mission.db"), "--out", str(out / "decoded.mp4"),
            "--clean", "--marked", str(out / "marked.mp4"), "--marks", str(out / "marks.npz"),
            "--quality", self._quality, "--backend", self._backend, "--json", *self._key_args,
        ]  # fmt: skip
        report = _start(args, self._out).finish()
        self._step("decoding the archive", 1.0)
        return report

    def _compose(
        self, source: Path, edge: dict[str, Any], base: dict[str, Any], proxy: dict[str, Any]
    ) -> RehearsalResult:
        out = self._out
        video, sheet = out / "side-by-side.mp4", out / "contact-sheet.png"
        total = max(1, int(base["frames"]))
        wanted = {int(i) for i in np.linspace(0, total - 1, _SHEET_ROWS)}
        rows: list[tuple[str, Image, Image, Image]] = []
        fps = probe(out / "decoded.mp4").fps
        with ExitStack() as stack:
            writer: Mp4Writer | None = None
            for i, (src, dec, mark) in enumerate(_zip_videos(source, out)):
                caption = f"{self._profile.id}, loss {self._spec.loss:.0%}, {i / float(fps):.1f} s"
                panel = side_by_side(src, dec, mark, caption=caption)
                if writer is None:
                    writer = stack.enter_context(
                        Mp4Writer(
                            video, width=panel.shape[1], height=panel.shape[0], fps=fps,
                            comment="source | decoded | marked; hatched areas are not received pixels",
                        )
                    )  # fmt: skip
                writer.write(panel)
                if i in wanted:
                    rows.append((f"{i / float(fps):.1f} s", src, dec, mark))
                self._step("drawing source | decoded | marked", (i + 1) / total)
        title = f"gvc-field rehearsal: {self._video} over {self._profile.id}"
        image = contact_sheet(rows, title=title, lines=summary_lines(edge, base))
        if not cv2.imwrite(str(sheet), image):
            raise UserError(f"cannot write {sheet}")
        return RehearsalResult(
            side_by_side=video, sheet=sheet, archive=out / "mission.db", decoded=out / "decoded.mp4",
            marked=out / "marked.mp4", marks=out / "marks.npz", edge=edge, base=base, proxy=proxy,
        )  # fmt: skip


def summary_lines(edge: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """Two lines of totals for the contact sheet."""
    marks = ", ".join(f"{name} {share:.0%}" for name, share in base["marks"].items())
    return [
        f"on air {edge['air_bps'] / 1000:.1f} of {edge['rate_bps'] / 1000:.1f} kbit/s; packets "
        f"{edge['packets_sent']} sent, {base['packets_received']} received, "
        f"{base['packets_repaired']} repaired; units {base['units_whole']} whole, "
        f"{base['units_degraded']} degraded, {base['units_lost']} lost",
        f"tiles: {marks}",
    ]


def probe_seconds(path: Path) -> float:
    """Duration of a video in seconds, 0 when it cannot be told (the edge will say why)."""
    try:
        info = probe(path)
    except UserError:
        return 0.0
    return float(info.frames / info.fps)


def _zip_videos(source: Path, out: Path) -> Iterator[tuple[Image, Image, Image]]:
    """Frame by frame; a source longer than what was decoded is cut."""
    videos = (read_video(source), read_video(out / "decoded.mp4"), read_video(out / "marked.mp4"))
    for src, dec, mark in zip(*videos, strict=False):
        h, w = dec.shape[:2]
        yield src[:h, :w], dec, mark


@dataclass(slots=True)
class _Child:
    """A process of ours; what it says goes to a log file, so that it never waits for a reader."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait_for(self, word: str) -> None:
        """Wait until the log holds a word; the edge's first packet must not come before the base."""
        while word not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None:
                self.finish()
                raise RehearsalFailedError(f"{self.name} ended before it listened")
            time.sleep(0.05)

    def finish(self) -> dict[str, Any]:
        """Wait for the end; its JSON report. Its own one-line error becomes ours."""
        out, _ = self.process.communicate()
        lines = self.log.read_text(errors="replace").strip().splitlines() or ["no message"]
        if self.process.returncode == 2:
            raise UserError(lines[-1].split(": ", 1)[-1])
        if self.process.returncode != 0:
            code = self.process.returncode
            raise RehearsalFailedError(f"{self.name} ended with code {code}: {lines[-1]}")
        last = out.strip().splitlines()[-1] if out.strip() else ""
        report: dict[str, Any] = json.loads(last) if last.startswith("{") else {}
        return report


def _start(args: Sequence[str], folder: Path) -> _Child:
    name = f"{args[0].replace('_', '-')} {args[1]}"
    log = folder / f"{args[0].removeprefix('gvc_')}-{args[1]}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", *args], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    return _Child(name, process, log)
