"""`gvc-edge encode`: a video to a capture file, on the video's own clock.

The same sender as live, with a clock that jumps: a unit is submitted when its last frame would have
been seen, packets leave when the link would have let them. Record times are that clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gvc_edge.pipeline import Pipeline
from gvc_edge.rate import RateControl
from gvc_edge.report import SendReport
from gvc_edge.sources import FrameSource
from gvc_edge.units import build_units
from gvc_protocol.auth import LinkKey
from gvc_protocol.descriptors import Telemetry
from gvc_protocol.params import LinkParams
from gvc_protocol.sender import LinkSender
from gvc_protocol.wire import OVERHEAD_BYTES, TAG_BYTES

__all__ = ["encode_to_packets"]


def encode_to_packets(
    source: FrameSource,
    pipeline: Pipeline,
    params: LinkParams,
    emit: Callable[[bytes, int], None],
    *,
    stream_id: int,
    boot_id: int,
    key: LinkKey | None = None,
    on_frame: Callable[[int], None] = lambda _: None,
    place: Callable[[], Telemetry | None] = lambda: None,
) -> SendReport:
    """Encode a whole source; `emit(packet, time_ns)` gets every radio packet in order."""
    sender = LinkSender(params, stream_id=stream_id, boot_id=boot_id, key=key)
    rate = RateControl(params)
    report = SendReport(rate_bps=params.rate_bps, fec_percent=params.fec_percent)
    report.note_key(key, encrypted=params.encrypted)
    usual = params.rate_bps * float(pipeline.unit_frames / source.info.fps) / 8
    began = time.perf_counter()
    now = 0
    units = build_units(
        source, pipeline.encoder, rate, unit_frames=pipeline.unit_frames, eyes=pipeline.eyes,
        verifier=pipeline.verifier, on_frame=on_frame, place=place,
        backlog=lambda: max(0, sender.backlog_air_bytes - int(usual)),
    )  # fmt: skip
    for built in units:
        closed_ns = built.closed_us * 1000
        now = _drain(sender, emit, now or closed_ns, until=closed_ns)
        sender.submit(built.unit, closed_ns)
        now = closed_ns
        report.frames += built.unit.descriptors.frames
    report.frames_per_s = report.frames / max(1e-9, time.perf_counter() - began)
    _drain(sender, emit, now, until=None)
    fill_report(report, sender, params, report.frames / float(source.info.fps))
    return report


def fill_report(report: SendReport, sender: LinkSender, params: LinkParams, seconds: float) -> None:
    """Put the sender's totals into the report; `seconds` is the duration of the source so far."""
    counters = sender.counters
    report.air_bytes, report.payload_bytes = counters.air_bytes, counters.payload_bytes
    report.units_sent, report.packets_sent = counters.units, counters.datagrams
    report.symbols_dropped = counters.dropped_symbols
    report.seconds = seconds
    # What waits when the source ends goes on being sent: a rate over the source alone would be too high.
    sending = max(seconds, counters.sending_ns / 1e9)
    report.air_bps = counters.air_bytes * 8 / sending if sending else 0.0
    smallest = params.framing.framed_bytes(OVERHEAD_BYTES + 1)
    report.header_bytes_per_packet = OVERHEAD_BYTES + (TAG_BYTES if params.tagged else 0)
    if params.framing.inner_rs:
        report.header_bytes_per_packet = smallest - params.max_symbol_bytes


def _drain(
    sender: LinkSender, emit: Callable[[bytes, int], None], now: int, *, until: int | None
) -> int:
    """Let everything go that may go before `until` (or ever); returns the clock."""
    while True:
        for packet in sender.datagrams_to_send(now):
            emit(packet, now)
        due = sender.next_timer()
        if due is None or (until is not None and due >= until):
            return until if until is not None else now
        now = max(now, due)
