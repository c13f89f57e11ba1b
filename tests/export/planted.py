"""Missions whose marks are known, without a decoder: for what a map has to say of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gvc_base.export.facts import FoundObject, MissionFacts, TileMask, UnitFacts
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.marks import Mark

__all__ = ["WIDTH", "ring", "straight_down"]

WIDTH, HEIGHT = 160, 96
ROWS, COLUMNS = 12, 20
BEGAN_US = 1_800_000_000_000_000


def ring() -> NDArray[np.uint8]:
    """Marks with a ring of regenerated tiles around received ones."""
    mark = np.full((ROWS, COLUMNS), Mark.ENHANCED, np.uint8)
    mark[3:9, 4:14] = Mark.REGENERATED
    mark[5:7, 7:11] = Mark.RECEIVED
    return mark


def straight_down(
    units: int = 3, *, lon_deg: float = 8.0, step_deg: float = 0.0005,
    mark: NDArray[np.uint8] | None = None,
) -> MissionFacts:  # fmt: skip
    """A camera 100 m above ground at 500 m that looks straight down, north up, and flies east."""
    facts = MissionFacts(name="planted", label="unauthenticated", decoder="none")
    mark = ring() if mark is None else mark
    made_up = np.isin(mark, (Mark.REGENERATED, Mark.LOST))
    for number in range(units):
        lon = lon_deg + number * step_deg
        lon = (lon + 180) % 360 - 180
        facts.units.append(
            UnitFacts(
                boot_id=1, unit_no=number, first_frame=8 * number, frames=8, fps=Fraction(8),
                width=WIDTH, height=HEIGHT, received_ns=(BEGAN_US + number * 10**6 + 10**6) * 1000,
                arrived=True, whole=True, capture_us=BEGAN_US + number * 10**6,
                telemetry=Telemetry(lat_e7=463_000_000, lon_e7=round(lon * 1e7), alt_cm=60_000,
                                    pitch_cdeg=-9000),
                objects=(FoundObject(text="person 1, 80 % sure", box=(72, 40, 16, 8), chip=None),)
                if number == 1 else (),
                tiles=8 * np.bincount(mark.ravel(), minlength=len(Mark)).astype(np.int64),
                seen=TileMask.of(~made_up), made_up=TileMask.of(made_up),
            )
        )  # fmt: skip
    return facts
