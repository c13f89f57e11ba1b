"""Both ends of a link as the programs run them, through `RadioModel`, on a simulated clock.

    LinkSender + EdgeBackChannel <-> RadioModel (half duplex, queue, latency, losses) <-> LinkReceiver +
    BaseBackChannel

Only camera, encoder and threads are missing: units are random bytes of the size that the rate allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

from gvc_base.backchannel import BaseBackChannel
from gvc_base.channel import Channel, ChannelSpec
from gvc_base.radio_model import RadioModel
from gvc_base.regions import RegionFiles
from gvc_edge.backchannel import CommandLog, EdgeBackChannel
from gvc_edge.rate import RateControl
from gvc_edge.windows import turns_ns, usual_report_ns, window_times
from gvc_profiles.model import LinkProfile
from gvc_profiles.params import link_params
from gvc_protocol.adapt import AdaptLimits, LinkSetting
from gvc_protocol.codec import CodecSpec, EncodedUnit
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import TurnGiven
from gvc_protocol.params import MS, SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.reports import report_period_ns
from gvc_protocol.sender import LinkSender
from tests.protocol.simlink import Run

STEP_NS = 5 * MS
UNIT_NS = 2 * SECOND
REPORT_AIR_BYTES = 60
SPEC = CodecSpec(codec_id=0, bitstream_version=1)


def fly_radio(
    profile: LinkProfile, *, seconds: float, air_bps: Callable[[float], float], loss: float = 0.0,
    burst: float = 0.0, seed: int = 1,
) -> Run:  # fmt: skip
    """Run a mission. `air_bps(t)`: what the radio's air carries at second t, in place of the profile's
    nominal rate; the edge starts at the profile's usable rate. `burst`: mean length of a loss in radio
    packets; 0 for independent losses."""
    spec = ChannelSpec(loss=loss, burst=burst or max(1.0, 1 / (1 - loss)), seed=seed)
    model = RadioModel(profile, Channel(spec))
    params = link_params(profile, bps=None, fec="auto")
    sender = LinkSender(params, stream_id=1, boot_id=1)
    report_ns, share = report_period_ns(params.rate_bps, REPORT_AIR_BYTES), 1.0
    if profile.backchannel == "windows":
        every, listen = window_times(profile.listen_ms)
        sender.listen_each(every, listen)
        report_ns = max(report_ns, usual_report_ns(every, listen))
        share = every / (every + listen)
    limits = AdaptLimits(
        ceiling_bps=params.rate_bps, floor_bps=params.rate_bps / 25,
        fec_percent=params.fec_percent, unit_ns=UNIT_NS,
        packet_bytes=params.air_bytes(params.framing.max_datagram_bytes), report_ns=report_ns,
        turns_ns=turns_ns(profile.backchannel, profile.turnaround_ms),
    )  # fmt: skip
    clock = [0]
    silent_since: int | None = None
    edge = EdgeBackChannel(
        LinkReceiver(params, from_base=True), limits, stream_id=1, boot_id=1, log=CommandLog(None),
        regions=None, say=lambda _: None, wall_us=lambda: clock[0] // 1000,
        on_turn=lambda: sender.hear_over(clock[0]),
    )  # fmt: skip
    heard = LinkReceiver(params)
    base = BaseBackChannel(
        params, boot_id=1, key=None, mode=profile.backchannel, listen_ms=profile.listen_ms,
        reception=heard.reception, waiting=lambda: 0, note=lambda *_: None, say=lambda _: None,
        regions=RegionFiles(Path("never-written.db")),
    )  # fmt: skip
    rate, run, dice, unit_no, budget = RateControl(params), Run(), Random(seed), 0, 0
    setting: LinkSetting | None = None
    for now in range(0, int(seconds * SECOND), STEP_NS):
        clock[0], t = now, now / SECOND
        model.change_rate(air_bps(t))
        before, setting = setting, edge.setting(now)
        if setting != before:
            rate.use(
                replace(params, rate_bps=setting.rate_bps * share, fec_percent=setting.fec_percent)
            )
            _use(sender, setting)
        if now % UNIT_NS == 0:
            if unit_no:
                sender.submit(_unit(unit_no - 1, budget, dice), now)
                rate.spent(40, budget // 3, budget - budget // 3)
            usual = setting.rate_bps * UNIT_NS / 8e9
            budget = rate.payload_budget(2.0, max(0, sender.backlog_air_bytes - int(usual)))
            unit_no += 1
        sent = sender.datagrams_to_send(now)
        if silent_since is not None and sent:
            run.silence.append((now - silent_since) / SECOND)
            silent_since = None
        for packet in sent:
            model.offer(packet, now, "to_base")
        edge.note_sent(sender.take_sent(), now)
        for direction, data in model.deliver(now):
            if direction == "to_edge":
                sender.hear(now)
                edge.receive(data, now)
            else:
                heard.receive(data, now)
        heard.handle_timer(now)
        while (event := heard.next_event()) is not None:
            base.event(event)
            if isinstance(event, TurnGiven):
                silent_since = now
        for packet in base.packets(now):
            model.offer(packet, now, "to_edge")
        for data in edge.outgoing(now, params.rate_bps):
            sender.send_message(data, now)
        if now % (100 * MS) == 0:
            run.rows.append((t, edge.setting(now), model.waiting_bytes("to_base") * 8 / air_bps(t)))
    run.reports = base.reports
    return run


def _use(sender: LinkSender, setting: LinkSetting) -> None:
    sender.set_link(
        rate_bps=setting.rate_bps, pace_bps=setting.pace_bps, fec_percent=setting.fec_percent,
        interleave=setting.interleave, eager=setting.eager,
    )  # fmt: skip


def _unit(number: int, payload: int, dice: Random) -> EncodedUnit:
    d = Descriptors(
        codec_id=SPEC.codec_id, bitstream_version=1, weights_prefix=b"", capture_us=0, width=640,
        height=480, fps=Fraction(10), first_frame=20 * number, frames=20, total_frames=0,
        end_of_stream=False,
    )  # fmt: skip
    k = payload // 3
    return EncodedUnit(
        unit_no=number, spec=SPEC, descriptors=d, keyframe=dice.randbytes(k),
        features=dice.randbytes(payload - k),
    )  # fmt: skip
