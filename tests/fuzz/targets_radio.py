"""Fuzz targets of the radios' framings and of messages: bytes from a port, and from a peer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from gvc_protocol.errors import UserError
from gvc_protocol.framings.ax25 import Callsign, UiFrame
from gvc_protocol.framings.ebyte import e22_decode, e32_decode
from gvc_protocol.framings.imt import jspr_parse, segment_data, split_crc
from gvc_protocol.framings.kiss import KissReader
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.mavlink import DATA_BYTES, MavCodec, TunnelData
from gvc_protocol.framings.meshtastic import MeshCodec, StreamReader
from gvc_protocol.framings.rn2483 import rn_parse
from gvc_protocol.framings.sbd import parse_session, sbd_read, unbundle
from gvc_protocol.framings.xbee import XbeeReader
from gvc_protocol.messages import pack_message, unpack_message

__all__ = ["RADIO_TARGETS"]


def kiss(data: bytes) -> None:
    """Frames of a TNC, their AX.25 inside; a stream in pieces gives the same frames."""
    frames = KissReader().feed(data)
    pieces, step = KissReader(), 1 + len(data) % 13
    split = [f for i in range(0, len(data), step) for f in pieces.feed(data[i : i + step])]
    assert split == frames, "KISS in pieces reads otherwise"
    for frame in frames:
        UiFrame.unpack(frame.data)
    UiFrame.unpack(data)
    Callsign.unpack(data[:7])


def xbee(data: bytes) -> None:
    """API frames, with and without escapes."""
    for escaped in (False, True):
        XbeeReader(escaped=escaped).feed(data)


def text_dialogues(data: bytes) -> None:
    """Lines of radios that speak text."""
    for line in LineReader().feed(data + b"\r\n"):
        rn_parse(line)
        parse_session(line)
        message = jspr_parse(line)
        if message is not None:
            segment_data(message)


def message_links(data: bytes) -> None:
    """Whole messages of satellites and of Meshtastic's stream."""
    sbd_read(data)
    split_crc(data)
    unbundle(data)
    StreamReader().feed(data)
    if len(data) >= 12:
        e22_decode(data[:9])
        e32_decode(data[:6])


def messages(data: bytes) -> None:
    """Records of the back-channel: what was read writes and reads back the same."""
    read = unpack_message(data)
    if read:
        assert unpack_message(pack_message(read)) == read, "a message does not read as it writes"


_MAV_IDS = ((385, 147), (109, 185), (0, 50))
"TUNNEL, RADIO_STATUS and HEARTBEAT, each with the seed of its checksum [MAVLink, CRC_EXTRA]."


@cache
def _mav() -> tuple[MavCodec, Callable[[bytes], int]]:
    from pymavlink.generator.mavcrc import x25crc

    def crc(data: bytes) -> int:
        value: int = x25crc(data).crc
        return value

    return MavCodec(system=255, component=191), crc


def mavlink(data: bytes) -> None:
    """The stream as it comes, and messages that are read with these bytes and a right checksum."""
    codec, crc = _mav()
    codec.feed(data)
    payload, seq = data[:255], len(data) & 0xFF
    for number, extra in _MAV_IDS:
        head = bytes((len(payload), 0, 0, seq, 1, 1)) + number.to_bytes(3, "little")
        checked = crc(head + payload + bytes((extra,)))
        # Zeros first: what a broken head made the reader wait for ends there.
        frame = b"\xfd" + head + payload + checked.to_bytes(2, "little")
        for message in codec.feed(bytes(300) + frame):
            if isinstance(message, TunnelData):
                assert len(message.data) <= DATA_BYTES, "a TUNNEL message holds more than it can"


@cache
def _mesh() -> MeshCodec:
    return MeshCodec()


def meshtastic(data: bytes) -> None:
    """Protobufs from the node, alone and out of its byte stream."""
    codec = _mesh()
    codec.parse(data)
    for message in StreamReader().feed(data):
        codec.parse(message)


def _installed(make: Callable[[], object]) -> bool:
    try:
        make()
    except (UserError, ImportError):
        return False
    return True


RADIO_TARGETS: tuple[tuple[str, str, Callable[[bytes], None]], ...] = (
    ("kiss", "kiss", kiss),
    ("xbee", "xbee", xbee),
    ("text-dialogues", "text", text_dialogues),
    ("message-links", "satellite", message_links),
    ("messages", "messages", messages),
    # With the extra `radios`; the suite's environment has it.
    *([("mavlink", "mavlink", mavlink)] if _installed(_mav) else []),
    *([("meshtastic", "meshtastic", meshtastic)] if _installed(_mesh) else []),
)
"(name, kind of its seeds, target)"
