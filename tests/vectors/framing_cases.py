"""Golden cases of the radios' framings."""

from __future__ import annotations

from typing import Any

from gvc_protocol.framings.ax25 import Callsign, UiFrame
from gvc_protocol.framings.ebyte import e22_write
from gvc_protocol.framings.imt import join_crc, jspr_pack
from gvc_protocol.framings.kiss import kiss_pack
from gvc_protocol.framings.meshtastic import stream_pack
from gvc_protocol.framings.rn2483 import rn_transmit
from gvc_protocol.framings.sbd import sbd_write
from gvc_protocol.framings.xbee import at_command, tx_request, xbee_pack

__all__ = ["framing_table"]

Cases = dict[str, Any]


def framing_table() -> Cases:
    """Radio framings; those with `source` are printed in the maker's manual or the standard."""
    ui = UiFrame(
        destination=Callsign("GVC"), source=Callsign("N0CALL", 7), info=bytes.fromhex("c0db00")
    )
    at = at_command("ND", frame_id=1)
    tx = tx_request(b"TxData0A", frame_id=1, address=0x0013A200400A0127, no_ack=False)
    lines = {"topic_id": 244, "message_length": 11, "request_reference": 1}
    return {
        "kiss": {"data": "TEST", "hex": kiss_pack(b"TEST").hex(), "source": "KISS, Chepponis"},
        "ax25_ui_in_kiss": {"hex": kiss_pack(ui.pack()).hex()},
        "xbee_at_nd": {"hex": xbee_pack(at, escaped=False).hex(), "source": "Digi 90002173"},
        "xbee_tx": {"hex": xbee_pack(tx, escaped=False).hex(), "source": "Digi 90002173"},
        "xbee_tx_escaped": {"hex": xbee_pack(tx, escaped=True).hex()},
        "sbd_hello": {"hex": sbd_write(b"hello").hex(), "source": "Iridium ISU AT reference"},
        "imt_crc_123456789": {"hex": join_crc(b"123456789").hex(), "source": "CRC-16/XMODEM check"},
        "imt_originate": {"text": jspr_pack("PUT", "messageOriginate", lines).decode()},
        "rn2483_tx": {"text": rn_transmit(b"\x01\xab").decode()},
        "meshtastic_stream": {"hex": stream_pack(b"abc").hex()},
        "ebyte_e22_write": {"hex": e22_write(bytes.fromhex("00000062001200")).hex()},
    }
