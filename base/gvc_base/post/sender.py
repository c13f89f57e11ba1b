"""Sends an archive's rows to the server, each once, in their order, however often the link is cut.

The server itself remembers how far we came: the last message of the archive's subject holds the cursor
behind it. So there is no file beside the archive that could be older or newer than the truth. A message
goes out with the number of the one that it follows (`Nats-Expected-Last-Subject-Sequence`) and with a
name made of its rows (`Nats-Msg-Id`): sent again after a cut it is taken for the same, sent by two
programs it is taken from one, and after a server lost its newest messages it is refused, and we look
again from where the server is.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvc_base.archive_schema import connect_reader, explain, real_path
from gvc_base.post.message import pack, unpack
from gvc_base.post.rows import (
    Batch,
    Cursor,
    PostError,
    last_datagram,
    link_at,
    read_batch,
    with_chain,
)
from gvc_base.post.server import (
    STREAM,
    PostServer,
    connected,
    heed_cancel,
    stream_of,
    subject_of,
    words,
)
from gvc_protocol.errors import UserError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

__all__ = ["PostStatus", "Sender"]

_BUDGET_BYTES = 64 << 10
"Of rows in a message: eight seconds of a 64 kbit/s link, which a cut in the middle costs once more."
_HEAD_BYTES = 1024
_ACK_S = 30.0
_LOOK_S = 1.0
_LOOK_ANYWAY_S = 5.0
_BACKOFF_S = (1.0, 2.0, 5.0)
_TELL_AGAIN_S = 60.0
_WRONG_LAST = 10071


@dataclass(slots=True)
class PostStatus:
    """Where the sender is. Written by its thread, read by any."""

    problem: str = ""
    "What keeps it from sending, on one line; empty while all is well."
    since: float = 0.0
    "Unix time when the problem began."
    waiting: int = 0
    "Datagrams that are in the archive and not at the server."
    rows: int = 0
    "Rows of all tables that the server has acknowledged in this run."
    messages: int = 0
    bytes: int = 0
    "Of messages, as acknowledged."


class Sender:
    """One archive to one server. Lives in one asyncio loop."""

    def __init__(
        self, path: Path, server: PostServer, station: str, *, say: Callable[[str], None],
        again: bool = False,
    ) -> None:  # fmt: skip
        """Args:
        again: from the first row, whatever the server has.
        """
        self._path, self._server, self._station = real_path(path), server, station
        self._say, self._again = say, again
        self.status = PostStatus()
        self._follow, self._finishing, self._wake = True, False, asyncio.Event()
        self._cursor: Cursor | None = None
        self._sequence = 0
        self._pending: tuple[Batch, bytes] | None = None
        self._archive_id = ""
        self._seen: tuple[Any, ...] = ()
        self._looked = self._told = 0.0
        self._direct = False
        self._forgotten = False
        "The server takes a message for a duplicate of one that it has lost."

    def finish(self) -> None:
        """Return from `run` when all that is in the archive now is sent, or at the next trouble."""
        self._follow, self._finishing = False, True
        self._wake.set()

    async def run(self, *, follow: bool) -> bool:
        """Send what is there; with `follow`, go on with what comes, until `finish` or cancelled.

        A server that is not there is told in one line and tried again, for ever.

        Returns:
            Whether all of the archive is at the server; False only after `finish`.

        Raises:
            UserError: the archive cannot be read, or is not one that can be sent.
        """
        self._follow, tries = follow, 0
        self._identify()
        while True:
            heed_cancel()
            done = self.status.messages
            try:
                async with connected(self._server, f"gvc-base {self._station}") as client:
                    await self._serve(client)
                    return True
            except (PostError, UserError) as error:
                if isinstance(error, UserError) and not follow:
                    raise
                self._trouble(str(error))
            except sqlite3.Error as error:
                self._trouble(f"archive {self._path} cannot be read: {explain(error)}")
            except Exception as error:  # the mission goes on whatever the server or its client does
                self._trouble(words(error))
            if self._finishing:
                return False
            tries = 0 if self.status.messages > done else tries + 1
            with suppress(UserError, sqlite3.Error):
                self._count()
            await self._sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])

    def _identify(self) -> None:
        with closing(connect_reader(self._path).conn) as conn:
            try:
                row = conn.execute("SELECT value FROM meta WHERE key = 'archive_id'").fetchone()
            except sqlite3.Error as error:
                raise UserError(f"cannot read archive {self._path}: {explain(error)}") from None
        if row is None:
            raise UserError(
                f"archive {self._path} is of a version that had no hash chain; opened by a base for "
                "writing it gets one, and can be sent then"
            )
        self._archive_id = str(row[0])

    async def _serve(self, client: Client) -> None:
        js = client.jetstream(domain=self._server.domain, timeout=_ACK_S)
        self._direct = bool((await stream_of(js)).config.allow_direct)
        if self._cursor is None:
            await self._find_place(js)
        while True:
            heed_cancel()
            if self._pending is None:
                self._pending = self._next(client.max_payload)
            if self._pending is not None:
                await self._publish(js, *self._pending)
                self._well()
                continue
            self._well()
            if not self._follow:
                return
            await self._wait(client)

    def _next(self, max_payload: int) -> tuple[Batch, bytes] | None:
        assert self._cursor is not None
        self._seen, self._looked = self._stamp(), time.monotonic()
        budget = min(_BUDGET_BYTES, max_payload // 2)
        with closing(connect_reader(self._path).conn) as conn:
            while True:
                batch = read_batch(conn, self._cursor, name=self._path.stem, budget_bytes=budget)
                if batch is None:
                    self.status.waiting = 0
                    return None
                data = pack(batch)
                if len(data) + _HEAD_BYTES <= max_payload:
                    self.status.waiting = last_datagram(conn) - self._cursor.at("datagrams")
                    return batch, data
                if batch.rows == 1:
                    raise PostError(
                        f"a row of {len(data)} bytes is more than its max_payload of {max_payload}; "
                        "raise that in its configuration"
                    )
                budget //= 2

    async def _publish(self, js: JetStreamContext, batch: Batch, data: bytes) -> None:
        from nats.js.errors import BadRequestError

        own = f"-{self._sequence}" if self._again or self._forgotten else ""
        name = sha256(data).hexdigest()[:32] + own
        headers = {
            "Nats-Msg-Id": f"{batch.archive_id}-{name}",
            "Nats-Expected-Last-Subject-Sequence": str(self._sequence),
        }
        subject = subject_of(self._station, self._archive_id)
        try:
            ack = await js.publish(subject, data, stream=STREAM, headers=headers)
        except BadRequestError as error:
            if error.err_code != _WRONG_LAST:
                raise
            # Another program sent them, or our own message came through and its answer did not.
            self._pending, self._again = None, False
            await self._find_place(js)
            return
        self._pending, self._sequence, self._cursor = None, ack.seq, batch.after
        if ack.duplicate:
            # An earlier try of ours, whose answer did not come; or one that the server remembers and has
            # not any more, as after a restore: then this batch must go again under another name.
            self._again = False
            await self._find_place(js)
            self._forgotten = self._cursor != batch.after
            if self._forgotten:
                return
        self.status.waiting -= batch.after.at("datagrams") - batch.before.at("datagrams")
        self.status.rows += batch.rows
        self.status.messages += 1
        self.status.bytes += len(data)

    async def _find_place(self, js: JetStreamContext) -> None:
        """Cursor and number of the last message of this archive, from the server."""
        from nats.js.errors import NotFoundError

        subject = subject_of(self._station, self._archive_id)
        try:
            last = await js.get_last_msg(STREAM, subject, direct=self._direct)
        except NotFoundError:
            self._cursor, self._sequence = Cursor(), 0
            return
        self._sequence = last.seq or 0
        self._cursor = Cursor() if self._again else self._cursor_of(last.data or b"")

    def _cursor_of(self, data: bytes) -> Cursor:
        batch = unpack(data)
        with closing(connect_reader(self._path).conn) as conn:
            if batch.archive_id != self._archive_id or not _is_of(conn, batch):
                raise PostError(
                    f"station {self._station} has sent another archive of the same origin (a copy that "
                    "went its own way?); give this one another --post-name"
                )
        return batch.after

    async def _wait(self, client: Client) -> None:
        """Until the archive's file changes, or so long that a look costs nothing."""
        while self._follow:
            await self._sleep(_LOOK_S)
            if client.is_closed or not client.is_connected:
                raise ConnectionError
            late = time.monotonic() - self._looked >= _LOOK_ANYWAY_S
            if late or self._stamp() != self._seen:
                return

    async def _sleep(self, seconds: float) -> None:
        """So long, or until `finish`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _stamp(self) -> tuple[Any, ...]:
        made: list[int] = []
        for name in (self._path, Path(f"{self._path}-wal")):
            with suppress(OSError):
                found = name.stat()
                made += [found.st_mtime_ns, found.st_size]
        return tuple(made)

    def _count(self) -> None:
        if self._cursor is None:
            return
        with closing(connect_reader(self._path).conn) as conn:
            self.status.waiting = max(0, last_datagram(conn) - self._cursor.at("datagrams"))

    def _trouble(self, line: str) -> None:
        now = time.time()
        if not self.status.problem:
            self.status.since, self._told = now, 0.0
        # The tries of one outage end in many ways: one line for it, another when it lasts and changes.
        if line != self.status.problem and now - self._told >= _TELL_AGAIN_S:
            self._told = now
            self._say(
                f"command post {self._server.url}: {line}; what is received stays in the archive and "
                "is sent later"
            )
        self.status.problem = line

    def _well(self) -> None:
        if not self.status.problem:
            return
        self.status.problem = ""
        waiting = self.status.waiting
        behind = f", {waiting} datagrams to catch up with" if waiting else ""
        self._say(f"command post {self._server.url}: sending again{behind}")


def _is_of(conn: sqlite3.Connection, batch: Batch) -> bool:
    """Whether an archive has the datagrams of a batch, and those before them: by the chain's hashes."""
    if link_at(conn, batch.archive_id, batch.before.at("datagrams")) != batch.link:
        return False
    made = batch.tables.get("datagrams")
    if made is None:
        return last_datagram(conn) >= batch.after.at("datagrams")
    link = with_chain(batch.link, made.columns, made.rows)[-1][1 + made.columns.index("chain")]
    here = conn.execute("SELECT chain FROM datagrams WHERE id = ?", (made.rows[-1][0],)).fetchone()
    return bool(here) and here[0] == link
