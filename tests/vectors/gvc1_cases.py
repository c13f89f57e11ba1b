"""Golden cases of codec 1: units, and parameter sets."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from gvc_protocol.gvc1 import GvcUnit, Patch, Picture, Tool

__all__ = ["gvc1_table", "gvc_fields", "pattern"]

Cases = dict[str, Any]


def pattern(size: int, seed: int = 1) -> bytes:
    """Bytes of all values that a second implementation can make with one line."""
    return bytes((seed * 37 + i * 101 + i * i) % 256 for i in range(size))


def gvc1_table() -> Cases:
    """Units of codec 1 as K and F; then parameter sets, which other DEFLATEs pack in other bytes."""
    vvc = tuple(
        Picture(layer=layer, display=display, body=pattern(size, display + 1))
        for layer, display, size in ((0, 0, 90), (0, 4, 33), (1, 2, 20), (2, 1, 9), (2, 3, 1))
    )
    av1 = tuple(Picture(layer=min(i, 1), display=i, body=pattern(40 - i)) for i in range(3))
    chip = Patch(offset=7, x=64, y=128, width=72, height=8, scale=1, obus=pattern(30))
    wide = Patch(offset=300, x=0, y=0, width=1280, height=720, scale=4, obus=pattern(200))
    named = {
        "vvc": GvcUnit(tool=Tool.VVC, step=3, last=11, width=424, height=240, pictures=vvc),
        "av1": GvcUnit(tool=Tool.AV1, step=15, last=30, width=64, height=64, pictures=av1),
        "two_layers_in_k": GvcUnit(
            tool=Tool.VVC, step=255, last=1000, width=16384, height=8, pictures=vvc,
            layers_in_keyframe=2,
        ),
        "patches": GvcUnit(
            tool=Tool.AV1, step=1, last=2, width=856, height=480, pictures=av1,
            patches=(chip, wide),
        ),
        "patches_alone": GvcUnit(
            tool=Tool.NONE, step=1, last=0, width=64, height=64, pictures=(), patches=(chip,)
        ),
    }  # fmt: skip
    cases = []
    for name, unit in named.items():
        keyframe, features = unit.pack()
        cases.append({
            "name": name, "fields": gvc_fields(unit), "keyframe": keyframe.hex(),
            "features": features.hex(),
        })  # fmt: skip
    return {"units": cases, "parameter_sets": [{"name": n, **c} for n, c in _SETS.items()]}


def gvc_fields(unit: GvcUnit) -> dict[str, Any]:
    fields = asdict(unit)
    for picture in fields["pictures"]:
        picture["body"] = picture["body"].hex()
    for patch in fields["patches"]:
        patch["obus"] = patch["obus"].hex()
    out: dict[str, Any] = json.loads(json.dumps({**fields, "parameter_sets": ""}))
    return out


_SETS = {
    "in_the_dictionary": {
        "sets": (
            "000001007900ad02208000008035203c46a007374dba6469149bce13656304082700131010410420"
            "610842c442164842d4217a3d5a92f249a92c9116a22f1126a22452444992224d46588842c9085a84"
            "2f0849a8424524212648425d49084848884245110849888425d44421228c8424c64212ea3210a041"
            "6108203110819220d4804cc104105840082c40202102010150810080d21020101620402022080405"
            "904020242010320202210101642020244040d02024810382062010b204088408164204091020d040"
            "920838419022d082484388684b91ca8105840082c40202102010150810081ffa5d97f9c900000300"
            "01000003000a1880000001008100001a901e22241fb020"
        ),
        "packed": "1b6d2e81830100",
    },
    "of_another_size": {
        "sets": (
            "000001007900ad02208000008035203c4ea007374dba6469149bce13656304082700131010410420"
            "610842c442164842d4217a3d5a92f249a92c9116a22f1126a22452444992224d46588842c9085a84"
            "2f0849a8424524212648425d49084848884245110849888425d44421228c8424c64212ea3210a041"
            "6108203110819220d4804cc104105840082c40202102010150810080d21020101620402022080405"
            "904020242010320202210101642020244040d02024810382062010b204088408164204091020d040"
            "920838419022d082484388684b91ca8105840082c40202102010150810081ffa5d97f9c900000300"
            "01000003000a1880000001008100001a901e22240eb020"
        ),
        "packed": "436f2ef98dc0e612df060500",
    },
}
