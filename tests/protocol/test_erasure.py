"""The erasure code against its text: any k of n, and the same bytes from every implementation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache, reduce
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.erasure import parity, restore
from gvc_protocol.errors import LocalProtocolError

laws = settings(max_examples=100, deadline=None)

# --- an implementation of its own, from WIRE.md section 2 and nothing else -------------------

EXP = [1]
while len(EXP) < 255:
    doubled = EXP[-1] << 1
    EXP.append(doubled ^ 0x11D if doubled > 255 else doubled)
LOG = {value: power for power, value in enumerate(EXP)}


def times(a: int, b: int) -> int:
    return EXP[(LOG[a] + LOG[b]) % 255] if a and b else 0


def vandermonde(i: int, k: int) -> list[int]:
    return [int(j == 0) if i == 0 else EXP[(i - 1) * j % 255] for j in range(k)]


@cache
def inverse_of_first(k: int) -> list[list[int]]:
    """Gauss-Jordan over the field on the first k rows."""
    rows = [vandermonde(i, k) + [int(i == j) for j in range(k)] for i in range(k)]
    for col in range(k):
        pivot = next(r for r in range(col, k) if rows[r][col])
        rows[col], rows[pivot] = rows[pivot], rows[col]
        scale = EXP[-LOG[rows[col][col]] % 255]
        rows[col] = [times(scale, v) for v in rows[col]]
        for r in range(k):
            if r != col and (factor := rows[r][col]):
                rows[r] = [v ^ times(factor, w) for v, w in zip(rows[r], rows[col], strict=True)]
    return [row[k:] for row in rows]


def independent_parity(data: Sequence[bytes], count: int) -> list[bytes]:
    k, inverse = len(data), inverse_of_first(len(data))
    out = []
    for i in range(k, k + count):
        v = vandermonde(i, k)
        row = [reduce(lambda a, b: a ^ b, map(times, v, col)) for col in zip(*inverse, strict=True)]
        symbol = bytearray(len(data[0]))
        for factor, source in zip(row, data, strict=True):
            symbol = bytearray(a ^ times(factor, b) for a, b in zip(symbol, source, strict=True))
        out.append(bytes(symbol))
    return out


# --- laws -------------------------------------------------------------------------------------

shapes = st.integers(1, 24).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, 24)))


@given(shapes, st.integers(1, 9), st.data())
@laws
def test_any_k_of_n_restore(shape: tuple[int, int], size: int, data: st.DataObject) -> None:
    k, extra = shape
    block = [data.draw(st.binary(min_size=size, max_size=size)) for _ in range(k)]
    symbols = dict(enumerate(block + parity(block, extra)))
    keep = data.draw(st.permutations(sorted(symbols)))[: data.draw(st.integers(k, k + extra))]
    assert restore({i: symbols[i] for i in keep}, k) == block


@pytest.mark.parametrize(("k", "extra"), [(1, 255), (128, 128), (200, 56), (255, 1), (256, 0)])
def test_largest_blocks(k: int, extra: int) -> None:
    block = [bytes([i, i * 7 % 256]) for i in range(k)]
    symbols = dict(enumerate(block + parity(block, extra)))
    for i in range(min(extra, k)):  # the worst case: as much data lost as parity can mend
        del symbols[i]
    assert restore(symbols, k) == block


@given(shapes, st.integers(1, 6), st.data())
@laws
def test_parity_is_the_document_s(shape: tuple[int, int], size: int, data: st.DataObject) -> None:
    k, extra = shape
    block = [data.draw(st.binary(min_size=size, max_size=size)) for _ in range(k)]
    assert parity(block, extra) == independent_parity(block, extra)


def test_more_parity_later_does_not_change_the_first() -> None:
    block = [bytes([i]) * 3 for i in range(10)]
    assert parity(block, 40)[:7] == parity(block, 7)


def test_zfec_and_zfex_give_the_same_bytes() -> None:
    zfec, zfex = pytest.importorskip("zfec"), pytest.importorskip("zfex")
    for k, size in itertools.product((1, 2, 5, 60, 128), (1, 7, 64)):
        block = [bytes((i * 31 + j * 17) % 256 for j in range(size)) for i in range(k)]
        wanted = tuple(range(k, min(256, 2 * k)))
        first = [bytes(s) for s in zfec.Encoder(k, 256).encode(block, wanted)]
        assert first == [bytes(s) for s in zfex.Encoder(k, 256).encode(block, wanted)]


@pytest.mark.parametrize("name", ["zfec", "zfex"])
def test_each_library_gives_what_the_sender_sends(name: str) -> None:
    pytest.importorskip(name)
    block = [bytes((i * 31 + j * 17) % 256 for j in range(9)) for i in range(20)]
    theirs = import_module(name).Encoder(20, 256).encode(block, tuple(range(20, 40)))
    assert [bytes(s) for s in theirs] == parity(block, 20)


@pytest.mark.parametrize(
    ("block", "count"),
    [([], 1), ([b"a"], 256), ([b"a"] * 257, 0), ([b"a", b"bc"], 1), ([b"a"], -1)],
)
def test_impossible_blocks_are_our_own_error(block: list[bytes], count: int) -> None:
    with pytest.raises(LocalProtocolError):
        parity(block, count)


@pytest.mark.parametrize("symbols", [{}, {0: b"a"}, {0: b"a", 1: b"bc"}])
def test_too_few_or_unequal_symbols_are_our_own_error(symbols: dict[int, bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        restore(symbols, 2)
