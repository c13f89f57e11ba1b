"""One part (D, K, F) or one message as it grows on the receiving side: blocks, and what they join to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from gvc_protocol.blocks import BlockAssembly
from gvc_protocol.codec import PartData
from gvc_protocol.events import LinkCounters
from gvc_protocol.wire import Datagram

__all__ = ["Filed", "PartAssembly"]

_SYMBOL_COST, _BLOCK_COST = 128, 512
"Memory that a symbol and a block take besides the payload: a forger sends payloads of one byte."


class Filed(Enum):
    """What became of one datagram."""

    TAKEN = auto()
    DUPLICATE = auto()
    LATE = auto()
    CONFLICT = auto()


@dataclass(slots=True)
class PartAssembly:
    """The blocks that came so far."""

    blocks: dict[int, BlockAssembly] = field(default_factory=dict)
    last_block: int | None = None
    held_bytes: int = 0
    "Memory that it takes, about."

    def add(self, datagram: Datagram, counters: LinkCounters) -> Filed:
        """File a datagram under its block: TAKEN or CONFLICT."""
        size = len(datagram.payload)
        fresh = BlockAssembly(k=datagram.k, symbol_bytes=size)
        block = self.blocks.setdefault(datagram.block_no, fresh)
        if (block.k, block.symbol_bytes) != (datagram.k, size):
            return Filed.CONFLICT
        if datagram.last:
            self.last_block = max(datagram.block_no, self.last_block or 0)
        self.held_bytes += size + _SYMBOL_COST + (_BLOCK_COST if block is fresh else 0)
        if block.add(datagram.symbol, datagram.payload):
            counters.blocks_restored += 1
            counters.repaired_symbols += block.repaired
        return Filed.TAKEN

    @property
    def complete(self) -> bool:
        """Whether every block of the part is restored."""
        if self.last_block is None:
            return False
        if len(self.blocks) != self.last_block + 1:
            return False
        return all(block.offset >= 0 for block in self.blocks.values())

    def data(self, *, sent: bool) -> PartData:
        """Everything that can be placed, in order."""
        ranges: list[tuple[int, bytes]] = []
        hint: int | None = 0
        previous, sound = -1, self.complete
        for number in sorted(self.blocks):
            block = self.blocks[number]
            if number != previous + 1:
                hint = None
            sound = sound and block.offset == hint  # blocks that do not join are no whole part
            for at, chunk in block.salvage(hint):
                _append_run(ranges, at, chunk)
            hint, previous = block.end, number
        return PartData(ranges=tuple(ranges), complete=sound, sent=sent)


def _append_run(ranges: list[tuple[int, bytes]], at: int, chunk: bytes) -> None:
    """Join or add a run; a run that overlaps what is there is a contradiction and is left out."""
    end = ranges[-1][0] + len(ranges[-1][1]) if ranges else 0
    if ranges and at == end:
        ranges[-1] = (ranges[-1][0], ranges[-1][1] + chunk)
    elif at >= end and chunk:
        ranges.append((at, chunk))
