"""Meshtastic's client API: 94 C3, length (2 bytes), a protobuf of the `meshtastic` package.

Our datagrams are the payload of data packets on a private port (256..511). The package is imported only
when a codec is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gvc_protocol.errors import UserError

__all__ = ["MeshCodec", "MeshFrame", "StreamReader", "stream_pack"]

_MAX_BYTES = 512
_BROADCAST = 0xFFFFFFFF


def stream_pack(message: bytes) -> bytes:
    """The four bytes of header before a protobuf."""
    return b"\x94\xc3" + len(message).to_bytes(2, "big") + message


class StreamReader:
    """Bytes of the node in, protobufs out. Debug text between frames is skipped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Whole protobufs so far."""
        self._buffer += data
        out: list[bytes] = []
        while (start := self._buffer.find(b"\x94")) >= 0:
            del self._buffer[:start]
            if len(self._buffer) < 4:
                return out
            size = int.from_bytes(self._buffer[2:4], "big")
            if self._buffer[1] != 0xC3 or size > _MAX_BYTES:
                del self._buffer[:1]
                continue
            if len(self._buffer) < 4 + size:
                return out
            out.append(bytes(self._buffer[4 : 4 + size]))
            del self._buffer[: 4 + size]
        self._buffer.clear()
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshFrame:
    """What one FromRadio message says; what it does not say is None."""

    data: bytes | None = None
    "Payload of a packet on our port."
    source: int = 0
    rssi_dbm: float | None = None
    snr_db: float | None = None
    queue_free: int | None = None
    queue_max: int | None = None
    rebooted: bool = False
    node: int | None = None
    "The node's own number."
    lora: Any = None
    "config_pb2.Config.LoRaConfig."
    configured: bool = False
    "The answer to want_config is complete."


class MeshCodec:
    """Protobufs of one node.

    Raises:
        UserError: the `meshtastic` package is not installed, or the port number is not private.
    """

    def __init__(self, port_no: int = 257) -> None:
        if not 256 <= port_no <= 511:
            raise UserError(f"Meshtastic port {port_no} is not private; give 256 to 511")
        try:
            from meshtastic.protobuf import admin_pb2, mesh_pb2
        except ImportError:
            raise UserError(
                "this radio needs the meshtastic package; run: pip install 'gvc-field[radios]'"
            ) from None
        self._mesh: Any = mesh_pb2
        self._admin: Any = admin_pb2
        self._port_no = port_no

    def want_config(self, number: int) -> bytes:
        """Ask for everything that the node knows of itself."""
        return self._framed(self._mesh.ToRadio(want_config_id=number))

    def packet(self, data: bytes, packet_id: int, *, hop_limit: int | None = None) -> bytes:
        """Broadcast one datagram on our port, without asking for acknowledgement."""
        packet = self._mesh.MeshPacket(to=_BROADCAST, id=packet_id & 0xFFFFFFFF)
        packet.decoded.portnum = self._port_no
        packet.decoded.payload = data
        if hop_limit is not None:
            packet.hop_limit = hop_limit
        return self._framed(self._mesh.ToRadio(packet=packet))

    def set_lora(self, node: int, lora: Any, packet_id: int) -> bytes:
        """Write the LoRa settings of the node itself; it restarts by itself afterwards."""
        admin = self._admin.AdminMessage()
        admin.set_config.lora.CopyFrom(lora)
        packet = self._mesh.MeshPacket(to=node, id=packet_id & 0xFFFFFFFF, want_ack=True)
        packet.decoded.portnum = 6  # ADMIN_APP
        packet.decoded.payload = admin.SerializeToString()
        return self._framed(self._mesh.ToRadio(packet=packet))

    def parse(self, raw: bytes) -> MeshFrame | None:
        """One FromRadio message; None when it is none or says nothing that is needed here."""
        from google.protobuf.message import DecodeError

        try:
            said = self._mesh.FromRadio.FromString(raw)
        except DecodeError:
            return None
        kind = said.WhichOneof("payload_variant")
        if kind == "packet":
            return self._packet(said.packet)
        if kind == "queueStatus":
            status = said.queueStatus
            return MeshFrame(queue_free=status.free, queue_max=status.maxlen)
        if kind == "my_info":
            return MeshFrame(node=said.my_info.my_node_num)
        if kind == "config" and said.config.WhichOneof("payload_variant") == "lora":
            return MeshFrame(lora=said.config.lora)
        if kind == "rebooted":
            return MeshFrame(rebooted=True)
        return MeshFrame(configured=True) if kind == "config_complete_id" else None

    def _packet(self, packet: Any) -> MeshFrame | None:
        if packet.WhichOneof("payload_variant") != "decoded":
            return None
        if packet.decoded.portnum != self._port_no:
            return None
        return MeshFrame(
            data=bytes(packet.decoded.payload), source=getattr(packet, "from"),
            rssi_dbm=float(packet.rx_rssi) if packet.rx_rssi else None,
            snr_db=float(packet.rx_snr) if packet.rx_rssi else None,
        )  # fmt: skip

    @staticmethod
    def _framed(message: Any) -> bytes:
        return stream_pack(message.SerializeToString())
