"""A bad link, seeded: Gilbert-Elliott losses, bit errors, slips, repeats and swaps. No I/O, no clock.

The same channel impairs captures (`gvc-base impair`) and stands inside the rehearsal's radio, so a
figure from one can be held against the other.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass

from gvc_protocol.errors import UserError

__all__ = ["Channel", "ChannelSpec", "ChannelStats", "GilbertElliott"]

MAX_LOSS = 0.95
_MAX_DELAY = 3
"A reordered datagram is overtaken by one to this many others."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """How bad. Probabilities are per datagram unless named otherwise.

    Raises:
        UserError: a value out of its range, or losses that cannot come in such short bursts.
    """

    loss: float = 0.0
    burst: float = 1.0
    """Mean length of a loss burst in datagrams.

    1 means that two in a row are never lost, which is kinder than chance: independent losses come in
    bursts of 1 / (1 - loss).
    """
    ber: float = 0.0
    "Probability that a bit is turned over."
    slip: float = 0.0
    "Probability, per byte, that it is dropped or a stray byte comes before it."
    dup: float = 0.0
    reorder: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        rows = (
            ("loss", self.loss, 0.0, MAX_LOSS), ("burst", self.burst, 1.0, 1e6),
            ("ber", self.ber, 0.0, 0.5), ("slip", self.slip, 0.0, 0.5),
            ("dup", self.dup, 0.0, 1.0), ("reorder", self.reorder, 0.0, 1.0),
        )  # fmt: skip
        for name, value, low, high in rows:
            if not (math.isfinite(value) and low <= value <= high):
                raise UserError(f"--{name} {value:g} is out of range; give {low:g} to {high:g}")
        _check_burst(self.loss, self.burst)


def _check_burst(loss: float, burst: float) -> None:
    """A good run has at least one datagram: loss / (1 - loss) is the shortest mean burst."""
    least = loss / (1 - loss)
    if burst < least - 1e-9:
        most = math.floor(burst / (1 + burst) * 1000) / 1000  # down: the advice must be feasible
        raise UserError(
            f"--loss {loss:g} cannot come in bursts of {burst:g}; give --burst "
            f"{math.ceil(least * 100) / 100:g} or more, or --loss {most:g} or less"
        )


@dataclass(slots=True)
class ChannelStats:
    """What the channel did, in datagrams (bytes where named so)."""

    sent: int = 0
    lost: int = 0
    damaged: int = 0
    duplicated: int = 0
    reordered: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


class GilbertElliott:
    """Two states; in the bad one every datagram is lost (Gilbert 1960, Elliott 1963).

    With p = P(good -> bad) and r = P(bad -> good): mean burst 1/r, share lost p/(p + r).

    Raises:
        UserError: losses that cannot come in such short bursts (p would be above 1).
    """

    def __init__(self, loss: float, burst: float, dice: random.Random) -> None:
        _check_burst(loss, burst)
        self._to_good = 1 / burst
        self._to_bad = loss * self._to_good / (1 - loss)
        self._dice = dice
        # Begin in the stationary state, or every short run would be kinder than the spec says.
        self._bad = dice.random() < loss

    def lost(self) -> bool:
        """Whether the next datagram is lost."""
        lost = self._bad
        leave = self._to_good if self._bad else self._to_bad
        if self._dice.random() < leave:
            self._bad = not self._bad
        return lost


class Channel:
    """One direction of the link; the same seed and input give the same output."""

    def __init__(self, spec: ChannelSpec, *, lane: str = "") -> None:
        """`lane` names a direction: each lane has dice of its own from the same seed."""
        self._spec = spec
        # One stream of dice an effect: turning one on leaves the losses of the others as they were.
        self._dice = {
            name: random.Random("/".join(filter(None, (str(spec.seed), lane, name))))
            for name in ("loss", "ber", "slip", "dup", "reorder")
        }
        self._fate = GilbertElliott(spec.loss, spec.burst, self._dice["loss"])
        self._held: list[tuple[int, bytes]] = []
        self.stats = ChannelStats()

    def opposite(self) -> Channel:
        """A channel as bad as this one for the other direction, with other dice."""
        return Channel(self._spec, lane="opposite")

    @property
    def holding(self) -> bool:
        """True while a datagram waits to be overtaken; `flush` lets it go."""
        return bool(self._held)

    def pass_datagram(self, data: bytes) -> list[bytes]:
        """What the far end gets now: nothing, this, this twice, or earlier ones with it."""
        self.stats.sent += 1
        self.stats.bytes_in += len(data)
        copies = [] if self._fate.lost() else self._damaged_copies(data)
        if not copies:
            self.stats.lost += 1
        released = self._release()
        if copies and self._dice["reorder"].random() < self._spec.reorder:
            self.stats.reordered += 1
            wait = self._dice["reorder"].randint(1, _MAX_DELAY)
            self._held += [(wait, copy) for copy in copies]
            copies = []
        return self._out(copies + released)

    def flush(self) -> list[bytes]:
        """What still waits to be overtaken, at the end of the stream."""
        held, self._held = [data for _, data in self._held], []
        return self._out(held)

    def _release(self) -> list[bytes]:
        self._held = [(wait - 1, data) for wait, data in self._held]
        due = [data for wait, data in self._held if wait <= 0]
        self._held = [(wait, data) for wait, data in self._held if wait > 0]
        return due

    def _out(self, items: list[bytes]) -> list[bytes]:
        self.stats.bytes_out += sum(len(item) for item in items)
        return items

    def _damaged_copies(self, data: bytes) -> list[bytes]:
        count = 1
        if self._dice["dup"].random() < self._spec.dup:
            self.stats.duplicated += 1
            count = 2
        copies = []
        for _ in range(count):
            got = self._slip(self._bit_errors(data))
            self.stats.damaged += got != data
            copies.append(got)
        return [copy for copy in copies if copy]

    def _bit_errors(self, data: bytes) -> bytes:
        rate = self._spec.ber
        if rate <= 0:
            return data
        dice, out = self._dice["ber"], bytearray(data)
        # Jump from error to error: the gaps of independent errors are geometric.
        at = _gap(dice, rate)
        while at < 8 * len(out):
            out[at // 8] ^= 1 << at % 8
            at += 1 + _gap(dice, rate)
        return bytes(out)

    def _slip(self, data: bytes) -> bytes:
        rate = self._spec.slip
        if rate <= 0:
            return data
        dice, out, start = self._dice["slip"], bytearray(), 0
        at = _gap(dice, rate)
        while at < len(data):
            out += data[start:at]
            if dice.random() < 0.5:
                start = at + 1
            else:
                out.append(dice.randrange(256))
                start = at
            at += 1 + _gap(dice, rate)
        return bytes(out + data[start:])


def _gap(dice: random.Random, rate: float) -> int:
    """Number of unharmed positions before the next hit, geometric with this rate."""
    # log1p: below 1e-16, 1 - rate is 1. The cap: a gap that outlasts any datagram needs no figure.
    return int(min(math.log1p(-dice.random()) / math.log1p(-rate), 1e18))
