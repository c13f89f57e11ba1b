"""Radios that are not there: each answers its command dialogue on a pty as its manual says."""

from __future__ import annotations

import os
import re
import select
import threading
import time
import tty
from contextlib import suppress


class Fake:
    """A pty whose other end is a radio. `mood`: right, silent, late, garbage."""

    def __init__(self, mood: str = "right") -> None:
        self.mood = mood
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.heard = b""
        self._buffer = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2)
        for fd in (self.master, self.slave):
            with suppress(OSError):
                os.close(fd)

    def say(self, data: bytes) -> None:
        if self.mood == "silent":
            return
        if self.mood == "late":
            time.sleep(0.12)
        os.write(self.master, b"\xf3\x00?" * 5 if self.mood == "garbage" else data)

    def _loop(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.02)
            if ready:
                with suppress(OSError):
                    data = os.read(self.master, 4096)
                    self.heard += data
                    self._buffer += data
                    self._buffer = self.answer(self._buffer)

    def answer(self, data: bytes) -> bytes:
        """Answer what is whole, return the rest. A radio that only talks hears nothing."""
        return b""

    def lines(self, data: bytes, end: bytes) -> bytes:
        *whole, rest = data.split(end)
        for line in whole:
            self.line(line.strip().decode("latin-1"))
        return rest

    def line(self, text: str) -> None:
        """One command line; a radio that speaks in frames hears none."""


class Sik(Fake):
    """ATI5, ATSn=X, AT&W, ATZ, ATO."""

    def __init__(self, mood: str = "right", **changed: int) -> None:
        self.settings = {
            "FORMAT": 26, "SERIAL_SPEED": 57, "AIR_SPEED": 64, "NETID": 25, "TXPOWER": 20, "ECC": 0,
            "MAVLINK": 0, "OPPRESEND": 0, "MIN_FREQ": 915000, "MAX_FREQ": 928000,
            "NUM_CHANNELS": 50, "DUTY_CYCLE": 100, "LBT_RSSI": 0, "MANCHESTER": 0, "RTSCTS": 0,
            "MAX_WINDOW": 131, **changed,
        }  # fmt: skip
        self.saved, self.command_mode, self.writes = 0, False, 0
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        if not self.command_mode:
            if b"+++" in data:
                self.command_mode = self.mood != "silent"
                self.say(b"OK\r\n")
            return b""
        return self.lines(data, b"\n")

    def line(self, text: str) -> None:
        if text == "ATI5":
            rows = [f"S{i}:{n}={v}" for i, (n, v) in enumerate(self.settings.items())]
            self.say(("\r\n".join(["ATI5", *rows]) + "\r\n").encode())
        elif match := re.fullmatch(r"ATS(\d+)=(\d+)", text):
            self.settings[list(self.settings)[int(match[1])]] = int(match[2])
            self.writes += 1
            self.say(b"OK\r\n")
        elif text == "AT&W":
            self.saved += 1
            self.say(b"OK\r\n")
        elif text in ("ATO", "ATZ"):
            self.command_mode = False
        elif text:
            self.say(b"OK\r\n" if text == "AT" else b"ERROR\r\n")


class Xbee(Fake):
    """+++, ATxx, ATxxN, WR, CN."""

    def __init__(self, mood: str = "right", **changed: str) -> None:
        self.settings = {
            "AP": "2", "AO": "0", "BD": "7", "BR": "1", "ID": "7FFF", "HP": "0", "MT": "0", "D7": "0",
            **changed,
        }  # fmt: skip
        self.saved, self.command_mode = 0, False
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        if not self.command_mode:
            if b"+++" in data:
                self.command_mode = True
                self.say(b"OK\r")
            return b""
        return self.lines(data, b"\r")

    def line(self, text: str) -> None:
        name, value = text[2:4], text[4:]
        if name == "WR":
            self.saved += 1
        elif name == "CN":
            self.command_mode = False
        elif not value:
            self.say((self.settings.get(name, "ERROR") + "\r").encode())
            return
        else:
            self.settings[name] = value
        self.say(b"OK\r")


