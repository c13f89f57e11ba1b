"""Throughput of the erasure code and of Reed-Solomon on one core, to be held against the link rate."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from reedsolo import RSCodec

from gvc_protocol import erasure
from gvc_protocol.framing import RS_PARITY

__all__ = ["fec_table"]

_SYMBOL_BYTES = 200
_SECONDS = 0.5


def _kbytes_s(work: Callable[[], object], size: int) -> float:
    """kB of payload a second of this process's own time: the machine's other work does not count."""
    work()
    begun, runs = time.process_time(), 0
    while (spent := time.process_time() - begun) < _SECONDS:
        work()
        runs += 1
    return runs * size / spent / 1000


def fec_table() -> str:
    """The table in Markdown."""
    dice = random.Random(1)
    lines = ["| code | encode kB/s | decode kB/s | with |", "|---|---|---|---|"]
    for k, parity in ((8, 4), (32, 16), (128, 64)):
        data = [dice.randbytes(_SYMBOL_BYTES) for _ in range(k)]
        extra = erasure.parity(data, parity)
        kept = dict(enumerate(data[parity:], parity)) | {k + i: p for i, p in enumerate(extra)}
        size = k * _SYMBOL_BYTES
        encode = _kbytes_s(lambda d=data, p=parity: erasure.parity(d, p), size)  # type: ignore[misc]
        decode = _kbytes_s(lambda s=kept, n=k: erasure.restore(s, n), size)  # type: ignore[misc]
        lines.append(f"| erasure {k} + {parity} | {encode:.0f} | {decode:.0f} | {parity} lost |")
    codec, word = RSCodec(RS_PARITY), dice.randbytes(223)
    coded = bytes(codec.encode(word))
    encode = _kbytes_s(lambda: codec.encode(word), len(word))
    for errors in (1, 8, 16):
        damaged = bytes(b ^ 0x55 if i < errors else b for i, b in enumerate(coded))
        decode = _kbytes_s(lambda d=damaged: codec.decode(d), len(word))  # type: ignore[misc]
        lines.append(
            f"| Reed-Solomon 255, 223 | {encode:.0f} | {decode:.0f} | {errors} wrong bytes |"
        )
    return "\n".join(lines)
