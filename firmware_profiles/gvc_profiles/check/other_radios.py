"""Radios with commands of their own: Ebyte registers, RN2483 lines, Meshtastic, JSPR, MAVLink."""

from __future__ import annotations

import time
from typing import Any

from gvc_profiles.check.dialogue import CannotTalkError, RefusedError, Talk
from gvc_protocol.framings import ebyte
from gvc_protocol.framings.imt import JsprMessage, jspr_pack, jspr_parse
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.mavlink import MavCodec, RadioStatus, Telemetry
from gvc_protocol.framings.meshtastic import MeshCodec, StreamReader

__all__ = ["EbyteDialect", "ImtDialect", "MavlinkDialect", "MeshDialect", "RnDialect"]


_IMT_FIELDS = {"simConfig": "interface", "operationalState": "state"}


class EbyteDialect:
    """Binary registers at 9600 8N1; only in configuration mode, which the pins M0 and M1 choose."""

    def __init__(self, talk: Talk, *, e22: bool) -> None:
        self._talk, self._e22 = talk, e22
        self._pins = "M0 low, M1 high" if e22 else "M0 and M1 high"
        self._registers = b""

    def enter(self) -> None:
        request, head, size = (
            (ebyte.e22_read, b"\xc1\x00\x07", ebyte.E22_BYTES) if self._e22
            else (ebyte.e32_read, b"\xc0", ebyte.E32_BYTES)
        )  # fmt: skip
        for _ in range(2):
            answer = self._talk.ask(request, head + b".{%d}" % size, 1)
            at = answer.find(head)
            if at >= 0 and len(answer) >= at + len(head) + size:
                self._registers = answer[at + len(head) :][:size]
                return
        raise CannotTalkError(
            f"no answer to a register read; put the module in configuration mode ({self._pins}), "
            "then check the cable"
        )

    def read(self, names: list[str]) -> dict[str, str]:
        decode = ebyte.e22_decode if self._e22 else ebyte.e32_decode
        found = decode(self._registers)
        return {n: found[n] for n in names if n in found}

    def write(self, name: str, value: str) -> None:
        encode = ebyte.e22_encode if self._e22 else ebyte.e32_encode
        changed = encode(self._registers, name, value)
        if changed is None:
            raise RefusedError(f"{name} cannot be set to {value}")
        self._registers = changed

    def save(self) -> None:
        """One write for all changes: flash wears. The answer can start 125 ms late."""
        write = ebyte.e22_write if self._e22 else ebyte.e32_write
        wanted = self._registers
        self._talk.ask(write(wanted), b".{%d}" % len(wanted), 1)
        self.enter()
        if self._registers != wanted:
            raise CannotTalkError("the module did not keep what was written")

    def leave(self) -> None:
        self._talk.drain()  # data mode is a matter of the pins: the report says so


