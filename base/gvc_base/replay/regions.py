"""Asked regions of a replay: what came of each ask, from the record, in memory only."""

from __future__ import annotations

from pathlib import Path

from gvc_base.regions import RegionFiles
from gvc_base.station.regions_live import LiveRegions
from gvc_protocol.messages import RegionAnswer

__all__ = ["ReplayRegions"]


class _NoFiles(RegionFiles):
    """The files beside the archive were written when the mission was flown."""

    def write(self, answer: RegionAnswer) -> Path | None:
        """Nothing."""
        return None


class ReplayRegions(LiveRegions, _NoFiles):
    """`LiveRegions` that leaves the disk alone. Thread-safe."""
