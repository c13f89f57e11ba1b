"""Microchip RN2483 text commands (DS40001784): `radio tx <hex>`, `radio rx 0`, and their answers.

A `radio tx` is answered twice: `ok` at once, `radio_tx_ok` or `radio_err` when the packet has left.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RnPacket", "RnWord", "rn_parse", "rn_transmit"]

_WORDS = {"ok", "invalid_param", "busy", "radio_tx_ok", "radio_err"}


@dataclass(frozen=True, slots=True)
class RnPacket:
    """A packet that was received."""

    data: bytes


@dataclass(frozen=True, slots=True)
class RnWord:
    """Any other answer: `ok`, `busy`, ..., a number, or the banner after a restart."""

    text: str

    @property
    def restarted(self) -> bool:
        """True for the banner: all radio settings are at their defaults again."""
        return self.text.startswith("RN2483 ")

    @property
    def known(self) -> bool:
        """True for the words of the radio commands."""
        return self.text in _WORDS


def rn_transmit(data: bytes) -> bytes:
    """The command that sends one packet of 1..255 bytes."""
    return b"radio tx " + data.hex().upper().encode() + b"\r\n"


def rn_parse(line: str) -> RnPacket | RnWord:
    """One line of the module."""
    head, _, text = line.strip().partition("  ")
    if head == "radio_rx":
        digits = text.strip()
        if len(digits) % 2 == 0 and 2 <= len(digits) <= 510:
            try:
                return RnPacket(bytes.fromhex(digits))
            except ValueError:
                pass
    return RnWord(line.strip()[:80])
