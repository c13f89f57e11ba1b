"""`gvc-base post ...`: the rows of archives to a command post, and the post itself."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gvc_base.choices import SecondsOption
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from gvc_base.post.forwarder import Forwarder
    from gvc_base.post.server import PostServer
    from gvc_base.station.base import LiveBase

__all__ = [
    "PostCaOption", "PostCredsOption", "PostNameOption", "PostOption", "PostPlan", "post_app",
    "post_target",
]  # fmt: skip

post_app = typer.Typer(
    name="post", no_args_is_help=True,
    help="Feed a command post with what bases received, over a NATS server.",
)  # fmt: skip

PostOption = Annotated[
    str | None, typer.Option("--post", help="Command post: nats://HOST:PORT or tls://HOST:PORT.")
]
PostCredsOption = Annotated[
    Path | None,
    typer.Option("--post-creds", help="File: NATS .creds, nkey seed, or one line USER:PASSWORD."),
]
PostCaOption = Annotated[
    Path | None, typer.Option("--post-ca", help="Certificates that a tls:// server's come from.")
]
PostNameOption = Annotated[
    str | None, typer.Option("--post-name", help="This base's name there; default: its host name.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def post_target(
    url: str, creds: Path | None, ca: Path | None, name: str | None
) -> tuple[PostServer, str]:
    """The server and this station's name there.

    Raises:
        UserError: one of them is not as it has to be.
    """
    from gvc_base.post.copies import station_name
    from gvc_base.post.server import parse_server

    own = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().partition(".")[0])[:32]
    return parse_server(url, creds, ca), station_name(name or own or "base")


class PostPlan:
    """What a base that runs has to do with a command post: nothing, or a sender beside it."""

    def __init__(
        self, url: str | None, creds: Path | None, ca: Path | None, name: str | None,
        archive: Path, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Raises UserError where an option is not as it has to be."""
        from gvc_base.post.forwarder import Forwarder

        self._forwarder: Forwarder | None = None
        if url is None:
            if creds is not None or ca is not None or name is not None:
                raise UserError("--post-creds, --post-ca and --post-name go with --post URL")
            return
        server, station = post_target(url, creds, ca, name)
        self._forwarder = Forwarder(archive, server, station, say)
        self._say, self._line = say, f"sending all that is archived to {server.url} as {station}"

    def before_archive(self, stack: ExitStack) -> None:
        """Call it before the archive is opened: so the sender ends after it is closed, and signed."""
        if self._forwarder is not None:
            stack.callback(self._forwarder.finish)

    def start(self, base: LiveBase) -> None:
        """Begin to send; what goes wrong stands among the base's warnings."""
        if self._forwarder is not None:
            self._forwarder.start()
            base.add_warning(self._forwarder.warning)
            self._say(self._line)


@post_app.command()
def send(
    archive: Annotated[Path, typer.Argument(help="Mission archive (.db).")],
    to: Annotated[str, typer.Option("--to", help="nats://HOST:PORT or tls://HOST:PORT.")],
    creds: PostCredsOption = None,
    ca: PostCaOption = None,
    name: PostNameOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="From the first row, whatever the server has.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what a base adds, until ctrl-c.")
    ] = False,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Send an archive's rows to the command post's server; what is there already is not sent again.

    A link that is down is waited for. Stopped in the middle, the next call goes on where it was.

    Example: gvc-base post send flood.db --to nats://10.0.0.1:4222 --post-name ridge
    """
    from gvc_base.post.sender import Sender

    server, station = post_target(to, creds, ca, name)
    sender = Sender(archive, server, station, say=_say, again=again)
    ended = _run(sender.run(follow=follow), seconds)
    if as_json:
        print(json.dumps({"complete": ended, **asdict(sender.status)}))
    if not ended and not follow:
        raise UserError(
            f"not all of {archive} is at {server.url} yet; nothing is lost, run the same again"
        )
    if not as_json:
        status = sender.status
        print(
            f"{archive}: at {server.url} as {station}; {status.rows} rows in {status.messages} "
            f"messages were new, {status.bytes} bytes"
        )


@post_app.command()
def receive(
    source: Annotated[str, typer.Option("--from", help="nats://HOST:PORT or tls://HOST:PORT.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the copies.")],
    creds: PostCredsOption = None,
    ca: PostCaOption = None,
    station: Annotated[
        str | None, typer.Option("--station", help="Only this base; default: all.")
    ] = None,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Keep a copy of every base's archive, row for row the same: OUT/STATION/MISSION-ID.db.

    The copies open with verify, replay, decode and any SQLite tool, also while they grow.

    Example: gvc-base post receive --from nats://127.0.0.1:4222 --out missions
    """
    from gvc_base.post.receiver import PostReceiver
    from gvc_base.post.server import parse_server

    server = parse_server(source, creds, ca)
    receiver = PostReceiver(server, out, say=_say, station=station)
    try:
        _say(f"receiving from {server.url} into {out}; ctrl-c ends it")
        _run(receiver.run(), seconds)
    finally:
        receiver.close()
    status = receiver.status
    print(
        json.dumps(asdict(status)) if as_json
        else f"{out}: {status.rows} rows were new, {status.known} were there already"
    )  # fmt: skip


def _run(work: Coroutine[Any, Any, object], seconds: float | None) -> bool:
    """Whether it came to its end, before ctrl-c and before so many seconds."""
    import asyncio

    async def limited() -> bool:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(seconds):
                await work
                return True
        return False

    return asyncio.run(limited())


def _say(line: str) -> None:
    print(f"gvc-base: {line}", file=sys.stderr, flush=True)
