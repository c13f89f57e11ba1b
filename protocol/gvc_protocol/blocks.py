"""Parts of a unit to blocks of symbols and back (WIRE.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gvc_protocol import erasure
from gvc_protocol.errors import LocalProtocolError

__all__ = [
    "MAX_DATA_SYMBOLS",
    "Block",
    "BlockAssembly",
    "make_block",
    "parity_count",
    "plan_air_bytes",
]

PREFIX_BYTES = 4
MAX_PART_BYTES = (1 << 24) - 1
"Three bytes of offset."
MAX_BLOCKS = 256
MAX_DATA_SYMBOLS = 128
"Bound of k on send: leaves room for 100 % parity, and keeps decoding cheap."
_HALVES = {0: 8, 1: 4, 2: 2, 3: 8}
"How much of the redundancy P a part gets, in halves of it: unequal protection."
_JOINED_HALVES = 3
"The same for a D that holds K and F."
_SURE = 8
"Parts of this weight have two parity symbols at least."


def parity_count(part: int, k: int, fec_percent: float, *, joined: bool = False) -> int:
    """Parity symbols of a block with k data symbols; part as in `WirePart`, P in percent."""
    if fec_percent <= 0:
        return 0
    # Integer ceiling in hundredths of a percent: the edge and the rate control must agree exactly.
    hundredths = round(fec_percent * 100)
    halves = _JOINED_HALVES if joined else _HALVES[part]
    wanted = -(-k * halves * hundredths // 20_000)
    if _HALVES[part] == _SURE:
        wanted = max(2, wanted)
    return min(wanted, erasure.MAX_SYMBOLS - k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A closed block: k data symbols and its parity, all of one length."""

    part: int
    block_no: int
    last: bool
    data: tuple[bytes, ...]
    parity: tuple[bytes, ...]
    joined: bool = False


