"""A seeded channel for tests: packets get lost in bursts, come twice, or come late."""

from __future__ import annotations

import random

__all__ = ["ErasureChannel", "shuffle_within"]

Timed = tuple[int, bytes]


class ErasureChannel:
    """Gilbert-Elliott: in the bad state every packet is lost, in the good state none.

    Args:
        loss: long-run share of lost packets, 0..1.
        burst: mean length of a run of losses, packets.
    """

    def __init__(self, *, loss: float, burst: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._leave = 1 / burst
        self._enter = self._leave * loss / (1 - loss)
        self._bad = self._random.random() < loss

    def loses(self) -> bool:
        """Whether the next packet is lost."""
        lost = self._bad
        change = self._leave if self._bad else self._enter
        self._bad ^= self._random.random() < change
        return lost

    def pass_on(self, packets: list[Timed]) -> list[Timed]:
        """The packets that arrive."""
        return [packet for packet in packets if not self.loses()]


def shuffle_within(packets: list[Timed], reach: int, seed: int) -> list[Timed]:
    """Move each packet by up to `reach` places; times stay where they were, so they still rise."""
    dice = random.Random(seed)
    order = sorted(range(len(packets)), key=lambda i: i + dice.uniform(0, reach))
    return [(packets[place][0], packets[i][1]) for place, i in enumerate(order)]