class RnDialect:
    """Text lines. `mac pause` stops LoRaWAN; `radio get sf` asks, `radio set sf sf7` writes."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def _line(self, request: str, timeout_s: float = 1.0) -> str:
        answer = self._talk.ask(request.encode() + b"\r\n", rb"\r\n", timeout_s)
        return answer.decode("ascii", "replace").strip()

    def enter(self) -> None:
        self._line("radio rxstop")
        for _ in range(2):
            if self._line("sys get ver").startswith("RN2"):
                break
        else:
            raise CannotTalkError(
                "no answer to `sys get ver`; check the cable and the baud rate (57600)"
            )
        if not self._line("mac pause").isdigit():
            raise CannotTalkError("the module did not pause LoRaWAN (`mac pause`)")

    def read(self, names: list[str]) -> dict[str, str]:
        answers = {name: self._line(f"radio get {name}") for name in names}
        if not all(answers.values()):
            missing = next(n for n, a in answers.items() if not a)
            raise CannotTalkError(f"no answer to `radio get {missing}`")
        return {n: a for n, a in answers.items() if a != "invalid_param"}

    def write(self, name: str, value: str) -> None:
        if self._line(f"radio set {name} {value}") != "ok":
            raise RefusedError(f"the module refused {name} {value}")

    def save(self) -> None:
        return None  # forgotten at power-off anyway; the link sets them whenever it opens

    def leave(self) -> None:
        self._talk.drain()


class MeshDialect:
    """Protobufs: want_config gives the LoRa settings, an admin message writes them."""

    def __init__(self, talk: Talk) -> None:
        self._talk, self._codec = talk, MeshCodec()
        self._node = 0
        self._lora: Any = None
        self._changed = False

    def enter(self) -> None:
        reader = StreamReader()
        self._talk.write(b"\xc3" * 32 + self._codec.want_config(0x47564302))
        until = time.monotonic() + 8 * self._talk.patience
        while time.monotonic() < until:
            for raw in reader.feed(self._talk.read_more(0.5)):
                frame = self._codec.parse(raw)
                if frame is None:
                    continue
                self._node = frame.node or self._node
                self._lora = frame.lora if frame.lora is not None else self._lora
                if frame.configured and self._lora is not None:
                    return
        raise CannotTalkError(
            "the node does not tell its configuration; check the cable and that no other program "
            "(app over Bluetooth, meshtastic CLI) holds it"
        )

    def read(self, names: list[str]) -> dict[str, str]:
        return {n: self._text(n) for n in names if hasattr(self._lora, n.removeprefix("lora."))}

    def _text(self, name: str) -> str:
        field = self._lora.DESCRIPTOR.fields_by_name[name.removeprefix("lora.")]
        value = getattr(self._lora, field.name)
        if field.enum_type is not None:
            known = field.enum_type.values_by_number.get(value)
            return known.name if known is not None else str(value)
        return str(value).lower()

    def write(self, name: str, value: str) -> None:
        field = self._lora.DESCRIPTOR.fields_by_name[name.removeprefix("lora.")]
        kind: Any = type(getattr(self._lora, field.name))
        try:
            if field.enum_type is not None:
                setattr(self._lora, field.name, field.enum_type.values_by_name[value].number)
            elif kind is bool:
                setattr(self._lora, field.name, ("false", "true").index(value) == 1)
            else:
                setattr(self._lora, field.name, kind(value))
        except (KeyError, ValueError):
            raise RefusedError(f"{name} cannot be set to {value}") from None
        if field.name == "modem_preset":
            self._lora.use_preset = True

    def save(self) -> None:
        """The node takes it without an answer and restarts some seconds later: ask before that."""
        packet_id = time.time_ns() & 0x7FFFFFFF
        self._talk.write(self._codec.set_lora(self._node, self._lora, packet_id))
        self._talk.pause(1)
        self._lora = None
        try:
            self.enter()
        except CannotTalkError:
            raise CannotTalkError(
                "the node restarts with what was written; run check again in a minute"
            ) from None

    def leave(self) -> None:
        self._talk.drain()


class ImtDialect:
    """JSPR requests; each answer is a line `200 target {...}`."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def _request(self, verb: str, target: str, fields: dict[str, Any]) -> JsprMessage | None:
        # 299 is what the modem says by itself, perhaps of the same target.
        ends = rb"(?:^|[\r\n])(?!299)\d{3} %b [^\r]*\r" % target.encode()
        answer = self._talk.ask(jspr_pack(verb, target, fields), ends, 2)
        said = (jspr_parse(line) for line in LineReader().feed(answer + b"\r"))
        return next((m for m in said if m and m.target == target and m.code != 299), None)

    def enter(self) -> None:
        for _ in range(2):
            said = self._request("GET", "apiVersion", {})
            if said is not None:
                break
        else:
            raise CannotTalkError(
                "no answer to GET apiVersion; check the cable and the baud rate (230400)"
            )
        versions = said.fields.get("supported_versions")
        if not said.fields.get("active_version") and isinstance(versions, list) and versions:
            self._request("PUT", "apiVersion", {"active_version": versions[0]})

    def read(self, names: list[str]) -> dict[str, str]:
        found = {}
        for name in names:
            said = self._request("GET", name, {})
            if said is not None and said.code == 200:
                found[name] = said.text(_IMT_FIELDS[name])
        return found

    def write(self, name: str, value: str) -> None:
        said = self._request("PUT", name, {_IMT_FIELDS[name]: value})
        if said is None or said.code not in (200, 402):
            raise RefusedError(f"the modem refused {name} {value}")

    def save(self) -> None:
        return None  # the modem has no other memory for these

    def leave(self) -> None:
        self._talk.drain()


class MavlinkDialect:
    """Only listens: is there an autopilot, and a telemetry radio that tells its buffer?"""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def enter(self) -> None:
        codec = MavCodec(system=255, component=191)
        heard = [False, False]
        until = time.monotonic() + 4 * self._talk.patience
        while time.monotonic() < until and not all(heard):
            for message in codec.feed(self._talk.read_more(0.5)):
                heard[0] |= isinstance(message, Telemetry) and message.heartbeat
                heard[1] |= isinstance(message, RadioStatus)
        if not heard[0]:
            raise CannotTalkError(
                "no heartbeat of an autopilot; check the cable, the baud rate, and that this serial "
                "port of the autopilot speaks MAVLink 2"
            )
        self.radio_told = heard[1]

    def read(self, names: list[str]) -> dict[str, str]:
        return {"RADIO_STATUS": "heard" if self.radio_told else "not heard"}

    def write(self, name: str, value: str) -> None:
        raise RefusedError(
            f"{name} is a matter of the telemetry radio: check it with the profile of that radio"
        )

    def save(self) -> None:
        return None

    def leave(self) -> None:
        return None
