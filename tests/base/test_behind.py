"""Work on a thread of its own: in order, never far behind, and no failure is lost."""

from __future__ import annotations

import threading
import time

import pytest

from gvc_base.behind import Behind


def test_everything_is_done_in_order_when_it_is_left() -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.001)
        done.append(number)

    with Behind(slow) as later:
        for number in range(40):
            later(number)
            assert number - len(done) <= 9, "what waits holds pictures"
    assert done == list(range(40))


def test_its_failure_reaches_the_caller_and_the_rest_is_dropped() -> None:
    done: list[int] = []

    def fails(number: int) -> None:
        if number == 3:
            raise OSError("disk full")
        done.append(number)

    with pytest.raises(OSError, match="disk full"), Behind(fails) as later:
        for number in range(1000):
            later(number)
    assert 3 not in done and len(done) < 20


def test_a_failure_at_the_end_is_not_swallowed() -> None:
    def fails() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Behind(fails) as later:
        later()


def test_where_the_caller_fails_what_waits_is_dropped() -> None:
    free, done = threading.Event(), []

    def waits(number: int) -> None:
        free.wait(5)
        done.append(number)

    with pytest.raises(ValueError, match="no unit"), Behind(waits) as later:
        for number in range(5):
            later(number)
        free.set()
        raise ValueError("no unit")
    assert len(done) <= 5
    assert not [t for t in threading.enumerate() if t.name.startswith("behind")]
