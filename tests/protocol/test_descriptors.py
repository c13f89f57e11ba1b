"""Laws of part D: all records come back, later versions are kept, damage is None."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gvc_protocol.descriptors import Descriptors, Detection, GlobalMotion, Telemetry, Thermal
from gvc_protocol.errors import LocalProtocolError
from tests.protocol.helpers import all_descriptors, descriptors

laws = settings(max_examples=150, deadline=None)


@given(all_descriptors)
@laws
def test_round_trip(d: Descriptors) -> None:
    assert Descriptors.unpack(d.pack()) == d


@given(st.binary(max_size=60))
@laws
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    read = Descriptors.unpack(raw)
    assert read is None or Descriptors.unpack(read.pack()) == read


@given(all_descriptors, st.data())
@laws
def test_a_cut_part_is_never_more_than_it_holds(d: Descriptors, data: st.DataObject) -> None:
    raw = d.pack()
    cut = Descriptors.unpack(raw[: data.draw(st.integers(0, len(raw) - 1))])
    # A cut between records leaves a shorter, valid D; the fixed fields then are the true ones.
    if cut is not None:
        assert (cut.width, cut.fps, cut.first_frame) == (d.width, d.fps, d.first_frame)


@given(all_descriptors, st.data())
@laws
def test_damage_never_raises(d: Descriptors, data: st.DataObject) -> None:
    raw = bytearray(d.pack())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read = Descriptors.unpack(bytes(raw))
    if read is not None:
        assert 1 <= read.width <= 16384 and read.frames <= 100_000 and 0 < read.fps <= 1000


def test_records_of_a_later_version_and_of_a_wrong_size_are_kept_aside() -> None:
    raw = descriptors().pack() + bytes([200, 2]) + b"hi" + bytes([1, 3]) + b"abc"
    read = Descriptors.unpack(raw)
    assert read is not None and read.unknown == ((200, b"hi"), (1, b"abc"))
    assert read.pack() == raw


@pytest.mark.parametrize(
    "change",
    [
        {"codec_id": 256}, {"bitstream_version": -1}, {"capture_us": -1}, {"capture_us": 1 << 64},
        {"width": 0}, {"height": 16385}, {"fps": Fraction(0)}, {"fps": Fraction(1001)},
        {"first_frame": -1}, {"first_frame": 1 << 63}, {"frames": 100_001}, {"total_frames": -1},
        {"weights_prefix": b"abc"}, {"global_motion": GlobalMotion(coefficients=(1,) * 7)},
        {"global_motion": GlobalMotion(coefficients=(1 << 15,) * 8)},
        {"telemetry": Telemetry(lat_e7=1 << 31, lon_e7=0, alt_cm=0)},
        {"detections": (Detection(class_id=1, score_pct=2, x=-1, y=0, width=0, height=0),)},
        {"unknown": ((256, b""),)}, {"unknown": ((9, b""),) * 65},
    ],
)  # fmt: skip
def test_a_field_out_of_range_is_our_own_error(change: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        replace(descriptors(), **change).pack()


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(1, 1000)])
def test_frame_rates_are_exact(rate: Fraction) -> None:
    read = Descriptors.unpack(descriptors(fps=rate).pack())
    assert read is not None and read.fps == rate


@pytest.mark.parametrize(
    "thermal",
    [
        Thermal(lo=5, hi=4), Thermal(lo=-1, hi=4), Thermal(lo=0, hi=65536),
        Thermal(lo=5, hi=9, knee=4), Thermal(lo=5, hi=9, knee=10),
    ],
)  # fmt: skip
def test_a_thermal_range_out_of_order_is_our_own_error(thermal: Thermal) -> None:
    with pytest.raises(LocalProtocolError):
        descriptors(thermal=thermal).pack()


def test_grey_levels_tell_counts_with_a_knee_and_without() -> None:
    even, bent = Thermal(lo=100, hi=610), Thermal(lo=100, hi=10_000, knee=548)
    assert [even.counts(level) for level in (0, 10, 255)] == [100, 120, 610]
    assert [bent.counts(level) for level in (0, 10, 224, 255)] == [100, 120, 548, 10_000]


@pytest.mark.parametrize(
    ("kind", "value"),
    [(6, "00"), (6, "0101"), (7, "00"), (8, "0002000100"), (8, "000100020200"), (9, ""), (9, "01"),
     (9, "0180"), (9, "010000")],
)  # fmt: skip
def test_a_known_record_of_impossible_content_is_kept_aside(kind: int, value: str) -> None:
    raw = bytes.fromhex(value)
    read = Descriptors.unpack(descriptors().pack() + bytes([kind, len(raw)]) + raw)
    assert read is not None and read.unknown == ((kind, raw),)


def test_the_ladder_reads_past_a_reason_of_a_later_version() -> None:
    read = Descriptors.unpack(descriptors().pack() + bytes([9, 3, 2, 0x85, 0x01]))
    assert read is not None and read.ladder == 2 and read.unknown == ()