def _shape(size: int, max_symbol_bytes: int, least_k: int = 1) -> tuple[int, int]:
    """(k, symbol length) for a block that carries `size` bytes of its part."""
    content = size + PREFIX_BYTES
    k = max(-(-content // max_symbol_bytes), min(least_k, content))
    return k, -(-content // k)


def block_capacity(max_symbol_bytes: int) -> int:
    """Bytes of a part that one block takes at most."""
    return MAX_DATA_SYMBOLS * max_symbol_bytes - PREFIX_BYTES


def make_block(
    *, part: int, block_no: int, last: bool, offset: int, data: bytes,
    max_symbol_bytes: int, fec_percent: float, joined: bool = False, least_k: int = 1,
) -> Block:  # fmt: skip
    """Cut `data`, which lies at `offset` of its part, into symbols and add parity.

    Args:
        joined: the part is D and holds K and F of its unit.
        least_k: data symbols that it is cut into at least.

    Raises:
        LocalProtocolError: the part is longer than 16 MiB or 256 blocks, or the block too long.
    """
    if block_no >= MAX_BLOCKS:
        raise LocalProtocolError(f"a part takes {MAX_BLOCKS} blocks, this is one more")
    if offset + len(data) > MAX_PART_BYTES or len(data) > block_capacity(max_symbol_bytes):
        raise LocalProtocolError(f"block of {len(data)} bytes at {offset} does not fit")
    k, size = _shape(len(data), max_symbol_bytes, least_k)
    pad = k * size - len(data) - PREFIX_BYTES
    content = offset.to_bytes(3, "big") + bytes([pad]) + data + bytes(pad)
    symbols = tuple(content[i : i + size] for i in range(0, len(content), size))
    extra = erasure.parity(symbols, parity_count(part, k, fec_percent, joined=joined))
    return Block(
        part=part, block_no=block_no, last=last, data=symbols, parity=tuple(extra), joined=joined
    )


def plan_air_bytes(
    part: int,
    size: int,
    *,
    max_symbol_bytes: int,
    fec_percent: float,
    joined: bool = False,
    least_k: int = 1,
) -> list[tuple[int, int]]:
    """What a part of `size` bytes will cost: (symbol count, symbol length) of each of its blocks."""
    plan = []
    capacity = block_capacity(max_symbol_bytes)
    for at in range(0, max(size, 1), capacity):
        k, length = _shape(min(capacity, size - at), max_symbol_bytes, least_k)
        plan.append((k + parity_count(part, k, fec_percent, joined=joined), length))
    return plan


@dataclass(slots=True)
class BlockAssembly:
    """What came of one block. `add` until `content` is there, or salvage what did come."""

    k: int
    symbol_bytes: int
    symbols: dict[int, bytes] = field(default_factory=dict)
    offset: int = -1
    content: bytes | None = None
    repaired: int = 0
    "Data symbols that the parity made good."

    def add(self, symbol: int, payload: bytes) -> bool:
        """Take one symbol; True when it completed the block."""
        if self.content is not None or symbol in self.symbols:
            return False
        self.symbols[symbol] = payload
        if len(self.symbols) < self.k:
            return False
        self.repaired = self.k - sum(1 for i in self.symbols if i < self.k)
        whole = b"".join(erasure.restore(self.symbols, self.k))
        self.symbols.clear()
        pad = whole[3] if len(whole) >= PREFIX_BYTES else len(whole)
        if PREFIX_BYTES + pad > len(whole):
            # Only a forger or a bug sends this: a right CRC over an impossible block.
            self.content, self.offset = b"", -1
            return False
        self.offset = int.from_bytes(whole[:3], "big")
        self.content = whole[PREFIX_BYTES : len(whole) - pad]
        return True

    @property
    def head(self) -> tuple[int, int] | None:
        """(offset in the part, pad bytes) as an incomplete block tells them, or None."""
        count = -(-PREFIX_BYTES // self.symbol_bytes)
        if count > self.k or not all(i in self.symbols for i in range(count)):
            return None
        first = b"".join(self.symbols[i] for i in range(count))
        if PREFIX_BYTES + first[3] > self.k * self.symbol_bytes:
            return None
        return int.from_bytes(first[:3], "big"), first[3]

    @property
    def end(self) -> int | None:
        """Where the block after this one starts in the part, or None while nothing tells."""
        if self.content is not None:
            return self.offset + len(self.content) if self.offset >= 0 else None
        if (head := self.head) is None:
            return None
        return head[0] + self.k * self.symbol_bytes - PREFIX_BYTES - head[1]

    def salvage(self, offset_hint: int | None) -> list[tuple[int, bytes]]:
        """(offset in the part, bytes) runs of an incomplete block's data symbols.

        Args:
            offset_hint: where the block starts, if its neighbours tell; its own head overrules it.
        """
        if self.content is not None:
            return [(self.offset, self.content)] if self.offset >= 0 else []
        if (head := self.head) is not None:
            offset, end = head[0], self.k * self.symbol_bytes - head[1]
        elif offset_hint is not None:
            offset, end = offset_hint, self._surely_data()
        else:
            return []
        runs: list[tuple[int, bytes]] = []
        for i in sorted(i for i in self.symbols if i < self.k):
            start = i * self.symbol_bytes
            data = self.symbols[i][: max(0, end - start)]
            if start < PREFIX_BYTES:
                data, start = data[PREFIX_BYTES - start :], PREFIX_BYTES
            at = offset + start - PREFIX_BYTES
            if runs and runs[-1][0] + len(runs[-1][1]) == at:
                runs[-1] = (runs[-1][0], runs[-1][1] + data)
            elif data:
                runs.append((at, data))
        return runs

    def _surely_data(self) -> int:
        """End of what cannot be padding when the head is lost: pad is below k bytes, all zero."""
        for i in sorted((i for i in self.symbols if i < self.k), reverse=True):
            if used := len(self.symbols[i].rstrip(b"\0")):
                return max(i * self.symbol_bytes + used, self.k * (self.symbol_bytes - 1) + 1)
        return self.k * (self.symbol_bytes - 1) + 1
