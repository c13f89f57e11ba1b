"""The text after `--link`, taken apart: `SCHEME:DEVICE?name=value` or `SCHEME://HOST:PORT?...`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from gvc_protocol.errors import UserError

__all__ = ["LinkUrl"]

_T = TypeVar("_T", int, float, str)


@dataclass(frozen=True, slots=True)
class LinkUrl:
    """One link URL. `text` is what the operator wrote."""

    text: str

    @property
    def scheme(self) -> str:
        """What stands before the first colon, without `+tcp` or `+udp`."""
        return self.text.partition(":")[0].partition("+")[0]

    @property
    def carrier(self) -> str:
        """`tcp` or `udp` where the scheme names one, else empty: a serial device."""
        return self.text.partition(":")[0].partition("+")[2]

    def target(self) -> str:
        """The device, or whatever stands between scheme and options.

        Raises:
            UserError: nothing stands there.
        """
        target = self.text.partition(":")[2].partition("?")[0]
        if not target:
            raise UserError(f"link {self.text!r} names no device; write {self.scheme}:/dev/ttyUSB0")
        return target

    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            UserError: one of them is missing or the port is out of range.
        """
        try:
            parts = urlsplit(self.text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UserError(f"cannot open link {self.text}: a port is 1..65535") from None
        if not host or port is None:
            scheme = self.text.partition(":")[0]
            raise UserError(f"link {self.text!r} is not of the form {scheme}://HOST:PORT")
        return host, port

    def options(self, known: dict[str, _T]) -> dict[str, _T]:
        """The options behind `?`, each of the type of its default in `known`.

        Raises:
            UserError: an option that this link does not have, or a value of the wrong kind.
        """
        made = dict(known)
        for name, text in parse_qsl(self.text.partition("?")[2], keep_blank_values=True):
            if name not in known:
                may = f"it has {', '.join(known)}" if known else "it has none"
                raise UserError(f"link {self.text!r}: unknown option {name!r}; {may}")
            kind = type(known[name])
            try:
                made[name] = kind(text)
            except ValueError:
                raise UserError(
                    f"link {self.text!r}: option {name} = {text!r} must be a number"
                ) from None
        return made
