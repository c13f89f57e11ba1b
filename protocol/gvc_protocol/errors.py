"""Who broke the rules: the person at the keyboard, our own code, or nobody (the air is not an error).

A damaged datagram is an event (`gvc_protocol.events`), never one of these exceptions.
"""

from __future__ import annotations

__all__ = ["AwayError", "GvcError", "LocalProtocolError", "UserError"]


class GvcError(Exception):
    """Base of every exception that this project raises on purpose."""


class UserError(GvcError):
    """Bad input from the user. Its text is one line: what is wrong and what to do. Exit code 2."""


class AwayError(UserError):
    """A device or host is not there now and may come: who has time can wait for it."""


class LocalProtocolError(GvcError):
    """Our own side broke the protocol (a field out of range on send): a bug, not bad luck."""
