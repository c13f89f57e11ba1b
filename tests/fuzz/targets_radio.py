"""Fuzz targets of the radios' framings and of messages: bytes from a port, and from a peer."""

from __future__ import annotations

from collections.abc import Callable

from gvc_protocol.framings.ax25 import Callsign, UiFrame
from gvc_protocol.framings.ebyte import e22_decode, e32_decode
from gvc_protocol.framings.imt import jspr_parse, segment_data, split_crc
from gvc_protocol.framings.kiss import KissReader
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.meshtastic import StreamReader
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


RADIO_TARGETS: tuple[tuple[str, str, Callable[[bytes], None]], ...] = (
    ("kiss", "kiss", kiss),
    ("xbee", "xbee", xbee),
    ("text-dialogues", "text", text_dialogues),
    ("message-links", "satellite", message_links),
    ("messages", "messages", messages),
)
"(name, kind of its seeds, target)"
