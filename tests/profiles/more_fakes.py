"""More radios that are not there: Ebyte E32, a Meshtastic node, an Iridium IMT modem, an autopilot.

Moods besides those of `Fake`: refuses (says no to every write), forgets (says yes and keeps nothing).
"""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

from gvc_protocol.framings.meshtastic import StreamReader, stream_pack
from tests.profiles.fakes import Fake


class EbyteE32(Fake):
    """C1 C1 C1 asks, C0 and five registers write; anything else is data for the air."""

    def __init__(self, mood: str = "right", registers: str = "00001d0444") -> None:
        self.registers = bytes.fromhex(registers)
        self.writes = 0
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        if data.startswith(b"\xc1\xc1\xc1"):
            self.say(b"\xc0" + self.registers)
            return data[3:]
        if data.startswith(b"\xc0") and len(data) >= 6:
            self.writes += 1
            if self.mood != "forgets":
                self.registers = data[1:6]
            self.say(b"\xc0" + data[1:6])
            return data[6:]
        return data if data[:1] in (b"\xc1", b"\xc0") else b""


class Mesh(Fake):
    """A node on USB: debug text between the frames, want_config answered, admin messages obeyed."""

    def __init__(self, mood: str = "right", **changed: Any) -> None:
        from meshtastic.protobuf import admin_pb2, config_pb2, mesh_pb2

        self._pb: Any = mesh_pb2
        self._admin: Any = admin_pb2
        self.lora: Any = config_pb2.Config.LoRaConfig(
            use_preset=True, modem_preset=0, region=3, tx_enabled=True, hop_limit=3, tx_power=27,
        )  # fmt: skip
        for name, value in changed.items():
            setattr(self.lora, name, value)
        self.writes = 0
        self._reader = StreamReader()
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        for raw in self._reader.feed(data):
            asked = self._pb.ToRadio.FromString(raw)
            kind = asked.WhichOneof("payload_variant")
            if kind == "want_config_id":
                self._tell(asked.want_config_id)
            elif kind == "packet" and asked.packet.decoded.portnum == 6:
                admin = self._admin.AdminMessage.FromString(asked.packet.decoded.payload)
                self.writes += 1
                if asked.packet.to == 0x1234ABCD and self.mood != "forgets":
                    self.lora.CopyFrom(admin.set_config.lora)
        return b""

    def _tell(self, number: int) -> None:
        info, lora, done = (self._pb.FromRadio() for _ in range(3))
        info.my_info.my_node_num = 0x1234ABCD
        lora.config.lora.CopyFrom(self.lora)
        done.config_complete_id = number
        self.say(b"DEBUG | boot \x94 of text\r\n")
        for message in (info, lora, done):
            self.say(stream_pack(message.SerializeToString()))


class Imt(Fake):
    """A 9704: JSPR lines, and signal reports that nobody asked for between them."""

    def __init__(self, mood: str = "right", sim: str = "internal", state: str = "active") -> None:
        self.fields = {"simConfig": ("interface", sim), "operationalState": ("state", state)}
        self.version: Any = None
        self.writes = 0
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        return self.lines(data, b"\r")

    def line(self, text: str) -> None:
        verb, target, rest = text.split(" ", 2)
        given = json.loads(rest)
        if target == "apiVersion":
            self.version = given.get("active_version", self.version)
            versions = [{"major": 1, "minor": 6, "patch": 0}]
            said = {"supported_versions": versions, "active_version": self.version}
            self.tell(200, target, said)
            return
        name, value = self.fields[target]
        if verb == "PUT":
            self.writes += 1
            if self.mood == "refuses":
                self.tell(406, target, {})
                return
            if self.mood != "forgets":
                self.fields[target] = (name, value := given[name])
        self.say(b'299 constellationState {"signal_bars":3}\r')
        self.tell(299, target, {"reason": "spoke by itself"})
        self.tell(200, target, {name: value})

    def tell(self, code: int, target: str, fields: dict[str, Any]) -> None:
        self.say(f"{code} {target} {json.dumps(fields)}\r".encode())


class Autopilot(Fake):
    """Heartbeats and attitude by pymavlink, RADIO_STATUS where the radio puts it in."""

    def __init__(self, mood: str = "right", *, radio: bool = True) -> None:
        from pymavlink.dialects.v20 import common

        self._mav: Any = common.MAVLink(None, srcSystem=1, srcComponent=1)
        self._radio = radio
        super().__init__(mood)

    def _loop(self) -> None:
        while not self._stop.is_set():
            self.say(self._mav.heartbeat_encode(2, 3, 81, 0, 4).pack(self._mav))
            self.say(self._mav.attitude_encode(0, 0, 0, 0, 0, 0, 0).pack(self._mav))
            if self._radio:
                status = self._mav.radio_status_encode(180, 170, 90, 40, 45, 0, 0)
                self.say(status.pack(self._mav))
            if select.select([self.master], [], [], 0)[0]:
                self.heard += os.read(self.master, 4096)
            time.sleep(0.05)
