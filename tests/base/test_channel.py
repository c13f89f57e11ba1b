"""The impairment channel: its laws over many packets, and what it refuses."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_base.channel import Channel, ChannelSpec, GilbertElliott
from gvc_protocol.errors import UserError

PACKETS = 200_000


def through(spec: ChannelSpec, packets: list[bytes]) -> list[bytes]:
    channel = Channel(spec)
    return [out for p in packets for out in channel.pass_datagram(p)] + channel.flush()


def numbered(count: int, size: int = 8) -> list[bytes]:
    return [i.to_bytes(8, "big").ljust(size, b"\0") for i in range(count)]


@pytest.mark.parametrize(
    ("loss", "burst"), [(0.01, 1), (0.1, 1), (0.1, 3), (0.2, 8), (0.3, 1.5), (0.5, 1), (0.95, 19)]
)
def test_gilbert_elliott_laws(loss: float, burst: float) -> None:
    """Share lost and mean burst, each within 5 standard errors of 200 000 packets.

    Bad runs are geometric with mean `burst`, good runs with mean `burst (1 - loss) / loss`; the share
    lost is that of a renewal process, whose variance follows from those of the two run lengths.
    """
    model = GilbertElliott(loss, burst, random.Random(7))
    fates = [model.lost() for _ in range(PACKETS)]
    runs = [len(list(group)) for lost, group in groupby(fates) if lost]
    good = burst * (1 - loss) / loss
    cycles = PACKETS / (burst + good)
    var_bad, var_good = burst * (burst - 1), good * (good - 1)
    spread = math.sqrt(((1 - loss) ** 2 * var_bad + loss**2 * var_good) / cycles) / (burst + good)
    assert abs(sum(fates) / PACKETS - loss) <= 5 * spread + 1e-4
    assert abs(sum(runs) / len(runs) - burst) <= 5 * math.sqrt(var_bad / cycles) + 1e-3


def test_no_loss_never_loses() -> None:
    model = GilbertElliott(0.0, 3.0, random.Random(1))
    assert not any(model.lost() for _ in range(PACKETS))


def test_a_run_begins_in_the_stationary_state() -> None:
    """The first packet is lost as often as any: short rehearsals are not flattered."""
    first = sum(GilbertElliott(0.3, 8, random.Random(seed)).lost() for seed in range(4000))
    assert abs(first / 4000 - 0.3) <= 5 * math.sqrt(0.3 * 0.7 / 4000)


@pytest.mark.parametrize(("loss", "burst"), [(0.6, 1.0), (0.95, 18.9), (0.9, 3)])
def test_infeasible_bursts_are_refused_with_what_is_feasible(loss: float, burst: float) -> None:
    makers: list[Any] = [
        lambda b, share: ChannelSpec(loss=share, burst=b),
        lambda b, share: GilbertElliott(share, b, random.Random(1)),
    ]
    for make in makers:
        with pytest.raises(UserError, match="--burst") as caught:
            make(burst, loss)
        words = str(caught.value).split()
        make(float(words[words.index("or") - 1]), loss)
        make(burst, float(words[-3]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", -0.1), ("loss", 0.96), ("loss", math.nan), ("burst", 0.9), ("burst", math.inf),
        ("ber", 0.6), ("ber", -1e-9), ("slip", 0.51), ("dup", 1.1), ("reorder", -0.5),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(UserError, match=f"--{name} .* out of range; give .* to .*"):
        ChannelSpec(**changed)


def test_a_perfect_channel_changes_nothing() -> None:
    packets = numbered(1000)
    assert through(ChannelSpec(), packets) == packets


SPECS = st.builds(
    ChannelSpec,
    loss=st.floats(0, 0.5), burst=st.floats(1, 8), ber=st.sampled_from([0, 1e-300, 1e-17, 1e-3, 0.5]),
    slip=st.sampled_from([0, 1e-18, 0.01, 0.5]), dup=st.floats(0, 1), reorder=st.floats(0, 1),
    seed=st.integers(),
)  # fmt: skip


@given(spec=SPECS, packets=st.lists(st.binary(max_size=40), max_size=60))
@settings(max_examples=150, deadline=None)
def test_same_seed_same_air_and_the_books_balance(spec: ChannelSpec, packets: list[bytes]) -> None:
    out = through(spec, packets)
    assert through(spec, packets) == out
    channel = Channel(spec)
    got = [o for p in packets for o in channel.pass_datagram(p)] + channel.flush()
    stats = channel.stats
    assert not channel.holding and channel.flush() == []
    assert stats.sent == len(packets)
    assert stats.bytes_in == sum(map(len, packets)) and stats.bytes_out == sum(map(len, got))
    assert len(got) <= stats.sent - stats.lost + stats.duplicated
    assert b"" not in got


@pytest.mark.parametrize(("rate", "count"), [(1e-3, 2000), (0.3, 100)])
def test_bit_errors_come_at_their_rate(rate: float, count: int) -> None:
    size = 250
    out = through(ChannelSpec(ber=rate, seed=2), [bytes(size)] * count)
    bits = 8 * size * count
    flipped = sum(int.from_bytes(p, "big").bit_count() for p in out)
    assert {len(p) for p in out} == {size}
    assert abs(flipped / bits - rate) <= 5 * math.sqrt(rate / bits)


def test_slips_delete_and_insert_at_their_rate() -> None:
    rate, size, count = 0.01, 200, 2000
    channel = Channel(ChannelSpec(slip=rate, seed=2))
    out = [p for _ in range(count) for p in channel.pass_datagram(bytes(size))]
    changes = Counter(len(p) - size for p in out)
    total = size * count
    # Deletions and insertions are equally likely: the mean length stays, single slips change it by one.
    drift = sum(n * c for n, c in changes.items())
    assert abs(drift) <= 5 * math.sqrt(rate * total)
    assert changes[1] > 0 and changes[-1] > 0
    untouched = 1 - channel.stats.damaged / count
    assert abs(untouched - (1 - rate) ** size) <= 5 * math.sqrt(0.25 / count)


def test_duplicates_and_swaps_come_at_their_rates() -> None:
    packets = numbered(20_000)
    twice = Counter(through(ChannelSpec(dup=0.1, seed=4), packets))
    assert set(twice) == set(packets) and set(twice.values()) == {1, 2}
    share = sum(n == 2 for n in twice.values()) / len(packets)
    assert abs(share - 0.1) <= 5 * math.sqrt(0.09 / len(packets))

    channel = Channel(ChannelSpec(reorder=0.1, seed=4))
    out = [o for p in packets for o in channel.pass_datagram(p)] + channel.flush()
    assert sorted(out) == packets and out != packets
    late = [int.from_bytes(p, "big") for p in out]
    # Nobody arrives after more than 3 others that were sent later, besides those held at the same time.
    assert max(position - number for position, number in enumerate(late)) <= 3
    assert abs(channel.stats.reordered / len(packets) - 0.1) <= 5 * math.sqrt(0.09 / len(packets))


def test_one_effect_leaves_the_losses_of_another_run_alone() -> None:
    """Same seed with and without bit errors: the same packets are lost, so runs can be compared."""
    packets = numbered(3000, size=30)
    plain = through(ChannelSpec(loss=0.2, burst=3, seed=9), packets)
    noisy_channel = Channel(ChannelSpec(loss=0.2, burst=3, ber=1e-3, slip=1e-3, dup=0.2, seed=9))
    noisy = [noisy_channel.pass_datagram(p) for p in packets]
    assert [bool(out) for out in noisy] == [p in set(plain) for p in packets]


def test_the_opposite_direction_is_as_bad_but_not_the_same() -> None:
    one = Channel(ChannelSpec(loss=0.3, burst=2, seed=5))
    other = one.opposite()
    fates = [(bool(one.pass_datagram(b"x")), bool(other.pass_datagram(b"x"))) for _ in range(5000)]
    assert abs(sum(b for _, b in fates) / 5000 - 0.7) < 0.05
    assert len(set(fates)) == 4
