"""`imt:DEVICE?topic=244`: Iridium messages of up to 100 kB over JSPR. What waits goes as one message."""

from __future__ import annotations

import base64
from collections import deque

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile
from gvc_protocol.framings.imt import (
    MAX_MESSAGE_BYTES,
    JsprMessage,
    join_crc,
    jspr_pack,
    jspr_parse,
    segment_data,
    split_crc,
)
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.sbd import bundle, retry_wait_s, unbundle

__all__ = ["ImtDriver", "open_imt"]

_ANSWER_S, _MESSAGE_S = 5.0, 900.0
_QUEUE_BYTES = 60_000
_MAX_INCOMING = 4


class ImtDriver:
    """One message at a time on its way out; incoming ones are put together by their id."""

    def __init__(self, topic: int) -> None:
        self._topic = topic
        self._packets: deque[bytes] = deque()
        self._failures, self._reference = 0, 0
        self.start(0.0)

    def start(self, now: float) -> None:
        self._reader = LineReader(8192)
        self._todo: deque[bytes] = deque([jspr_pack("GET", "apiVersion", {})])
        self._message, self._count, self._message_id = b"", 0, -1
        self._deadline, self._try_at, self._ready = now + _ANSWER_S, now, False
        self._incoming: dict[int, bytearray] = {}
        self._rssi: float | None = None
        self._problem = ""

    def send(self, data: bytes, now: float) -> None:
        self._packets.append(data)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        out: list[bytes] = []
        for line in self._reader.feed(raw):
            said = jspr_parse(line)
            if said is not None:
                out += self._said(said, now)
        return out

    def _said(self, said: JsprMessage, now: float) -> list[bytes]:
        if said.code >= 400 and said.code != 402:  # 402: already set
            self._failed(now, f"the modem refused {said.target} ({said.code})")
            return []
        if said.target in ("apiVersion", "simConfig", "operationalState"):
            self._set_up(said, now)
        elif said.target == "constellationState":
            level = said.fields.get("signal_level")
            self._rssi = float(level) if type(level) is int and abs(level) < 1000 else None
        elif said.target.startswith("messageOriginate"):
            self._originate(said, now)
        elif said.target.startswith("messageTerminate"):
            return self._terminate(said)
        return []

    def _set_up(self, said: JsprMessage, now: float) -> None:
        """API version, SIM and state, in that order; each is set only where it differs."""
        if said.target == "apiVersion":
            versions = said.fields.get("supported_versions")
            if not said.fields.get("active_version") and isinstance(versions, list) and versions:
                self._todo.append(jspr_pack("PUT", "apiVersion", {"active_version": versions[0]}))
            self._todo.append(jspr_pack("GET", "simConfig", {}))
        elif said.target == "simConfig":
            if said.code == 200 and said.text("interface") != "internal":
                self._todo.append(jspr_pack("PUT", "simConfig", {"interface": "internal"}))
            self._todo.append(jspr_pack("GET", "operationalState", {}))
        elif said.text("state") == "active" and said.code != 299:
            self._ready, self._problem = True, ""
        elif said.code == 200:
            self._todo.append(jspr_pack("PUT", "operationalState", {"state": "active"}))

    def _originate(self, said: JsprMessage, now: float) -> None:
        if said.target == "messageOriginate" and said.code == 200:
            if said.text("message_response") != "message_accepted":
                self._failed(now, said.text("message_response") or "message refused")
            else:
                self._message_id, self._deadline = said.number("message_id"), now + _MESSAGE_S
        elif said.number("message_id") != self._message_id:
            return
        elif said.target == "messageOriginateSegment" and said.code == 299:
            start, size = said.number("segment_start"), said.number("segment_length")
            if start < 0 or size < 0:
                return
            piece = self._message[start : start + size]
            self._todo.append(jspr_pack("PUT", "messageOriginateSegment", {
                "topic_id": self._topic, "message_id": self._message_id,
                "segment_length": len(piece), "segment_start": start,
                "data": base64.b64encode(piece).decode(),
            }))  # fmt: skip
        elif said.target == "messageOriginateStatus":
            if said.text("final_mo_status") == "mo_ack_received":
                for _ in range(min(self._count, len(self._packets))):
                    self._packets.popleft()
                self._message, self._count, self._message_id = b"", 0, -1
                self._failures, self._problem = 0, ""
            else:
                self._failed(now, said.text("final_mo_status"))

    def _terminate(self, said: JsprMessage) -> list[bytes]:
        number = said.number("message_id")
        if said.target == "messageTerminate":
            if len(self._incoming) >= _MAX_INCOMING:
                self._incoming.pop(next(iter(self._incoming)))
            self._incoming[number] = bytearray()
        elif said.target == "messageTerminateSegment" and number in self._incoming:
            buffer, data = self._incoming[number], segment_data(said)
            start = said.number("segment_start")
            if data is not None and 0 <= start <= MAX_MESSAGE_BYTES:
                buffer.extend(b"\0" * max(0, start - len(buffer)))
                buffer[start : start + len(data)] = data
        elif said.target == "messageTerminateStatus" and number in self._incoming:
            whole = split_crc(bytes(self._incoming.pop(number)))
            return [] if whole is None else unbundle(whole)
        return []

    def _failed(self, now: float, why: str) -> None:
        self._failures += 1
        wait = retry_wait_s(self._failures)
        self._message, self._count, self._message_id = b"", 0, -1
        self._try_at = now + wait
        self._problem = f"{why}; next try in {wait:.0f} s"

    def output(self, now: float) -> bytes:
        if now > self._deadline and (self._message or not self._ready):
            self.start(now)
            self._failed(now, "the modem does not answer")
        if self._ready and self._packets and not self._message and now >= self._try_at:
            self._message, self._count = bundle(self._packets, MAX_MESSAGE_BYTES)
            self._message = join_crc(self._message)
            self._reference = self._reference % 100 + 1
            self._deadline = now + _ANSWER_S
            self._todo.append(jspr_pack("PUT", "messageOriginate", {
                "topic_id": self._topic, "message_length": len(self._message),
                "request_reference": self._reference,
            }))  # fmt: skip
        return self._todo.popleft() if self._todo else b""

    def state(self, now: float) -> LinkState:
        size = sum(map(len, self._packets))
        return LinkState(
            can_send=size < _QUEUE_BYTES, waiting_packets=len(self._packets), problem=self._problem,
            rssi_dbm=self._rssi, queue_free_percent=100 * max(0.0, 1 - size / _QUEUE_BYTES),
        )  # fmt: skip


def open_imt(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a modem. Topic 244 is the raw topic of the makers' service."""
    driver = ImtDriver(url.options({"topic": 244})["topic"])
    return FramedLink(lambda: open_port(url, profile, listen=False), driver)