class EbyteE22(Fake):
    """C1 and C0 at registers 00..06."""

    def __init__(self, mood: str = "right", registers: str = "000000e7001240"[:14]) -> None:
        self.registers = bytes.fromhex(registers)
        self.saved = 0
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        if data.startswith(b"\xc1\x00\x07"):
            self.say(b"\xc1\x00\x07" + self.registers)
            return data[3:]
        if data.startswith(b"\xc0\x00\x07") and len(data) >= 10:
            self.registers = data[3:10]
            self.saved += 1
            self.say(b"\xc1\x00\x07" + self.registers)
            return data[10:]
        return data if data[:1] in (b"\xc1", b"\xc0") else b""


class Rn2483(Fake):
    """Lines; after `restart` all settings are at their defaults."""

    DEFAULTS = (
        ("mod", "lora"), ("freq", "868100000"), ("pwr", "1"), ("sf", "sf12"), ("bw", "125"),
        ("cr", "4/5"), ("crc", "on"), ("prlen", "8"), ("wdt", "15000"), ("snr", "-7"),
    )  # fmt: skip

    def __init__(self, mood: str = "right") -> None:
        self.settings = dict(self.DEFAULTS)
        self.sent: list[bytes] = []
        self.listening = False
        super().__init__(mood)

    def restart(self) -> None:
        self.settings = dict(self.DEFAULTS)
        self.say(b"RN2483 1.0.5 Oct 31 2018 15:06:52\r\n")

    def answer(self, data: bytes) -> bytes:
        return self.lines(data, b"\n")

    def line(self, text: str) -> None:
        words = text.split()
        if text == "mac pause":
            self.say(b"4294967245\r\n")
        elif text == "sys get ver":
            self.say(b"RN2483 1.0.5 Oct 31 2018 15:06:52\r\n")
        elif words[:2] == ["radio", "get"]:
            self.say(self.settings.get(words[2], "invalid_param").encode() + b"\r\n")
        elif words[:2] == ["radio", "set"]:
            self.settings[words[2]] = words[3]
            self.say(b"ok\r\n")
        elif words[:2] == ["radio", "tx"]:
            self.sent.append(bytes.fromhex(words[2]))
            self.say(b"ok\r\nradio_tx_ok\r\n")
        elif words[:2] == ["radio", "rx"]:
            self.listening = True
            self.say(b"ok\r\n")
        else:
            self.say(b"ok\r\n")


class Sbd(Fake):
    """A 9602: SBDWB, SBDIX, SBDRB. The first `bad_skies` sessions fail with code 32."""

    def __init__(self, mood: str = "right", bad_skies: int = 0, mail: bytes = b"") -> None:
        self.messages: list[bytes] = []
        self.bad_skies, self.mail = bad_skies, mail
        self._binary = 0
        self._message = b""
        self.flow = "3"
        super().__init__(mood)

    def answer(self, data: bytes) -> bytes:
        if self._binary:
            if len(data) < self._binary + 2:
                return data
            self._message, data = data[: self._binary], data[self._binary + 2 :]
            self._binary = 0
            self.say(b"0\r\n\r\nOK\r\n")
        return self.lines(data, b"\r")

    def line(self, text: str) -> None:
        if match := re.fullmatch(r"AT\+SBDWB=(\d+)", text):
            self._binary = int(match[1])
            self.say(b"READY\r\n")
        elif text == "AT+SBDIX":
            self.session()
        elif text == "AT+SBDRB":
            body = len(self.mail).to_bytes(2, "big") + self.mail
            self.say(body + (sum(self.mail) & 0xFFFF).to_bytes(2, "big") + b"\r\nOK\r\n")
            self.mail = b""
        elif text == "AT&V":
            self.say(f"E0 Q0 V1 &K{self.flow}\r\nOK\r\n".encode())
        elif text == "AT+SBDMTA?":
            self.say(b"+SBDMTA:1\r\nOK\r\n")
        elif text == "AT+CSQF":
            self.say(b"+CSQF:4\r\nOK\r\n")
        else:
            self.flow = text[4:] if text.startswith("AT&K") else self.flow
            self.say(b"OK\r\n")

    def session(self) -> None:
        if self.bad_skies:
            self.bad_skies -= 1
            self.say(b"+SBDIX: 32, 1, 2, 0, 0, 0\r\n\r\nOK\r\n")
            return
        if self._message:
            self.messages.append(self._message)
            self._message = b""
        self.say(
            f"+SBDIX: 0, 1, {int(bool(self.mail))}, 0, {len(self.mail)}, 0\r\n\r\nOK\r\n".encode()
        )
