"""`rn2483:DEVICE`: LoRa packets through the module's text commands.

After every start, the module's own too: `mac pause`, each setting asked and set where it differs, then
listening. A send interrupts listening: `radio rxstop`, `radio tx`, wait for `radio_tx_ok`, `radio rx 0`.
"""

from __future__ import annotations

from collections import deque

from gvc_profiles.links.base import ByteLink, LinkState
from gvc_profiles.links.framed import FramedLink
from gvc_profiles.links.port import open_port
from gvc_profiles.links.url import LinkUrl
from gvc_profiles.model import LinkProfile, Setting
from gvc_protocol.framings.lines import LineReader
from gvc_protocol.framings.rn2483 import RnPacket, rn_parse, rn_transmit

__all__ = ["RnDriver", "open_rn2483"]

_ANSWER_S, _AIR_S = 2.0, 12.0


class RnDriver:
    """One command at a time; what the module never answers is repeated from the start."""

    def __init__(self, settings: tuple[Setting, ...]) -> None:
        self._settings = {s.name: s.want for s in settings if s.want}
        self._packets: deque[bytes] = deque(maxlen=16)
        self._snr: float | None = None
        self.start(0.0)

    def start(self, now: float) -> None:
        self._reader = LineReader(1024)
        self._todo: deque[bytes] = deque([b"mac pause\r\n"])
        self._todo += [f"radio get {name}\r\n".encode() for name in self._settings]
        self._todo.append(b"radio rx 0\r\n")
        self._asked, self._deadline = b"", 0.0
        self._on_air = False
        self._problem = ""

    def send(self, data: bytes, now: float) -> None:
        self._packets.append(data)

    def feed(self, raw: bytes, now: float) -> list[bytes]:
        out = []
        for line in self._reader.feed(raw):
            said = rn_parse(line)
            if isinstance(said, RnPacket):
                out.append(said.data)
                self._todo += [b"radio get snr\r\n", b"radio rx 0\r\n"]
            elif said.restarted:
                self.start(now)
            elif said.text in ("radio_tx_ok", "radio_err"):
                if said.text == "radio_tx_ok" and self._on_air and self._packets:
                    self._packets.popleft()
                self._on_air = False
                self._todo.append(b"radio rx 0\r\n")
            elif self._asked:
                self._answer(said.text, now)
        return out

    def _answer(self, text: str, now: float) -> None:
        asked, self._asked = self._asked.decode("ascii").split(), b""
        if asked[:2] == ["radio", "get"] and asked[2] == "snr":
            self._snr = float(text) if text.lstrip("-").isdigit() and len(text) < 5 else None
        elif asked[:2] == ["radio", "get"]:
            want = self._settings[asked[2]]
            if text != want:
                self._todo.appendleft(f"radio set {asked[2]} {want}\r\n".encode())
        elif asked[:2] == ["radio", "set"] and text != "ok":
            self._problem = f"the module refuses {' '.join(asked[2:])} ({text})"
        elif asked[:2] == ["radio", "tx"]:
            self._on_air = text == "ok"
            self._deadline = now + _AIR_S
            if text != "ok":
                self._todo.append(b"radio rx 0\r\n")

    def output(self, now: float) -> bytes:
        if self._asked or self._on_air:
            if now > self._deadline:
                self.start(now)
                self._problem = "the module does not answer; trying again"
            else:
                return b""
        if not self._todo and self._packets:
            self._todo += [b"radio rxstop\r\n", rn_transmit(self._packets[0])]
        if not self._todo:
            return b""
        self._asked, self._deadline = self._todo.popleft(), now + _ANSWER_S
        return self._asked

    def state(self, now: float) -> LinkState:
        waiting = len(self._packets)
        return LinkState(
            can_send=waiting == 0, snr_db=self._snr, waiting_packets=waiting, problem=self._problem
        )


def open_rn2483(url: LinkUrl, profile: LinkProfile, *, listen: bool) -> ByteLink:
    """Open a module."""
    url.options({})
    return FramedLink(lambda: open_port(url, profile, listen=False), RnDriver(profile.settings))
