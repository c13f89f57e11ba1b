"""The report's HTML: pictures first, then where, how the link was, and what can be believed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib import metadata
from typing import Any

from gvc_base.export.report import MissionReport
from gvc_base.export.report_svg import COLOURS, line_plot, map_sketch, marks_plot
from gvc_base.export.words import percent, utc
from gvc_base.legend import WARNING
from gvc_protocol.marks import Mark

__all__ = ["page"]

_MEANING = {
    Mark.RECEIVED: ("no pattern", "these pixels, at this resolution, of this moment, arrived"),
    Mark.CARRIED: ("blue dots", "received detail of another moment, moved here along measured motion"),
    Mark.ENHANCED: ("yellow lines", "only low-resolution pixels of this moment arrived; what lies "
                    "between them is estimated"),
    Mark.REGENERATED: ("orange bars", "nothing received stands behind it; made up to fill a hole"),
    Mark.LOST: ("grey, white crosses", "nothing of this moment arrived; the last picture is held, or "
                "moved on as the camera moved last"),
}  # fmt: skip
_MOST_EVENTS = 200
_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#fff;color:#111;font:16px/1.45 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1040px;margin:0 auto;padding:18px 20px 60px}
h1{font-size:26px;margin:0 0 2px}h2{font-size:20px;margin:34px 0 10px;border-bottom:2px solid #111}
p{margin:6px 0}.lead{font-size:17px}.small{font-size:13.5px;color:#444}
.warn{background:#d55e00;color:#fff;padding:8px 12px;font-weight:600;border-radius:4px}
.ok{background:#e3f4ee;border-left:5px solid #009e73;padding:6px 12px}
.bad{background:#fde7da;border-left:5px solid #d55e00;padding:6px 12px}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:16px}
figure{margin:0;break-inside:avoid}figure img{width:100%;display:block;border:1px solid #999}
figcaption{font-size:13.5px;padding-top:4px}figcaption b{display:block;font-size:15px}
svg{width:100%;height:auto;display:block;margin:8px 0;break-inside:avoid}
svg text{font-family:system-ui,"DejaVu Sans",sans-serif}
table{border-collapse:collapse;width:100%;font-size:14.5px}
th,td{text-align:left;vertical-align:top;padding:5px 9px;border-bottom:1px solid #ccc}
td.n{text-align:right}td.n,td.w{white-space:nowrap}code{font-size:13px;overflow-wrap:anywhere}
td img{max-height:96px;image-rendering:pixelated;border:1px solid #999}
.key i{display:inline-block;width:13px;height:13px;margin:0 5px 0 14px;vertical-align:-2px}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}}
"""


def page(report: MissionReport) -> str:
    """The whole file."""
    title = f"Mission report: {report.facts.name}"
    body = "".join(
        [_head(report), _pictures(report), _where(report), _link(report), _marks(report),
         _objects(report), _events(report), _asks(report), _proof(report)]
    )  # fmt: skip
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def _head(report: MissionReport) -> str:
    facts, totals = report.facts, report.totals
    first, last = facts.units[0], facts.units[-1]
    shares = _shares(report)
    made_up = shares[Mark.REGENERATED] + shares[Mark.LOST]
    lines = [
        f"Received {utc(first.received_ns)[:19].replace('T', ' ')} to "
        f"{utc(last.received_ns)[11:19]} UTC; {totals.seconds:.1f} s of video, "
        f"{first.width}x{first.height}. Sender {facts.label}.",
        f"Units: {totals.units_whole} whole, {totals.units_degraded} degraded, "
        f"{totals.units_lost} lost. Datagrams: {totals.packets_received} received, "
        f"{totals.packets_lost} lost, {totals.packets_repaired} repaired.",
    ]
    said = (
        f"{percent(made_up)} of what is shown is regenerated or lost: nothing received stands behind "
        "it. Do not conclude from such places that something is there, or is not."
    )
    alone = ""
    if report.received_only:
        alone = '<p class="lead">Pictures show received evidence alone; nothing was made of it.</p>'
    told = "".join(f'<p class="lead">{escape(line)}</p>' for line in lines)
    return f'{told}{alone}<p class="warn">{escape(said)} {escape(WARNING)}.</p>'


def _pictures(report: MissionReport) -> str:
    figures = "".join(
        f'<figure><img src="{_data("image/jpeg", one.jpeg)}" alt="{escape(one.why, quote=True)}">'
        f"<figcaption><b>{escape(_sentence(one.why))}</b>{escape(one.about)}</figcaption></figure>"
        for one in report.pictures
    )
    return f'<h2>Pictures</h2><div class="sheet">{figures}</div>'


def _where(report: MissionReport) -> str:
    if not report.facts.placed:
        return "<h2>Where</h2><p>No unit tells where the camera was: there is no map.</p>"
    first, last = (u.telemetry for u in (report.facts.placed[0], report.facts.placed[-1]))
    assert first is not None and last is not None
    ends = (
        f"From {first.lat_e7 / 1e7:.5f}, {first.lon_e7 / 1e7:.5f} to {last.lat_e7 / 1e7:.5f}, "
        f"{last.lon_e7 / 1e7:.5f} (latitude, longitude, WGS 84)."
    )
    key = (
        '<p class="key small"><i style="background:#0072b2"></i>camera track (dashed: nothing came)'
        '<i style="background:#bfe3d8"></i>ground seen, received or enhanced'
        '<i style="background:#d55e00"></i>ground whose picture is regenerated or lost'
        '<i style="background:#ffd000"></i>object found by the edge</p>'
    )
    problem = ""
    if report.areas.problem:
        problem = f'<p class="bad">{escape(_sentence(report.areas.problem))}.</p>'
    return (
        f"<h2>Where</h2><p>{escape(ends)}</p>{problem}{map_sketch(report.facts, report.areas)}{key}"
        f'<p class="small">{escape(report.areas.about)}</p>'
    )


