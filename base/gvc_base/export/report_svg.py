"""Drawings of a report as SVG text: a map sketch, lines of the link, bars of the marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from shapely import Geometry, get_parts

from gvc_base.export.areas import Areas
from gvc_base.export.facts import MissionFacts, UnitFacts
from gvc_base.export.geojson import lost_stretches
from gvc_protocol.marks import Mark

__all__ = ["COLOURS", "line_plot", "map_sketch", "marks_plot"]

COLOURS = {
    Mark.RECEIVED: "#009e73", Mark.CARRIED: "#56b4e9", Mark.ENHANCED: "#f0e442",
    Mark.REGENERATED: "#d55e00", Mark.LOST: "#555555",
}  # fmt: skip
"Okabe and Ito's, as the marks are; received is green on paper only."

_WIDTH, _HEIGHT, _MARGIN = 720, 460, 26
_PLOT_H, _LEFT, _RIGHT, _TOP, _BOTTOM = 150, 56, 10, 22, 24
_METRE_DEG = 360 / (2 * math.pi * 6_371_008.8)
Point = tuple[float, float]


class _Frame:
    """Degrees to pixels, north up, the same scale both ways."""

    def __init__(self, shapes: Sequence[Geometry], points: Sequence[Point]) -> None:
        xs = [v for s in shapes for v in (s.bounds[0], s.bounds[2])] + [p[0] for p in points]
        ys = [v for s in shapes for v in (s.bounds[1], s.bounds[3])] + [p[1] for p in points]
        self._squeeze = math.cos(math.radians((min(ys) + max(ys)) / 2))
        wide = max(1e-7, (max(xs) - min(xs)) * self._squeeze)
        tall = max(1e-7, max(ys) - min(ys))
        self.scale = min((_WIDTH - 2 * _MARGIN) / wide, (_HEIGHT - 2 * _MARGIN) / tall)
        self._x0 = min(xs) - (_WIDTH / self.scale - wide) / 2 / self._squeeze
        self._y1 = max(ys) + (_HEIGHT / self.scale - tall) / 2

    def at(self, lon: float, lat: float) -> Point:
        return ((lon - self._x0) * self._squeeze * self.scale, (self._y1 - lat) * self.scale)

    def path(self, shape: Geometry) -> str:
        rings = [r for p in get_parts(shape) for r in (p.exterior, *p.interiors)]
        return " ".join(f"M{self.line(ring.coords)}Z" for ring in rings)

    def line(self, points: Sequence[tuple[float, ...]]) -> str:
        return " ".join("{:.1f},{:.1f}".format(*self.at(p[0], p[1])) for p in points)


def map_sketch(facts: MissionFacts, areas: Areas) -> str:
    """Track, ground in the pictures, what is regenerated or lost in it, objects. Needs a place."""
    flown = list(areas.flown())
    prints = [areas.footprint(unit) for unit in flown]
    made_up = [shape for unit in flown if not (shape := areas.made_up(unit)).is_empty]
    track = [areas.lon_lat(unit) for unit in facts.placed]
    objects = list(areas.objects())
    frame = _Frame([p for p in prints if not p.is_empty], track)
    out = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="map sketch">',
           f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#f4f2ec"/>']  # fmt: skip
    for seen in areas.coverage():
        out.append(f'<path d="{frame.path(seen.area)}" fill="#009e73" fill-opacity=".22"/>')
    for shape in prints:
        out.append(f'<path d="{frame.path(shape)}" fill="none" stroke="#777" stroke-width=".7"/>')
    for shape in made_up:
        out.append(f'<path d="{frame.path(shape)}" fill="#d55e00" fill-opacity=".45" '
                   f'fill-rule="evenodd" stroke="#d55e00" stroke-width="1"/>')  # fmt: skip
    out.append(f'<polyline points="{frame.line(track)}" fill="none" stroke="#0072b2" '
               'stroke-width="2.5"/>')  # fmt: skip
    for stretch, _ in lost_stretches(facts, areas):
        for line in get_parts(stretch):
            out.append(f'<polyline points="{frame.line(line.coords)}" fill="none" stroke="#fff" '
                       'stroke-width="3.5" stroke-dasharray="5 5"/>')  # fmt: skip
    for x, y in (frame.at(*track[0]), frame.at(*track[-1])):
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="#0072b2"/>')
    x, y = frame.at(*track[0])
    out.append(_text(x + 8, y + 4, "start"))
    for _, found, (lon, lat) in objects:
        x, y = frame.at(lon, lat)
        out.append(f'<path d="M{x:.1f},{y - 7:.1f}l6,12h-12Z" fill="#ffd000" stroke="#000"/>')
        out.append(_text(x + 9, y + 5, found.text.partition(",")[0]))
    return "".join([*out, _scale_bar(frame.scale), "</svg>"])


def _scale_bar(scale: float) -> str:
    room = 160 / scale / _METRE_DEG
    metres = 10 ** math.floor(math.log10(max(1e-3, room)))
    metres *= next(step for step in (5, 2, 1) if step * metres <= room)
    wide = metres * _METRE_DEG * scale
    y = _HEIGHT - 14
    return (
        f'<path d="M14,{y - 5}v5h{wide:.1f}v-5" fill="none" stroke="#000" stroke-width="1.5"/>'
        + _text(20, y - 6, f"{metres:g} m")
        + f'<path d="M{_WIDTH - 22},34v-22l-5,9m5,-9l5,9" fill="none" stroke="#000" '
        'stroke-width="1.5"/>' + _text(_WIDTH - 26, 47, "N")
    )


def line_plot(title: str, points: Sequence[Point], *, unit: str, top: float | None = None) -> str:
    """Values over seconds from the start.

    Args:
        points: (seconds, value). top: end of the value axis; None takes it from the values.
    """
    values = [v for _, v in points]
    low = min(0.0, *values)
    high = max(values) if top is None else top
    if low < 0:  # levels in dBm
        low, high = min(values) - 3, max(values) + 3
    return _plot(
        title, unit, points[0][0], points[-1][0], low, high if high > low else low + 1,
        lambda px: '<polyline fill="none" stroke="#0072b2" stroke-width="1.6" points="'
        + " ".join("{:.1f},{:.1f}".format(*px(s, v)) for s, v in points) + '"/>',
    )  # fmt: skip


def marks_plot(units: Sequence[UnitFacts]) -> str:
    """Shares of the tiles by mark, a bar a unit, over the source's time."""
    ends, at = [], 0.0
    for unit in units:
        at += float(unit.frames / unit.fps)
        ends.append(at)

    def bars(px: object) -> str:
        assert callable(px)
        out, began = [], 0.0
        for unit, end in zip(units, ends, strict=True):
            low = 0.0
            for mark in Mark:
                share = float(unit.tiles[mark] / max(1, unit.tiles.sum()))
                if share:
                    x0, y0 = px(began, low)
                    x1, y1 = px(end, low + share)
                    out.append(f'<rect x="{x0:.2f}" y="{y1:.2f}" width="{max(0.3, x1 - x0):.2f}" '
                               f'height="{y0 - y1:.2f}" fill="{COLOURS[mark]}"/>')  # fmt: skip
                low += share
            began = end
        return "".join(out)

    return _plot("What was shown", "share", 0.0, max(ends[-1], 1e-3), 0.0, 1.0, bars)


