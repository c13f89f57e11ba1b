"""Units through real modems: whole above the knee, degraded at it, and never a wrong byte believed.

Marks are those of a run with these seeds, with room for other versions of the modems.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest

from tests.peers.flight import Flight, fly
from tests.peers.minimodem_air import compare_bytes, minimodem_missing, through_air
from tests.peers.modem_cases import CASES, Case
from tests.peers.proxy_model import Recorder, byte_channel, packet_channel

BY_NAME = {case.name: case for case in CASES}
TOLERANCE = 0.3
"Of the mean share of units that are whole, and of those with K: a few units, a few seeds."


@dataclass(frozen=True, slots=True)
class Mark:
    """At this SNR at least so many units are whole, and at most so many."""

    case: str
    snr_db: float
    least: float
    most: float = 1.0


MARKS = (
    Mark("AX.25 1200", 1, 1.0), Mark("AX.25 1200", -3, 0.0, 0.2),
    Mark("FX.25 1200", -2, 1.0), Mark("FX.25 1200", -5, 0.0, 0.2),
    Mark("datac0 AWGN", 0, 1.0), Mark("datac0 AWGN", -4, 0.0, 0.3),
    Mark("datac0 fading", 10, 0.75), Mark("datac0 fading", -2, 0.0, 0.6),
    Mark("datac3 AWGN", -1, 1.0), Mark("datac3 AWGN", -5, 0.0, 0.3),
    Mark("datac1 AWGN", 3, 1.0), Mark("datac1 AWGN", -1, 0.0, 0.3),
    Mark("UART FSK 1200 8N1", 1, 1.0), Mark("UART FSK 1200 8N1", -2, 0.0, 0.4),
)  # fmt: skip


def ready(name: str) -> Case:
    case = BY_NAME[name]
    if why := case.missing():
        pytest.skip(why)
    return case


@pytest.mark.parametrize("mark", MARKS, ids=lambda m: f"{m.case} {m.snr_db:g} dB")
def test_units_at_this_snr(mark: Mark) -> None:
    case = ready(mark.case)
    if not mark.least:
        # Below the knee half as many show it: a modem that finds no frame searches all the time.
        case = replace(case, units=(case.units + 1) // 2)
    flight = case.fly(mark.snr_db)
    print(f"{mark.case} at {mark.snr_db:g} dB: {flight.line()}")
    assert flight.wrong == 0
    assert mark.least <= flight.share(flight.whole) <= mark.most


def test_minimodem_hands_over_wrong_bytes_and_drops_some() -> None:
    if why := minimodem_missing():
        pytest.skip(why)
    sent = random.Random(1).randbytes(4000)
    measured = compare_bytes(sent, through_air(sent, -1, 1)[4:])
    assert 20 <= measured.wrong <= 200 and 1 <= measured.deleted <= 60


def mean(flights: list[Flight]) -> tuple[float, float]:
    """(share whole, share with K) over several flights."""
    units = sum(f.units for f in flights)
    return sum(f.whole for f in flights) / units, sum(f.stills for f in flights) / units


@pytest.mark.parametrize(
    ("name", "snr_db", "seeds"),
    [
        ("AX.25 1200", -1, 2),
        # Twelve units: two flights of three told nothing (K 0.83 of six through the modem).
        ("datac0 fading", 2, 4),
        ("UART FSK 1200 8N1", 0, 2),
    ],
)  # fmt: skip
def test_the_proxy_set_to_a_modems_losses_treats_units_alike(
    name: str, snr_db: float, seeds: int
) -> None:
    case = ready(name)
    params, units = case.params(), case.made()
    real, simulated, told = [], [], ""
    for seed in range(1, seeds + 1):
        modem = Recorder(case.modem(snr_db, seed))
        real.append(fly(params, units, modem))
        # Dice of its own for each flight: the same few would weigh the proxy by their luck.
        for again in range(100 * seed, 100 * seed + (3 if params.framing.stream else 8)):
            if params.framing.stream:
                spec, channel = byte_channel(b"".join(modem.sent), b"".join(modem.got), again)
                told = f"ber {spec.ber:.1e} slip {spec.slip:.1e}"
            else:
                spec, channel = packet_channel(modem.fates, again)
                told = f"loss {spec.loss:.2f} burst {spec.burst:.1f}"
            simulated.append(fly(params, units, channel))
    (whole, stills), (s_whole, s_stills) = mean(real), mean(simulated)
    print(f"{name} at {snr_db:g} dB, {told}: whole {whole:.2f} modem, {s_whole:.2f} proxy; "
          f"K {stills:.2f} modem, {s_stills:.2f} proxy")  # fmt: skip
    assert not any(f.wrong for f in real + simulated)
    assert abs(whole - s_whole) <= TOLERANCE
    assert abs(stills - s_stills) <= TOLERANCE
