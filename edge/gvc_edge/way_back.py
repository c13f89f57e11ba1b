"""What an edge keeps and opens for its way back from the base: made once, at the start of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gvc_edge.backchannel import CommandLog, EdgeBackChannel
from gvc_edge.kept_units import KeptUnits
from gvc_edge.pictures import PictureSpool
from gvc_edge.pipeline import Pipeline
from gvc_edge.rate import minimum_bps
from gvc_edge.regions import RegionAnswers
from gvc_edge.resend import UnitAnswers
from gvc_edge.windows import turns_ns, usual_report_ns, window_times
from gvc_profiles.replay_store import ReplayStore
from gvc_protocol.adapt import AdaptLimits
from gvc_protocol.auth import LinkKey
from gvc_protocol.params import SECOND, LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.reports import report_period_ns
from gvc_protocol.sender import LinkSender

__all__ = ["BackOptions", "WayBack", "open_way_back"]

_REPORT_AIR_BYTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOptions:
    """What the run does with the way back from the base."""

    mode: str = "anytime"
    "none, anytime, or windows (half duplex: the edge falls silent for `listen_ms` at most)."
    listen_ms: float = 0.0
    turnaround_ms: float = 0.0
    "Of the radio, for a turn of the air."
    adapt: bool = True
    state_dir: Path | None = None
    "Where done commands, units and source pictures are kept; None: commands in memory, else nothing."
    pictures_bytes: int = 256 << 20
    units_bytes: int = 64 << 20
    replay: ReplayStore | None = None
    "What was believed before, on disk; with a key."


@dataclass(slots=True, kw_only=True)
class WayBack:
    """The back-channel and what belongs to it."""

    channel: EdgeBackChannel
    pictures: PictureSpool | None = None
    units: KeptUnits | None = None
    replay: ReplayStore | None = None
    sending_share: float = 1.0
    "Of the time, that windows leave for sending."

    def close(self) -> None:
        """Put on disk what must outlive the run, and end the threads."""
        self.channel.close()
        if self.replay is not None:
            self.replay.save()


def open_way_back(
    options: BackOptions, params: LinkParams, pipeline: Pipeline, sender: LinkSender, *,
    unit_s: float, key: LinkKey | None, stream_id: int, boot_id: int, say: Callable[[str], None],
    now: Callable[[], int], on_keyframe: Callable[[], None], on_bounds: Callable[[int, int], None],
    note: Callable[[str, str], None] = lambda _kind, _text: None,
) -> WayBack | None:  # fmt: skip
    """Make it ready; None where the link has no way back."""
    if options.mode == "none":
        return None
    report_ns, share = report_period_ns(params.rate_bps, _REPORT_AIR_BYTES), 1.0
    if options.mode == "windows":
        every, listen_ns = window_times(options.listen_ms)
        sender.listen_each(every, listen_ns)
        report_ns = max(report_ns, usual_report_ns(every, listen_ns))
        # What is spent in silence cannot be promised to the encoder.
        share = every / (every + listen_ns)
    regions, answers, pictures, units, log = None, None, None, None, CommandLog(None)
    if options.state_dir is not None:
        log = CommandLog(options.state_dir / "commands.json")
        pictures = PictureSpool(
            options.state_dir / "pictures", boot_id, limit_bytes=options.pictures_bytes
        )
        regions = RegionAnswers(pictures)
        if key is not None:  # without one nobody can ask for a unit
            units = KeptUnits(options.state_dir / "units", boot_id, limit_bytes=options.units_bytes)
            answers = UnitAnswers(units, boot_id)
    guard = None if options.replay is None else options.replay.guard
    channel = EdgeBackChannel(
        LinkReceiver(params, from_base=True, key=key, replay=guard),
        _limits(params, pipeline, unit_s, report_ns, options), stream_id=stream_id,
        boot_id=boot_id, log=log, regions=regions, units=answers, say=say,
        wall_us=lambda: now() // 1000, on_keyframe=on_keyframe, on_bounds=on_bounds,
        on_turn=lambda: sender.hear_over(now()), adapt=options.adapt, note=note,
    )  # fmt: skip
    return WayBack(
        channel=channel, pictures=pictures, units=units, replay=options.replay, sending_share=share
    )


def _limits(
    params: LinkParams, pipeline: Pipeline, unit_s: float, report_ns: int, options: BackOptions
) -> AdaptLimits:
    least = minimum_bps(params, unit_s, pipeline.encoder.minimum_payload)
    return AdaptLimits(
        ceiling_bps=params.rate_bps, floor_bps=min(least, params.rate_bps),
        fec_percent=params.fec_percent, unit_ns=int(unit_s * SECOND),
        packet_bytes=params.air_bytes(params.framing.max_datagram_bytes), report_ns=report_ns,
        turns_ns=turns_ns(options.mode, options.turnaround_ms),
        # Every unit of interleave is a unit of delay: four seconds of it at most.
        max_interleave=min(2, int(4 / unit_s)),
    )  # fmt: skip
