"""Pictures of a recording that are looked up when somebody wants them: chips and answered regions."""

from __future__ import annotations

from gvc_base.archive_read import ArchiveReads
from gvc_base.console.view import EventRow
from gvc_base.replay.feed import Feed
from gvc_base.replay.index import Drone, ReplayIndex, reach_ns
from gvc_base.replay.regions import ReplayRegions
from gvc_base.station.objects import ObjectRows
from gvc_protocol.auth import LinkKey
from gvc_protocol.events import MessageReady
from gvc_protocol.messages import RegionAnswer, RegionStatus, unpack_message
from gvc_protocol.params import SECOND

__all__ = ["answer_of", "chip_of"]

_GAP_NS = 8 * SECOND


def chip_of(
    archive: ArchiveReads, index: ReplayIndex, drone: Drone, session_id: int, closed_ns: int,
    row: EventRow, key: LinkKey | None,
) -> bytes | None:  # fmt: skip
    """PNG of an object from the unit that told of it first; None where that unit holds none."""
    session = index.session(session_id)
    units = drone.known.get(session_id, {})
    start = max(0, closed_ns - reach_ns(session.row, _GAP_NS))
    feed = Feed(archive, session, drone.stream_id, units, start_ns=start, key=key)
    for made in feed.until(closed_ns):
        if made.closed_ns == closed_ns:
            for found in ObjectRows().of(made.job):
                if found.text == row.text and found.box == row.box:
                    return found.chip
    return None


def answer_of(
    archive: ArchiveReads, index: ReplayIndex, ask_id: int, layers: list[tuple[str, int]],
    key: LinkKey | None,
) -> bytes | None:  # fmt: skip
    """PNG of what came for an ask: `layers` are (drone, time) of its pieces."""
    regions = ReplayRegions(archive.path, lambda: None)

    def take(event: MessageReady) -> None:
        for record in unpack_message(event.data) if event.authenticated else ():
            if (
                isinstance(record, RegionAnswer)
                and record.command_id == ask_id
                and record.status == RegionStatus.PIXELS
            ):
                regions.write(record)

    for drone_id in dict.fromkeys(drone for drone, _ in layers):
        drone = index.drones.get(drone_id)
        times = [when for name, when in layers if name == drone_id]
        if drone is None:
            continue
        for session in index.sessions:
            mine = [t for t in times if session.first_ns <= t <= session.last_ns]
            if session.link_no != drone.link_no or not mine:
                continue
            start = max(0, min(mine) - reach_ns(session.row, _GAP_NS))
            feed = Feed(
                archive, session, drone.stream_id, {}, start_ns=start, key=key, on_message=take
            )
            feed.until(max(mine))
    return regions.picture(ask_id)