def _link(report: MissionReport) -> str:
    if not report.link:
        return "<h2>Link</h2><p>No link statistics were kept.</p>"
    began = report.link[0]["time_unix_ns"]
    plots = []
    for name, title, unit, scale, top in (
        ("bit_per_s", "On the air", "kbit/s", 1e-3, None),
        ("datagrams_lost_before_repair_share", "Datagrams lost, before repair", "%", 100, 100.0),
        ("units_not_whole_last_minute_share", "Units not whole, last minute", "%", 100, 100.0),
        ("rssi_dbm", "Signal", "dBm", 1, None),
    ):
        rows = [
            ((row["time_unix_ns"] - began) / 1e9, row[name] * scale)
            for row in report.link if row[name] is not None
        ]  # fmt: skip
        if len(rows) > 1:
            plots.append(line_plot(title, _thinned(rows), unit=unit, top=top))
    radio = ", ".join(dict.fromkeys(str(row["link_url"]) for row in report.link))
    return f"<h2>Link</h2><p>{escape(radio)}</p>{''.join(plots)}"


def _marks(report: MissionReport) -> str:
    shares = _shares(report)
    rows = "".join(
        f'<tr class="key"><td class="w"><i style="background:{COLOURS[mark]};margin-left:0"></i>'
        f'{mark.value} {mark.name.lower()}</td><td class="n">{percent(shares[mark])}</td>'
        f"<td>{escape(_MEANING[mark][0])}</td><td>{escape(_MEANING[mark][1])}</td></tr>"
        for mark in Mark
    )
    return (
        "<h2>What of it is real</h2><table><tr><th>mark</th><th>share</th><th>in the pictures</th>"
        f"<th>meaning</th></tr>{rows}</table>{marks_plot(report.facts.units)}"
        '<p class="small">Shares of all tiles (8x8 pixels) of all frames; below, unit by unit over the '
        f"time of the source. Decoded for this report by {escape(report.facts.decoder)}.</p>"
    )


def _objects(report: MissionReport) -> str:
    places = {}
    for unit, found, place in report.areas.objects():
        places[id(unit), found.text] = place
    rows = []
    for unit in report.facts.units:
        for found in unit.objects:
            picture = "no picture of it came"
            if found.chip is not None:
                picture = f'<img alt="" src="{_data("image/png", found.chip)}">'
            where = places.get((id(unit), found.text))
            at = "unknown" if where is None else f"{where[1]:.5f}, {where[0]:.5f}"
            rows.append((escape(found.text), utc(unit.time_ns)[11:19], escape(at), picture))
    if not rows:
        return "<h2>Objects</h2><p>The edge told of none.</p>"
    return (
        "<h2>Objects</h2><p>Found by the edge on true pixels; pictures are received "
        "pixels. White boxes in the pictures above are these.</p>"
        + _table(("object", "UTC", "latitude, longitude (flat ground)", "picture"), rows)
    )


def _events(report: MissionReport) -> str:
    rows = [
        (utc(row.time_ns)[11:19], escape(row.kind), escape(row.text))
        for row in report.events if row.kind not in ("detection", "asked", "answer")
    ]  # fmt: skip
    if not rows:
        return ""
    more = ""
    if len(rows) > _MOST_EVENTS:
        more = f"<p>The last {_MOST_EVENTS} of {len(rows)}.</p>"
    table = _table(("UTC", "kind", "what"), rows[-_MOST_EVENTS:])
    return f"<h2>What happened</h2>{more}{table}"


def _asks(report: MissionReport) -> str:
    if not report.asks:
        return "<h2>Requests</h2><p>Nothing was asked of the edge.</p>"
    rows = [
        (utc(ask.asked_ns)[11:19], escape(ask.what), escape(ask.state)) for ask in report.asks
    ]  # fmt: skip
    return "<h2>Requests</h2>" + _table(("UTC", "what", "became of it"), rows)


def _proof(report: MissionReport) -> str:
    kind = "ok" if report.proven else "bad"
    lines = "".join(f"<p>{escape(_sentence(line))}</p>" for line in report.verified)
    models = [
        (escape(label), f"<code>{escape(sha)}</code>" if sha else "a codec without weights")
        for label, sha in report.models
    ]
    table = "<p>No decoder was noted while it was received.</p>"
    if models:
        table = _table(("decoded live by", "SHA-256 of its weights"), models)
    notes = "".join(f"<p>Note: {escape(note)}</p>" for note in report.facts.notes)
    made = f"Made by gvc-field {metadata.version('gvc-field')} from {report.facts.name}."
    return (
        f'<h2>Can it be believed?</h2><div class="{kind}">{lines}</div>{table}{notes}'
        f'<p class="small">{escape(made)} The archive is the record; this page is a view of it. '
        "<code>gvc-base verify</code> checks the archive again.</p>"
    )


def _shares(report: MissionReport) -> dict[Mark, float]:
    units = report.facts.units
    tiles = sum((unit.tiles for unit in units[1:]), units[0].tiles)
    return {mark: float(tiles[mark] / max(1, tiles.sum())) for mark in Mark}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`rows` are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _thinned(rows: list[Any]) -> list[Any]:
    """At most a thousand or so points: a page of hours stays small."""
    return rows[:: max(1, len(rows) // 1000)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
