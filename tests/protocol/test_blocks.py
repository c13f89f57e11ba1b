"""Laws of blocks: any k symbols give the bytes back, fewer give some of them, truly placed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.blocks import (
    MAX_DATA_SYMBOLS,
    Block,
    BlockAssembly,
    block_capacity,
    make_block,
    parity_count,
    plan_air_bytes,
)
from gvc_protocol.errors import LocalProtocolError

laws = settings(max_examples=150, deadline=None)
# Zeros are the hard case: they look like padding.
contents = st.binary(max_size=400) | st.integers(0, 400).map(bytes)


def block_of(data: bytes, s_max: int, fec: float = 100, offset: int = 0, part: int = 2) -> Block:
    return make_block(
        part=part, block_no=0, last=True, offset=offset, data=data,
        max_symbol_bytes=s_max, fec_percent=fec,
    )  # fmt: skip


def assembly(block: Block) -> BlockAssembly:
    return BlockAssembly(k=len(block.data), symbol_bytes=len(block.data[0]))


@given(contents, st.integers(1, 90), st.integers(0, 1 << 23), st.data())
@laws
def test_any_k_symbols_give_the_bytes_back(
    data: bytes, s_max: int, offset: int, draw: st.DataObject
) -> None:
    data = data[: block_capacity(s_max)]
    block = block_of(data, s_max, offset=offset)
    symbols = dict(enumerate(block.data + block.parity))
    got, k = assembly(block), len(block.data)
    order = draw.draw(st.permutations(sorted(symbols)))[:k]
    done = [got.add(i, symbols[i]) for i in order]
    assert done == [False] * (k - 1) + [True]
    assert (got.offset, got.content) == (offset, data)
    assert got.repaired == sum(i >= k for i in order)
    assert not got.add(0, b"too late") and got.salvage(None) == [(offset, data)]
    assert got.end == offset + len(data)


@given(contents, st.integers(1, 90), st.integers(0, 1 << 23), st.booleans(), st.data())
@laws
def test_salvage_gives_only_true_bytes_at_true_places(
    data: bytes, s_max: int, offset: int, hinted: bool, draw: st.DataObject
) -> None:
    data = data[: block_capacity(s_max)]
    block = block_of(data, s_max, offset=offset)
    symbols = dict(enumerate(block.data + block.parity))
    got, k = assembly(block), len(block.data)
    for i in draw.draw(st.permutations(sorted(symbols)))[: draw.draw(st.integers(0, k - 1))]:
        got.add(i, symbols[i])
    end = offset - 1
    for at, run in got.salvage(offset if hinted else None):
        assert at > end and run and data[at - offset : at - offset + len(run)] == run
        end = at + len(run)
    assert got.end in (None, offset + len(data))
    if got.head is not None:
        kept = sum(len(run) for _, run in got.salvage(None))
        lost = (k - sum(i < k for i in got.symbols)) * len(block.data[0])
        assert kept >= len(data) - lost  # nothing that came is thrown away


@given(
    st.integers(1, 256), st.integers(1, 3) | st.integers(4, 40), st.none() | st.integers(0, 99),
    st.data(),
)  # fmt: skip
@laws
def test_hostile_symbols_never_raise(
    k: int, size: int, hint: int | None, draw: st.DataObject
) -> None:
    got = BlockAssembly(k=k, symbol_bytes=size)
    symbols = st.binary(min_size=size, max_size=size)
    for i in draw.draw(st.permutations(range(256)))[: draw.draw(st.sampled_from((1, 3, 9, 256)))]:
        got.add(i, draw.draw(symbols) if i < 4 else bytes([i]) * size)
    end = -1
    for at, run in got.salvage(hint):
        assert at >= end
        end = at + len(run)
    assert got.end is None or got.end >= 0


def test_an_impossible_padding_is_no_content() -> None:
    got = BlockAssembly(k=1, symbol_bytes=5)
    assert not got.add(0, bytes([0, 0, 0, 200, 1]))
    assert got.offset == -1 and got.salvage(0) == [] and got.end is None
    short = BlockAssembly(k=1, symbol_bytes=2)
    assert not short.add(0, b"ab") and short.salvage(0) == []


@given(st.integers(0, 3), st.integers(1, 256), st.floats(0, 400))
@laws
def test_parity_is_as_the_document_says(part: int, k: int, percent: float) -> None:
    count = parity_count(part, k, percent)
    hundredths = round(percent * 100)
    weight = {0: 4, 1: 2, 2: 1, 3: 4}[part]
    wanted = -(-weight * k * hundredths // 10_000)
    if percent == 0:
        assert count == 0
    else:
        assert count == min(256 - k, max(wanted, 2 if weight == 4 else 0))
    assert k + count <= 256


def test_unequal_protection() -> None:
    assert [parity_count(part, 10, 25) for part in (0, 1, 2)] == [10, 5, 3]
    assert [parity_count(part, 1, 10) for part in (0, 1, 2)] == [2, 1, 1]
    assert parity_count(0, 1, 0) == 0


@given(st.integers(0, 30_000), st.integers(1, 500), st.integers(0, 2), st.floats(0, 200))
@laws
def test_the_plan_is_what_is_made(size: int, s_max: int, part: int, fec: float) -> None:
    plan = plan_air_bytes(part, size, max_symbol_bytes=s_max, fec_percent=fec)
    made, at = [], 0
    while True:
        step = min(block_capacity(s_max), size - at)
        block = block_of(bytes(step), s_max, fec, at, part)
        made.append((len(block.data) + len(block.parity), len(block.data[0])))
        at += step
        if at >= size:
            break
    assert plan == made
    assert all(length <= s_max for _, length in plan)


@given(st.integers(0, 12_000), st.integers(1, 100))
@laws
def test_padding_is_below_k(size: int, s_max: int) -> None:
    size = min(size, block_capacity(s_max))
    block = block_of(bytes(size), s_max, fec=0)
    assert len(block.data) <= MAX_DATA_SYMBOLS
    assert 0 <= len(b"".join(block.data)) - size - 4 < len(block.data)


@pytest.mark.parametrize(
    "change", [{"offset": 1 << 24}, {"offset": (1 << 24) - 3}, {"block_no": 256}]
)
def test_what_does_not_fit_a_part_is_our_own_error(change: dict[str, int]) -> None:
    fields: dict[str, object] = {
        "part": 1, "block_no": 0, "last": True, "offset": 0, "data": b"data",
        "max_symbol_bytes": 20, "fec_percent": 0,
    }  # fmt: skip
    with pytest.raises(LocalProtocolError):
        make_block(**{**fields, **change})


def test_a_block_too_long_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        block_of(bytes(block_capacity(10) + 1), 10)
