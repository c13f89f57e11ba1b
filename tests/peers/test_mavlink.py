"""Units in TUNNEL messages on one byte stream with flight telemetry; plain pymavlink reads it, too."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gvc_profiles.load import load
from gvc_profiles.params import link_params
from gvc_protocol.framings.mavlink import MavCodec, Telemetry, TunnelData
from gvc_protocol.params import SECOND
from tests.peers.flight import fly, make_units

common = pytest.importorskip(
    "pymavlink.dialects.v20.common", reason="pymavlink is not installed (pip install pymavlink)"
)
_DAMAGED = 0.05


@pytest.mark.parametrize("damaged", [0.0, _DAMAGED])
def test_units_and_telemetry_share_a_stream(damaged: float) -> None:
    dice = random.Random(5)
    edge, base = MavCodec(system=1, component=191), MavCodec(system=255, component=190)
    autopilot, station = common.MAVLink(None, srcSystem=1), common.MAVLink(None)
    station.robust_parsing = True
    heard: list[str] = []
    told = 0

    def through(packets: list[bytes]) -> list[bytes]:
        nonlocal told
        frames = []
        for i, packet in enumerate(packets):
            frames.append(edge.pack(packet))
            attitude = autopilot.attitude_encode(i, 0.1, 0.2, 0.3, 0, 0, 0)
            frames.append(bytes(attitude.pack(autopilot)))
            autopilot.seq = (autopilot.seq + 1) % 256
        air = bytearray()
        for frame in frames:
            at = len(air)
            air += frame
            if dice.random() < damaged:
                air[at + dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        out = []
        while air:
            size = dice.randrange(1, 90)
            piece, air = bytes(air[:size]), air[size:]
            items = base.feed(piece)
            out += [item.data for item in items if isinstance(item, TunnelData)]
            told += sum(isinstance(item, Telemetry) for item in items)
            heard.extend(m.get_type() for m in station.parse_buffer(piece) or [])
        return out

    params = link_params(load("mavlink-tunnel"), bps=None, fec="auto")
    params = replace(params, queue_ns=3600 * SECOND)
    flight = fly(params, make_units(6, keyframe=400, features=900), through)
    print(f"{damaged:.0%} of the frames damaged: {flight.line()}; telemetry {told}")
    assert flight.wrong == 0 and flight.stills == 6
    least = 1 - 4 * damaged
    assert told >= heard.count("ATTITUDE") >= least * flight.packets_sent
    assert flight.share(flight.whole) >= (1.0 if not damaged else 0.8)
