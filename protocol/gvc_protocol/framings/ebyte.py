"""Ebyte E22 and E32 configuration registers, by their user manuals; always 9600 8N1.

E22: C1 start length          asks, answered C1 start length values
     C0 start length values   writes for good, answered C1 start length values
E32: C1 C1 C1                 asks, answered C0 ADDH ADDL SPED CHAN OPTION
     C0 ADDH ADDL SPED CHAN OPTION   writes for good, answered by the same or OK
"""

from __future__ import annotations

__all__ = [
    "E22_BYTES", "E32_BYTES", "e22_decode", "e22_encode", "e22_read", "e22_write", "e32_decode",
    "e32_encode", "e32_read", "e32_write",
]  # fmt: skip

E22_BYTES, E32_BYTES = 7, 5
_BAUD = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200")
_E22_AIR = ("300", "1200", "2400", "4800", "9600", "19200", "38400", "62500")
_E22_SUBPACKET = ("240", "128", "64", "32")
_E22_POWER = ("22", "17", "13", "10")
_E32_AIR = ("300", "1200", "2400", "4800", "9600", "19200", "19200", "19200")
_E32_POWER = ("20", "17", "14", "10")

e22_read = b"\xc1\x00\x07"
e32_read = b"\xc1\xc1\xc1"


def e22_write(registers: bytes) -> bytes:
    """Write registers 00..06 for good."""
    return b"\xc0\x00" + bytes([len(registers)]) + registers


def e32_write(registers: bytes) -> bytes:
    """Write ADDH, ADDL, SPED, CHAN and OPTION for good."""
    return b"\xc0" + registers


def e22_decode(r: bytes) -> dict[str, str]:
    """Registers 00..06 as settings by name."""
    return {
        "ADDRESS": str(r[0] << 8 | r[1]), "NETID": str(r[2]), "UART": _BAUD[r[3] >> 5],
        "AIR_RATE": _E22_AIR[r[3] & 7], "SUBPACKET": _E22_SUBPACKET[r[4] >> 6],
        "POWER": _E22_POWER[r[4] & 3], "CHANNEL": str(r[5]),
        "MODE": "fixed" if r[6] & 0x40 else "transparent",
        "RSSI_BYTE": "on" if r[6] & 0x80 else "off",
    }  # fmt: skip


def e22_encode(r: bytes, name: str, value: str) -> bytes | None:
    """The registers with one setting changed, all other bits kept; None when it cannot be."""
    out = bytearray(r)
    try:
        if name == "UART":
            out[3] = out[3] & 0x1F | _BAUD.index(value) << 5
        elif name == "AIR_RATE":
            out[3] = out[3] & 0xF8 | _E22_AIR.index(value)
        elif name == "SUBPACKET":
            out[4] = out[4] & 0x3F | _E22_SUBPACKET.index(value) << 6
        elif name == "POWER":
            out[4] = out[4] & 0xFC | _E22_POWER.index(value)
        elif name == "CHANNEL":
            out[5] = int(value)
        elif name == "MODE":
            out[6] = out[6] & 0xBF | ("transparent", "fixed").index(value) << 6
        elif name == "RSSI_BYTE":
            out[6] = out[6] & 0x7F | ("off", "on").index(value) << 7
        else:
            return None
    except ValueError:
        return None
    return bytes(out)


def e32_decode(r: bytes) -> dict[str, str]:
    """ADDH, ADDL, SPED, CHAN, OPTION as settings by name."""
    return {
        "ADDRESS": str(r[0] << 8 | r[1]), "UART": _BAUD[r[2] >> 3 & 7],
        "AIR_RATE": _E32_AIR[r[2] & 7], "CHANNEL": str(r[3] & 0x7F), "POWER": _E32_POWER[r[4] & 3],
        "MODE": "fixed" if r[4] & 0x80 else "transparent", "FEC": "on" if r[4] & 4 else "off",
    }  # fmt: skip


def e32_encode(r: bytes, name: str, value: str) -> bytes | None:
    """The registers with one setting changed, all other bits kept; None when it cannot be."""
    out = bytearray(r)
    try:
        if name == "UART":
            out[2] = out[2] & 0xC7 | _BAUD.index(value) << 3
        elif name == "AIR_RATE":
            out[2] = out[2] & 0xF8 | _E32_AIR.index(value)
        elif name == "CHANNEL":
            out[3] = int(value)
        elif name == "POWER":
            out[4] = out[4] & 0xFC | _E32_POWER.index(value)
        elif name == "MODE":
            out[4] = out[4] & 0x7F | ("transparent", "fixed").index(value) << 7
        elif name == "FEC":
            out[4] = out[4] & 0xFB | ("off", "on").index(value) << 2
        else:
            return None
    except ValueError:
        return None
    return bytes(out)
