"""Packet-erasure code: any k of the symbols restore a block (WIRE.md, section 2).

The field arithmetic is zfec's. zfex, its SIMD fork, has the same generator matrix and the aarch64
wheel that zfec lacks; `tests/vectors/erasure.json` holds whichever is installed to the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

from gvc_protocol.errors import LocalProtocolError

__all__ = ["MAX_SYMBOLS", "parity", "restore"]

MAX_SYMBOLS = 256
"Data and parity of one block together: the field has 256 elements."


def _library() -> Any:
    try:
        return import_module("zfec")
    except ImportError:
        return import_module("zfex")


_FEC = _library()


@lru_cache(maxsize=64)
def _encoder(k: int) -> Any:
    # Built for all 256 rows: a row depends on its index and k only, so one encoder serves any parity.
    return _FEC.Encoder(k, MAX_SYMBOLS)


@lru_cache(maxsize=64)
def _decoder(k: int) -> Any:
    return _FEC.Decoder(k, MAX_SYMBOLS)


def parity(data: Sequence[bytes], count: int) -> list[bytes]:
    """Parity symbols k .. k+count-1 for k data symbols of one length.

    Raises:
        LocalProtocolError: no data, unequal lengths, or more than 256 symbols in all.
    """
    k = len(data)
    if not 1 <= k <= MAX_SYMBOLS or not 0 <= count <= MAX_SYMBOLS - k:
        raise LocalProtocolError(f"a block takes 1..256 symbols, not {k} + {count}")
    if len({len(s) for s in data}) != 1:
        raise LocalProtocolError("symbols of a block must have one length")
    if count == 0:
        return []
    return [bytes(s) for s in _encoder(k).encode(list(data), tuple(range(k, k + count)))]


def restore(symbols: Mapping[int, bytes], k: int) -> list[bytes]:
    """The k data symbols from any k symbols, keyed by symbol index 0..255.

    Raises:
        LocalProtocolError: fewer than k symbols, or unequal lengths.
    """
    if len(symbols) < k or len({len(s) for s in symbols.values()}) != 1:
        raise LocalProtocolError(f"{len(symbols)} symbols cannot restore {k}")
    if all(i in symbols for i in range(k)):
        return [symbols[i] for i in range(k)]
    chosen = sorted(symbols)[:k]
    return [bytes(s) for s in _decoder(k).decode([symbols[i] for i in chosen], chosen)]
