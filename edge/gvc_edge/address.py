"""Addresses of cameras as they may be shown."""

from __future__ import annotations

__all__ = ["without_login"]


def without_login(url: str) -> str:
    """An address as it may be shown and logged: no user name and no password."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"
