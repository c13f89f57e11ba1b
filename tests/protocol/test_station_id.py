"""The call sign in clear: readable, told apart from data, never late, never without a reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gvc_protocol.framings.ax25 import Callsign
from gvc_protocol.framings.station import IdClock, id_packet, read_id

calls = st.builds(Callsign, st.from_regex(r"[A-Z0-9]{1,6}", fullmatch=True), st.integers(0, 15))


@given(calls, st.integers(0, 30))
def test_round_trip_in_the_smallest_frame(call: Callsign, filling: int) -> None:
    packet = id_packet(call)
    assert len(packet) <= 14 and packet.isascii() and packet.decode() == f"DE {call}"
    assert read_id(packet + bytes(filling)) == str(call)


@given(st.binary(max_size=64))
def test_any_bytes(packet: bytes) -> None:
    call = read_id(packet)
    assert call is None or packet.rstrip(b"\0").startswith(b"DE ")


def test_a_datagram_of_ours_is_none() -> None:
    assert read_id(b"GV\x10\0" + bytes(20)) is None and read_id(b"DE dl1abc") is None


@given(st.lists(st.tuples(st.floats(0, 700), st.floats(0.1, 10)), min_size=1, max_size=60))
def test_no_burst_ends_later_than_the_law_allows(bursts: list[tuple[float, float]]) -> None:
    """Pauses and bursts of any length: from one call sign's end to the next at most 600 s, while
    something is sent; and it is owed exactly when something was sent after it."""
    clock, now, told = IdClock(600), 0.0, None
    for pause, burst in bursts:
        now += pause
        if clock.due(now, 20):  # each takes 10 s at most
            now += 1
            clock.told(now)
            told = now
            assert not clock.owed()
        now += burst
        clock.sent()
        assert told is not None and now - told <= 600 and clock.owed()
