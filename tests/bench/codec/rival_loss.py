"""A peer on the same bad link: our headers, erasure code and bursts, its packets in place of ours.

Each group of pictures is a unit, all of it in F. What came up to the first gap is decoded, then the last
picture stands: these codecs have no other way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gvc_base.channel import Channel, ChannelSpec
from gvc_protocol.codec import CodecSpec, EncodedUnit
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.events import UnitReady
from gvc_protocol.params import LinkParams
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.sender import LinkSender
from tests.bench.codec.footage import Clip
from tests.bench.codec.rivals import Form, Made, fill

__all__ = ["fill_air", "through"]

_SPEC = CodecSpec(codec_id=255, bitstream_version=1)
_TRIES = 4


def _packets(made: Made, clip: Clip, params: LinkParams, latency: float) -> list[tuple[int, bytes]]:
    """(time_ns, packet) of a coded clip as our sender would put it on the air."""
    sender = LinkSender(params, stream_id=1, boot_id=1)
    out: list[tuple[int, bytes]] = []
    unit_frames, now = round(latency * clip.fps), 0
    for number, group in enumerate(made.groups):
        first = number * unit_frames
        count = min(unit_frames, clip.frames - first)
        told = Descriptors(
            codec_id=255, bitstream_version=1, capture_us=0, width=clip.width, height=clip.height,
            fps=clip.fps, first_frame=first, frames=count, total_frames=clip.frames,
        )  # fmt: skip
        unit = EncodedUnit(unit_no=number, spec=_SPEC, descriptors=told, features=b"".join(group))
        now = max(now, round((first + count) / clip.fps * 10**9))
        sender.submit(unit, now)
        while (due := sender.next_timer()) is not None:
            now = max(now, due)
            out += [(now, packet) for packet in sender.datagrams_to_send(now)]
    return out


def fill_air(
    peer: str, form: Form, clip: Clip, frames: NDArray[np.uint8], params: LinkParams, budget: int,
    latency: float,
) -> Made | None:  # fmt: skip
    """The largest coded clip of which everything on the air is at most `budget` bytes."""
    payload = budget
    for _ in range(_TRIES):
        made = fill(peer, form, clip, frames, payload, latency)
        if made is None:
            return None
        air = sum(len(p) for _, p in _packets(made, clip, params, latency))
        if air <= budget:
            return made
        payload = int(made.size * 0.99 * budget / air)
    return None


def through(
    made: Made, clip: Clip, params: LinkParams, latency: float, *, loss: float, burst: float,
    seed: int,
) -> tuple[Made, int]:  # fmt: skip
    """(what of each group can be decoded, bytes on the air)."""
    packets = _packets(made, clip, params, latency)
    channel = Channel(
        ChannelSpec(loss=loss, burst=burst, ber=0, slip=0, dup=0, reorder=0, seed=seed)
    )
    receiver = LinkReceiver(params)
    for now, data in packets:
        for out in channel.pass_datagram(data):
            receiver.receive(out, now)
    for out in channel.flush():
        receiver.receive(out, packets[-1][0])
    receiver.close(packets[-1][0])
    groups: list[list[bytes]] = [[] for _ in made.groups]
    while (event := receiver.next_event()) is not None:
        if isinstance(event, UnitReady) and event.unit.unit_no < len(groups):
            groups[event.unit.unit_no] = _whole(
                made.groups[event.unit.unit_no], len(event.unit.features.prefix)
            )
    return replace(made, groups=groups), sum(len(p) for _, p in packets)


def _whole(group: list[bytes], came: int) -> list[bytes]:
    """The packets that lie within the first `came` bytes."""
    out, at = [], 0
    for packet in group:
        at += len(packet)
        if at > came:
            break
        out.append(packet)
    return out
