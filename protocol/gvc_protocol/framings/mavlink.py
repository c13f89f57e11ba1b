"""Our datagrams as MAVLink TUNNEL messages (385) beside flight telemetry; frames by `pymavlink`.

The package is imported only when a codec is made. What it cannot read it gives as bad data, which is
skipped here: a damaged frame costs itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gvc_protocol.errors import LocalProtocolError, UserError

__all__ = ["DATA_BYTES", "MavCodec", "RadioStatus", "TunnelData", "dbm_of_sik"]

DATA_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelData:
    """Payload of a TUNNEL message of our type."""

    data: bytes
    system: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioStatus:
    """RADIO_STATUS (109) of the telemetry radio, in its own units."""

    rssi: int
    noise: int
    txbuf: int
    "Room in the radio's transmit buffer, percent."


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Any other MAVLink message: its size on the link and whether it is an autopilot's heartbeat."""

    size: int
    heartbeat: bool


def dbm_of_sik(value: int) -> float:
    """SiK's RSSI and noise to dBm [ArduPilot]: value / 1.9 - 127."""
    return value / 1.9 - 127


class MavCodec:
    """Both directions of one MAVLink channel.

    Args:
        payload_type: above 32767, the range for private use.

    Raises:
        UserError: `pymavlink` is not installed, or the payload type is not private.
    """

    def __init__(
        self, *, system: int, component: int, target: int = 0, payload_type: int = 33_000
    ) -> None:
        if not 32_768 <= payload_type <= 65_535:
            raise UserError(
                f"MAVLink payload_type {payload_type} is not private; give 32768 to 65535"
            )
        try:
            from pymavlink.dialects.v20 import common
        except ImportError:
            raise UserError(
                "this link needs the pymavlink package; run: pip install 'gvc-field[radios]'"
            ) from None
        self._mav: Any = common.MAVLink(None, srcSystem=system, srcComponent=component)
        self._mav.robust_parsing = True
        self._target, self._type = target, payload_type

    def pack(self, data: bytes) -> bytes:
        """One TUNNEL frame.

        Raises:
            LocalProtocolError: more than 128 bytes.
        """
        if len(data) > DATA_BYTES:
            raise LocalProtocolError(f"{len(data)} bytes exceed a TUNNEL message's {DATA_BYTES}")
        message = self._mav.tunnel_encode(
            self._target, 0, self._type, len(data), list(data.ljust(DATA_BYTES, b"\0"))
        )
        return self._frame(message)

    def heartbeat(self) -> bytes:
        """Our own heartbeat, as an onboard controller: routers learn from it where we are."""
        return self._frame(self._mav.heartbeat_encode(18, 8, 0, 0, 4))

    def feed(self, data: bytes) -> list[TunnelData | RadioStatus | Telemetry]:
        """What a piece of the byte stream completes."""
        out: list[TunnelData | RadioStatus | Telemetry] = []
        for message in self._mav.parse_buffer(data) or []:
            kind = message.get_type()
            if kind == "TUNNEL" and message.payload_type == self._type:
                size = min(message.payload_length, DATA_BYTES)
                found = bytes(message.payload[:size])
                out.append(TunnelData(data=found, system=message.get_srcSystem()))
            elif kind == "RADIO_STATUS":
                out.append(RadioStatus(rssi=message.rssi, noise=message.noise, txbuf=message.txbuf))
            elif kind != "BAD_DATA":
                heart = kind == "HEARTBEAT" and message.autopilot != 8
                out.append(Telemetry(size=len(message.get_msgbuf()), heartbeat=heart))
        return out

    def _frame(self, message: Any) -> bytes:
        raw = bytes(message.pack(self._mav))
        self._mav.seq = (self._mav.seq + 1) % 256
        return raw
