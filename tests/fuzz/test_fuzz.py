"""A short run of the fuzzer in the suite; `make fuzz N=10000000` is the long one."""

from __future__ import annotations

import random

from gvc_protocol.wire import Datagram, RejectReason
from tests.fuzz.mutate import Mutator, fix_crcs
from tests.fuzz.run import fuzz
from tests.fuzz.seeds import load_corpus
from tests.fuzz.targets import all_targets


def test_no_parser_raises_nor_breaks_its_law() -> None:
    report = fuzz(all_targets(), 25_000, seed=7, progress=False)
    assert report.failures == []
    assert report.growth_mib < 8


def test_the_same_seed_draws_the_same_inputs() -> None:
    seeds = load_corpus()["stream"]
    one, other = Mutator(3, seeds), Mutator(3, seeds)
    assert [one.draw() for _ in range(200)] == [other.draw() for _ in range(200)]


def test_the_repair_takes_mutations_past_the_crc() -> None:
    (seed, *_) = load_corpus()["datagram"]
    dice, read = random.Random(1), 0
    for _ in range(300):
        data = bytearray(seed)
        data[dice.randrange(5, len(data))] ^= 1 << dice.randrange(8)
        assert Datagram.unpack(bytes(data)) == RejectReason.BAD_CRC
        read += isinstance(Datagram.unpack(fix_crcs(bytes(data))), Datagram)
    assert read == 300
