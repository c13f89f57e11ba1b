"""The cells: peers at the best of their forms, ours at each quality, ablation, loss.

A peer's form (size and rate) is chosen by ColorVideoVDP, one choice a cell. To save time the forms are
looked at in the middle of the picture, and those whose PSNR is far below the best one's are left out;
`--full-grid` measures every form whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from gvc_profiles.load import load as load_profile
from gvc_profiles.params import link_params
from tests.bench.codec import metrics, ours, rival_loss, rivals
from tests.bench.codec.footage import Clip, load
from tests.bench.codec.rows import Meter, Row, Table

__all__ = ["QUALITIES", "Bench", "Rate"]

QUALITIES = ("preview", "standard", "best")
ABLATIONS = ("no-keyframes", "no-motion", "no-features", "no-network", "no-noise", "no-memory")

_FAR_BELOW_DB = 1.5
"""A form this far below the best one's PSNR was never the best by JOD where all were measured; fewer
frames a second cost PSNR where little moves, so the margin is wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a cell may spend: payload a source pixel, or everything on a link."""

    label: str
    bpp: float = 0.0
    on_air_bps: float = 0.0
    profile: str = "udp"
    fec: str = "off"

    def budget(self, clip: Clip) -> int:
        """Bytes for the whole clip."""
        if self.on_air_bps:
            return int(self.on_air_bps * clip.seconds / 8)
        return int(self.bpp * clip.width * clip.height * clip.frames / 8)


@dataclass(slots=True)
class Bench:
    """A run of the benchmark in one folder."""

    out: Path
    meter: Meter
    table: Table
    console: Console
    full_grid: bool = False
    backend: str = "auto"
    _sources: dict[Path, np.ndarray] = field(default_factory=dict)
    _sent: dict[str, ours.Sent] = field(default_factory=dict)
    "Captures of this run, by file name."

    def source(self, clip: Clip) -> np.ndarray:
        """The clip's frames, read once."""
        if clip.path not in self._sources:
            self._sources = {clip.path: load(clip)}
        return self._sources[clip.path]

    def ours(
        self, clip: Clip, rate: Rate, latency: float, qualities: tuple[str, ...], *,
        ablate: str = "", losses: tuple[float, ...] = (0.0,), codec: str = "gvc",
    ) -> Iterator[Row]:  # fmt: skip
        """Ours at one rate: one capture, decoded in each quality and through each loss."""
        rows = [
            Row(clip=clip.name, system="ours", config=q if codec == "gvc" else f"{codec} {q}",
                target=rate.label, latency=latency, loss=share, ablate=ablate,
                jod_area=self.meter.area)
            for q in qualities for share in losses
        ]  # fmt: skip
        missing = [row for row in rows if self.table.find(row) is None]
        yield from (done for row in rows if (done := self.table.find(row)))
        if not missing:
            return
        name = _file_name(f"{clip.name}-{rate.label.replace(' ', '')}-{latency:g}-{codec}")
        folder = self.out / "captures"
        folder.mkdir(exist_ok=True)
        if name not in self._sent:
            self._sent[name] = ours.fill(
                clip.path, folder / f"{name}.pcap", budget=rate.budget(clip),
                seconds=clip.seconds, profile=rate.profile, fec=rate.fec, latency=latency,
                codec=codec,
            )  # fmt: skip
        sent = self._sent[name]
        for row in missing:
            capture = sent.path
            if row.loss:
                capture = ours.impair(
                    sent.path, sent.path.with_suffix(".lossy"), loss=row.loss, burst=3, seed=1
                )
            shown = ours.decode(
                capture, self.out / "frames.npy", quality=row.config.split()[-1],
                backend=self.backend, ablate=ablate,
            )  # fmt: skip
            self._sizes(row, clip, sent.air_bytes)
            row.encode_fps, row.decode_fps = sent.encode_fps, shown.decode_fps
            row.first_s, row.note = shown.first_s, f"{shown.label}; {shown.marks}"
            yield self._measured(row, clip, shown.frames)

    def peer(self, clip: Clip, name: str, rate: Rate, latency: float) -> Row | None:
        """The best form of a peer's grid; None where no form can be that small."""
        wanted = (clip.name, name, rate.label, latency, 0, self.meter.area)
        known = [
            r for r in self.table.rows
            if (r.clip, r.system, r.target, r.latency, r.loss, r.jod_area) == wanted
        ]  # fmt: skip
        if known and not self.full_grid:
            return known[0]
        source = self.source(clip)
        size, found = (clip.width, clip.height), []
        for form in rivals.FORMS:
            made = rivals.fill(name, form, clip, source, rate.budget(clip), latency)
            if made is not None:
                frames = rivals.shown(name, made, clip.frames, size, clip.fps)
                found.append((metrics.psnr(source, frames), made, frames))
        if not found:
            return None
        best_db = max(quality for quality, _, _ in found)
        looked = []
        for quality, made, frames in found:
            if quality < best_db - _FAR_BELOW_DB and not self.full_grid:
                continue
            row = Row(clip=clip.name, system=name, config=made.form.label, target=rate.label,
                      latency=latency)  # fmt: skip
            self._sizes(row, clip, made.size)
            row.encode_fps = clip.frames / made.encode_s
            looked.append((self._looked(row, clip, frames), frames))
        best, frames = max(looked, key=lambda pair: pair[0].jod or 0)
        row = replace(best, jod_area=self.meter.area, note=f"best of {len(found)} forms")
        return self._measured(row, clip, frames)

    def peer_lossy(
        self, clip: Clip, row: Row, rate: Rate, latency: float, losses: tuple[float, ...]
    ) -> Iterator[Row]:
        """A peer's best form with our erasure code and headers, the same bytes on the air."""
        rows = [replace(row, target=rate.label, latency=latency, loss=share, note="")
                for share in losses]  # fmt: skip
        if all(self.table.find(r) for r in rows):
            return
        params = link_params(
            load_profile(rate.profile), bps=rate.on_air_bps, fec=rate.fec, packets=True
        )
        form = rivals.Form.parse(row.config)
        made = rival_loss.fill_air(
            row.system, form, clip, self.source(clip), params, rate.budget(clip), latency
        )
        if made is None:
            return
        for one in rows:
            came, air = rival_loss.through(
                made, clip, params, latency, loss=one.loss, burst=3, seed=1
            )
            size = (clip.width, clip.height)
            self._sizes(one, clip, air)
            shown = rivals.shown(row.system, came, clip.frames, size, clip.fps)
            yield self._measured(one, clip, shown)

    def _looked(self, row: Row, clip: Clip, frames: np.ndarray) -> Row:
        if self.full_grid:
            return self._measured(replace(row, jod_area=self.meter.area), clip, frames)
        looked = replace(row, jod_area="look")
        if (done := self.table.find(looked)) is not None:
            return done
        return self.table.add(self.meter.look(looked, self.source(clip), frames, float(clip.fps)))

    def _measured(self, row: Row, clip: Clip, frames: np.ndarray) -> Row:
        if (done := self.table.find(row)) is not None:
            return done
        self.meter.measure(row, self.source(clip), frames, float(clip.fps))
        self.keep_frame(row, frames)
        self.table.add(row)
        self.console.print(_line(row))
        return row

    def keep_frame(self, row: Row, frames: np.ndarray) -> None:
        """One frame for the contact sheet."""
        import cv2

        folder = self.out / "stills"
        folder.mkdir(exist_ok=True)
        at = len(frames) * 2 // 3
        cv2.imwrite(str(folder / still_name(row)), np.asarray(frames[at]))

    def _sizes(self, row: Row, clip: Clip, size: int) -> None:
        row.bytes = size
        row.bpp = size * 8 / (clip.width * clip.height * clip.frames)
        row.kbps = size * 8 / clip.seconds / 1000


def still_name(row: Row) -> str:
    """File of a cell's still."""
    return _file_name("-".join(part for part in row.key if part)) + ".png"


def _file_name(words: str) -> str:
    return "".join(c if c.isalnum() or c in "-." else "_" for c in words)


def _line(row: Row) -> str:
    def text(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    loss = f" loss {row.loss:.0%}" if row.loss else ""
    return (
        f"{row.clip} {row.target} {row.latency:g} s{loss} {row.system} {row.config} {row.ablate}: "
        f"{row.bpp:.5f} bpp {row.kbps:.1f} kbit/s  JOD({row.jod_area}) {text(row.jod, 2)}  "
        f"SSIMULACRA2 {text(row.ssimulacra2, 1)}  MS-SSIM {text(row.ms_ssim, 4)}  "
        f"PSNR {text(row.psnr, 2)}  features {text(row.feature_distance, 4)}  "
        f"movers {text(row.movers, 2)}  recall {text(row.recall, 2)} "
        f"precision {text(row.precision, 2)}"
    )
