"""What exports call things, in words: whoever opens a file may never have heard of marks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from gvc_base.export.facts import UnitFacts
from gvc_protocol.marks import Mark

__all__ = ["made_up_name", "percent", "picture_name", "shares_text", "utc", "xml_text"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def utc(time_ns: int) -> str:
    """ISO 8601 to the millisecond: 2026-11-29T12:00:00.000Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def percent(share: float) -> str:
    """`35 %`; what is there is never called nothing, nor nearly all of it all."""
    if 0 < share < 0.01:
        return "less than 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def shares_text(unit: UnitFacts) -> str:
    """`received 10 %, enhanced 60 %, regenerated 30 %`, of the tiles of all frames of a unit."""
    return ", ".join(f"{name} {percent(share)}" for name, share in unit.shares.items() if share)


def picture_name(unit: UnitFacts) -> str:
    """Of a unit's picture as a whole."""
    return f"picture of unit {unit.unit_no}: {shares_text(unit)}"


def made_up_name(unit: UnitFacts) -> str:
    """Of the part of a picture that nothing received stands behind."""
    kinds = [mark.name.lower() for mark in (Mark.REGENERATED, Mark.LOST) if unit.tiles[mark]]
    share = 0.0 if unit.made_up is None else unit.made_up.share
    return f"{' or '.join(kinds)}: {percent(share)} of the picture of unit {unit.unit_no}"


def xml_text(text: str) -> str:
    """Text on one line that XML can carry; other characters and line breaks become spaces."""
    return " ".join(_NOT_XML.sub(" ", text).split())
