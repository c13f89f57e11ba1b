"""Radios with AT-like commands: SiK (and RFD900x), XBee, Iridium SBD."""

from __future__ import annotations

import re

from gvc_profiles.check.dialogue import CannotTalkError, RefusedError, Talk

__all__ = ["SbdDialect", "SikDialect", "XbeeDialect"]

_BAUD_HINT = "check the cable, the profile's baud rate, and that no other program holds the port"


class SikDialect:
    """`+++` between silences, ATI5 lists `S1:SERIAL_SPEED=57`, ATSn=X writes, AT&W saves, ATO ends."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._numbers: dict[str, int] = {}
        self._saved = False

    def enter(self) -> None:
        self._talk.pause(1.1)
        if b"OK" in self._talk.ask(b"+++", rb"OK", 2.5):
            return
        # It may be in command mode already, left there by another program.
        if b"OK" not in self._talk.ask(b"\r\nAT\r\n", rb"OK\r\n", 1):
            raise CannotTalkError(f"no OK to +++: the radio does not answer; {_BAUD_HINT}")

    def read(self, names: list[str]) -> dict[str, str]:
        last = b""
        # A partner's data or a slow radio can spoil an answer once: ask twice.
        for _ in range(2):
            last = self._talk.ask(b"ATI5\r\n", rb"S15:[A-Z_]+=\d+\r?\n", 2)
            lines = re.findall(
                r"S(\d{1,3}): ?([A-Z_0-9]+)=(-?\d+)", last.decode("ascii", "replace")
            )
            if lines:
                self._numbers = {name: int(number) for number, name, _ in lines}
                found = {name: value for _, name, value in lines}
                return {n: found[n] for n in names if n in found}
        raise CannotTalkError(f"ATI5 gave no parameters but {last[:40]!r}; {_BAUD_HINT}")

    def write(self, name: str, value: str) -> None:
        answer = self._talk.ask(f"ATS{self._numbers[name]}={value}\r\n".encode(), rb"OK|ERROR", 1)
        if b"OK" not in answer:
            raise RefusedError(f"the radio refused {name}={value}")

    def save(self) -> None:
        if b"OK" not in self._talk.ask(b"AT&W\r\n", rb"OK|ERROR", 1):
            raise CannotTalkError("the radio did not save (AT&W)")
        self._saved = True

    def leave(self) -> None:
        # ATZ restarts it with what was saved, in data mode; ATO goes back as it was.
        self._talk.write(b"ATZ\r\n" if self._saved else b"ATO\r\n")
        self._talk.pause(3 if self._saved else 0.3)


class XbeeDialect:
    """`+++`, OK, then `ATAP\\r` asks and `ATAP2\\r` writes; WR saves, CN ends. Works in any AP mode."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def enter(self) -> None:
        self._talk.pause(1.1)
        if b"OK" not in self._talk.ask(b"+++", rb"OK\r", 2.5):
            raise CannotTalkError(f"no OK to +++: the radio does not answer; {_BAUD_HINT}")

    def read(self, names: list[str]) -> dict[str, str]:
        found = {}
        for name in names:
            answer = (
                self._talk.ask(f"AT{name}\r".encode(), rb"\r", 1).strip().decode("ascii", "replace")
            )
            if not answer:
                raise CannotTalkError(f"no answer to AT{name}; {_BAUD_HINT}")
            if re.fullmatch(r"[0-9A-Fa-f]{1,16}", answer):
                found[name] = answer.upper().lstrip("0") or "0"
        return found

    def write(self, name: str, value: str) -> None:
        if b"OK" not in self._talk.ask(f"AT{name}{value}\r".encode(), rb"\r", 1):
            raise RefusedError(f"the radio refused AT{name}{value}")

    def save(self) -> None:
        if b"OK" not in self._talk.ask(b"ATWR\r", rb"\r", 2):
            raise CannotTalkError("the radio did not save (ATWR)")

    def leave(self) -> None:
        self._talk.ask(b"ATCN\r", rb"\r", 1)


class SbdDialect:
    """Always in command mode. `AT&V` shows `&K0`; `AT+SBDMTA?` answers `+SBDMTA:1`."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def enter(self) -> None:
        for _ in range(2):
            if b"OK" in self._talk.ask(b"AT\r", rb"OK\r", 1.5):
                return
        raise CannotTalkError(f"no OK to AT: the modem does not answer; {_BAUD_HINT}")

    def read(self, names: list[str]) -> dict[str, str]:
        found = {}
        for name in names:
            request = b"AT&V\r" if name.startswith("&") else f"AT{name}?\r".encode()
            answer = self._talk.ask(request, rb"OK\r|ERROR\r", 2).decode("ascii", "replace")
            match = re.search(re.escape(name) + r":?\s*(\d+)", answer)
            if match is not None:
                found[name] = match[1]
        return found

    def write(self, name: str, value: str) -> None:
        text = f"AT{name}{value}\r" if name.startswith("&") else f"AT{name}={value}\r"
        if b"OK" not in self._talk.ask(text.encode(), rb"OK\r|ERROR\r", 2):
            raise RefusedError(f"the modem refused {text.strip()}")

    def save(self) -> None:
        if b"OK" not in self._talk.ask(b"AT&W0\r", rb"OK\r|ERROR\r", 2):
            raise CannotTalkError("the modem did not save (AT&W0)")

    def leave(self) -> None:
        self._talk.drain()
