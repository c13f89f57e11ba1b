"""What all parts of one running base share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from gvc_base.archive import Archive
from gvc_base.decoders import Backend
from gvc_base.station import DEFAULT_FOV_DEG
from gvc_base.station.commits import GroupCommit
from gvc_base.station.events import EventList
from gvc_base.station.queues import DecodeBudget
from gvc_base.truth_score import RunningScore
from gvc_base.workers import WorkerPool, WorkersSpec
from gvc_profiles.links import ByteLink
from gvc_profiles.model import LinkProfile
from gvc_profiles.sight.detector import Detector
from gvc_protocol.auth import LinkKey, auth_label
from gvc_protocol.codec import Quality
from gvc_protocol.ledger import AirtimeLedger
from gvc_protocol.params import LinkParams
from gvc_protocol.replay import ReplayGuard

__all__ = ["LinkSetup", "Shared", "StationOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationOptions:
    """What the operator chose."""

    quality: Quality = "preview"
    backend: Backend = "auto"
    queue_limit: int = 3
    "Units that may wait for each decoder."
    stream_id: int | None = None
    "Only this camera of every link; None for all that are heard."
    snapshot: Path | None = None
    "PNG that always holds the newest picture; None for beside the archive."
    record: Path | None = None
    "MP4 of the live picture; None for none."
    decoders: int = 1
    "Frames that are decoded at one time."
    detector: Detector | None = None
    "Looks at what is shown for objects that the sender did not tell of."
    objects: str = "movers"
    "Its name, for those who load it elsewhere."
    workers: WorkersSpec | None = None
    "Who decodes; None for this process."
    fov_deg: float = DEFAULT_FOV_DEG
    ground_m: float | None = None
    "Height of the ground above the ellipsoid; None for the lowest that was heard."


@dataclass(slots=True, kw_only=True)
class LinkSetup:
    """One link, open, and its session in the archive."""

    number: int
    url: str
    profile: LinkProfile
    link: ByteLink
    params: LinkParams
    session_id: int
    boot_id: int
    "Of this start, and of this link: no two senders with one key may share a boot."
    ledger: AirtimeLedger | None = None
    air: AbstractContextManager[object] = field(default_factory=nullcontext)
    "Held while packets are made: links in one sub-band count in one ledger."


@dataclass(slots=True, kw_only=True)
class Shared:
    """Given to every link and stream."""

    archive: Archive
    commits: GroupCommit
    options: StationOptions
    events: EventList
    budget: DecodeBudget
    say: Callable[[str], None]
    now: Callable[[], int]
    workers: WorkerPool | None = None
    "Other processes that decode; None for none."
    key: LinkKey | None = None
    guard: ReplayGuard | None = None
    "One for all links: what was recorded on one link must not be believed on another."
    believing: threading.Lock = field(default_factory=threading.Lock)
    scores: RunningScore = field(default_factory=RunningScore)
    "How far the pictures of this archive had been from the truth."
    alone: bool = True
    "One link only: its first camera has the plain file names."

    @property
    def label(self) -> str:
        """What every screen says: authenticated, with which key, or not."""
        return auth_label("" if self.key is None else self.key.fingerprint)
