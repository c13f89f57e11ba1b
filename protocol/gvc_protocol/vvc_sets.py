"""VVC parameter sets on the wire: 260 bytes that hardly change, in about 30.

VVenC writes the reference lists of its whole picture hierarchy into every stream's SPS. They are the
same in each unit, but shifted by some bits where the size takes more or fewer of them. So the sets
travel as raw DEFLATE against a dictionary that holds typical sets at all eight bit positions.
"""

from __future__ import annotations

import zlib

__all__ = ["MAX_SETS_BYTES", "pack_sets", "unpack_sets"]

MAX_SETS_BYTES = 4096

_TYPICAL = (
    # 424x240, preset medium
    "000001007900ad02208000008035203c46a007374dba6469149bce13656304082700131010410420610842c44216"
    "4842d4217a3d5a92f249a92c9116a22f1126a22452444992224d46588842c9085a842f0849a8424524212648425d"
    "49084848884245110849888425d44421228c8424c64212ea3210a0416108203110819220d4804cc104105840082c"
    "40202102010150810080d21020101620402022080405904020242010320202210101642020244040d02024810382"
    "062010b204088408164204091020d040920838419022d082484388684b91ca8105840082c4020210201015081008"
    "1ffa5d97f9c90000030001000003000a1880000001008100001a901e22241fb020",
    # the same, preset fast
    "000001007900ab02208000008035203c46a00737a2134527bce13656304082700131010410420610842c44216484"
    "2d4217a3d5a92f249a92c9116a22f1126a22452444992224d46588842c9085a842f0849a8424524212648425d490"
    "84848884245110849888425d44421228c8424c64212ea3210a0416108203110819220d4804cc104105840082c402"
    "02102010150810080d21020101620402022080405904020242010320202210101642020244040d02024810382062"
    "010b204088408164204091020d040920838419022d082484388684b91ca8105840082c40202102010150810081f7"
    "a5d8ace48000000300800000050c40000001008100001a901e22241fb020",
)


def _dictionary() -> bytes:
    out = b""
    for text in _TYPICAL:
        sets = bytes.fromhex(text)
        whole = int.from_bytes(sets, "big")
        for shift in range(7, -1, -1):
            # The plain form last: DEFLATE's shortest distances are to the end.
            out += (whole << shift).to_bytes(len(sets) + 1, "big")
    return out


_DICTIONARY = _dictionary()


def pack_sets(sets: bytes) -> bytes:
    """Parameter sets in Annex B to what travels."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    return packer.compress(sets) + packer.flush()


def unpack_sets(data: bytes) -> bytes | None:
    """Inverse of `pack_sets`; None when the bytes are damaged or stand for more than 4096."""
    reader = zlib.decompressobj(-15, _DICTIONARY)
    try:
        sets = reader.decompress(data, MAX_SETS_BYTES + 1)
    except zlib.error:
        return None
    return sets if reader.eof and len(sets) <= MAX_SETS_BYTES else None