def _plot(
    title: str, unit: str, first: float, last: float, low: float, high: float, draw: object
) -> str:
    span = max(1e-9, last - first)

    def px(seconds: float, value: float) -> Point:
        x = _LEFT + (seconds - first) / span * (_WIDTH - _LEFT - _RIGHT)
        y = _PLOT_H - _BOTTOM - (value - low) / (high - low) * (_PLOT_H - _TOP - _BOTTOM)
        return x, y

    assert callable(draw)
    out = [f'<svg viewBox="0 0 {_WIDTH} {_PLOT_H}" role="img" aria-label="{escape(title)}">',
           _text(_LEFT, 14, f"{title}, {unit}", weight="bold")]  # fmt: skip
    for value in (low, (low + high) / 2, high):
        _, y = px(first, value)
        out.append(f'<path d="M{_LEFT},{y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        out.append(_text(_LEFT - 6, y + 4, f"{value:.3g}", anchor="end"))
    for part in range(5):
        seconds = first + span * part / 4
        x, _ = px(seconds, low)
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        out.append(_text(x, _PLOT_H - 7, _clock(seconds, span), anchor=anchor))
    return "".join([*out, draw(px), "</svg>"])


def _clock(seconds: float, span: float) -> str:
    if span < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if span >= 7200 else f"{minutes}:{rest:02d} min"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )
