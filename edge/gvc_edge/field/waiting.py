"""Waiting at power-on for what is not there yet: a camera that boots slower, a radio not plugged in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from gvc_profiles.links.backoff import Backoff
from gvc_protocol.errors import AwayError

__all__ = ["StoppedWaiting", "wait_for"]

T = TypeVar("T")


class StoppedWaiting(Exception):  # noqa: N818 - no error: the operator had enough
    """The operator ended the run before everything was there."""


def wait_for(
    what: str, opening: Callable[[], T], *, stop: threading.Event, say: Callable[[str], None],
    on_away: Callable[[str], None] = lambda _: None, backoff: Backoff | None = None,
) -> T:  # fmt: skip
    """Open something; while it is away, say so once for each reason and try again.

    Args:
        what: `camera` or `radio`, for the operator.
        on_away: gets the reason at each try that failed, and an empty one when it is there.

    Raises:
        StoppedWaiting: `stop` was set.
        UserError: what no waiting mends.
    """
    waits, told = backoff or Backoff(first_s=0.5, most_s=4.0), ""
    while not stop.is_set():
        try:
            opened = opening()
        except AwayError as error:
            on_away(str(error))
            if str(error) != told:
                told = str(error)
                say(f"waiting for the {what}: {told}")
            stop.wait(waits.wait_s())
            continue
        on_away("")
        if told:
            say(f"the {what} is there")
        return opened
    raise StoppedWaiting
