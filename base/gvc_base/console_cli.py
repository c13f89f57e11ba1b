"""Where the web console of a command is served: the same rules for a live mission and a recorded one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.console.view import StationView

__all__ = ["ConsoleAddress", "ConsoleOption", "TokenOption"]

_DEFAULT = "127.0.0.1:8765"

ConsoleOption = Annotated[
    str | None,
    typer.Option(
        "--console", metavar="HOST:PORT",
        help=f"Where the web console is; default: {_DEFAULT}. Beyond loopback with a token.",
    ),
]  # fmt: skip
TokenOption = Annotated[
    str | None,
    typer.Option("--token", help="A browser must give it; default beyond loopback: made."),
]


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Address and token of a console."""

    host: str
    port: int
    token: str | None
    asked: bool
    "The operator named the address: then it is that one, or an error."

    @classmethod
    def of(cls, address: str | None, token: str | None) -> ConsoleAddress:
        """From HOST:PORT; None for the usual one.

        Raises:
            UserError: it is no address.
        """
        host, colon, port = (address or _DEFAULT).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise UserError(f"--console {address} is no HOST:PORT; try {_DEFAULT}")
        return cls(host, int(port), token, address is not None)

    def serve(
        self, stack: ExitStack, view: StationView, say: Callable[[str], None], *,
        needed: bool = False,
    ) -> None:  # fmt: skip
        """Serve the console until `stack` closes; without an address of the operator's a taken port
        is no reason to stop.

        Args:
            needed: there is nothing to do without it.

        Raises:
            UserError: the address that was asked for cannot be had, or what serves is not installed.
        """
        try:
            from gvc_base.console.app import is_loopback, serve
        except ModuleNotFoundError as error:
            line = f"no web console: {error.name} is not installed; pip install 'gvc-field[base]'"
            if self.asked or needed:
                raise UserError(line) from None
            say(line)
            return
        token = self.token
        if token is None and not is_loopback(self.host):
            token = secrets.token_urlsafe(12)
        try:
            server = serve(view, host=self.host, port=self.port, token=token, say=say)
        except UserError as error:
            if self.asked:
                raise
            say(f"{error}; taking a free one")
            server = serve(view, host=self.host, port=0, token=token, say=say)
        stack.callback(server.close)
        say(f"console on {server.url}" + (f", token {token}" if token else ""))
