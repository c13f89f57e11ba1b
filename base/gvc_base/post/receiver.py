"""The command post: reads the server's store in its order, and keeps a copy of every archive.

How far it read stands in a small file beside the copies, written after the copies are on disk. After a
crash some messages are read again and change nothing; where the file or a copy is gone, or the server's
store is another one, all is read again from its beginning.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvc_base.archive_schema import WriterLock, real_path
from gvc_base.archive_verify import verify_archive
from gvc_base.post.copies import (
    Applied,
    ChangedError,
    Copies,
    GapError,
    NewerError,
    disk_line,
    station_name,
)
from gvc_base.post.message import unpack
from gvc_base.post.rows import Batch, PostError
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
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import StreamInfo

__all__ = ["PostReceiver", "ReceiverStatus"]

_STATE = "post-receive.json"
_FETCH, _FETCH_S = 16, 2.0
_IDLE_CHECK_S = 20.0
_FORGOTTEN_S = 60.0
_API_S = 10.0
_BACKOFF_S = (1.0, 2.0, 5.0)
_TELL_AGAIN_S = 60.0
_MAX_TOLD = 100


@dataclass(slots=True)
class ReceiverStatus:
    """What was done so far in this run."""

    messages: int = 0
    rows: int = 0
    "Written into copies."
    known: int = 0
    "That came and were there already; they were not written again."
    refused: int = 0
    "Messages that no copy took."


class _AgainError(Exception):
    """Read the store again from another place."""


class PostReceiver:
    """All stations' archives from one server into one folder. Lives in one asyncio loop."""

    def __init__(
        self, server: PostServer, folder: Path, *, say: Callable[[str], None],
        station: str | None = None,
    ) -> None:  # fmt: skip
        """Args:
        station: only this one; None for all.

        Raises:
            UserError: the folder cannot be used, or another receiver uses it.
        """
        self._server, self._say = server, say
        self._folder = real_path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot use folder {folder}: {error.strerror}") from None
        self._subject = f"gvc.post.{station_name(station) if station else '*'}.*"
        self._state_path = self._folder / _STATE
        self._lock = WriterLock(self._state_path)
        self._copies = Copies(self._folder, say)
        self.status = ReceiverStatus()
        self._store, self._sequence = self._load()
        self._reread: dict[tuple[str, str], int] = {}
        "Archives for which the store is read again, and the message that needed it."
        self._problem, self._told_at = "", 0.0
        self._told: set[str] = set()

    def close(self) -> None:
        """Close the copies."""
        self._copies.close()
        self._lock.release()

    async def run(self) -> None:
        """Receive until cancelled. Whatever the server or the disk does is told and tried again."""
        tries = 0
        while True:
            heed_cancel()
            done = self.status.messages
            try:
                async with connected(self._server, "gvc-base post") as client:
                    await self._read(client)
            except _AgainError:
                continue
            except UserError as error:
                self._trouble(str(error))
            except Exception as error:  # one bad connection is no reason to end
                self._trouble(f"server {self._server.url}: {words(error)}")
            tries = 0 if self.status.messages > done else tries + 1
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])

    async def _read(self, client: Client) -> None:
        js = client.jetstream(domain=self._server.domain, timeout=_API_S)
        self._same_store(await stream_of(js))
        pull = await self._subscribe(js)
        self._well()
        idle = 0.0
        while True:
            heed_cancel()
            try:
                messages = await pull.fetch(_FETCH, timeout=_FETCH_S)
            except TimeoutError:
                idle += _FETCH_S
                if client.is_closed or not client.is_connected:
                    raise ConnectionError from None
                if idle >= _IDLE_CHECK_S:  # a server that forgot us would be silent, too
                    await pull.consumer_info()
                    idle = 0.0
                continue
            idle = 0.0
            try:
                for message in messages:
                    await self._take(message)
            finally:  # stopped on the way: what was taken needn't be read again
                self._save()

    async def _subscribe(self, js: JetStreamContext) -> JetStreamContext.PullSubscription:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self._sequence + 1,
            ack_policy=AckPolicy.NONE, inactive_threshold=_FORGOTTEN_S,
        )  # fmt: skip
        return await js.pull_subscribe(self._subject, stream=STREAM, config=config)

    def _same_store(self, info: StreamInfo) -> None:
        store = str(info.created)
        if store != self._store or info.state.last_seq < self._sequence:
            self._store, self._sequence = store, 0

    async def _take(self, message: Msg) -> None:
        station = message.subject.removeprefix("gvc.post.").partition(".")[0]
        try:
            batch = unpack(message.data)
            if subject_of(station_name(station), batch.archive_id) != message.subject:
                raise PostError("a message for the command post came under another's name")
            await self._apply(station, batch, message.metadata.sequence.stream)
        except (PostError, UserError) as error:
            self._refuse(f"{station}: {error}")
        except NewerError:
            self._refuse(
                f"{station}: its archives are of a newer gvc-field than this; update this one, its rows "
                "wait at the server"
            )
        self._sequence = message.metadata.sequence.stream
        self.status.messages += 1

    async def _apply(self, station: str, batch: Batch, sequence: int) -> None:
        key = station, batch.archive_id
        try:
            path, applied = await self._write(station, batch)
        except GapError:
            self._from_the_start(key, sequence, f"rows of {batch.name} before these are missing")
            return
        except ChangedError:
            old, aside = self._copies.set_aside(*key)
            why = f"{old} was changed by another program; it is kept as {aside.name}"
            self._from_the_start(key, sequence, why)
            return
        if sequence >= self._reread.get(key, 0):
            self._reread.pop(key, None)
        self.status.rows += applied.new
        self.status.known += applied.known
        if applied.closed:
            await asyncio.to_thread(self._judge, station, path)

    async def _write(self, station: str, batch: Batch) -> tuple[Path, Applied]:
        """Until the disk takes it: the server keeps what comes meanwhile."""
        while True:
            try:
                copy = self._copies.of(station, batch)
                applied = copy.apply(batch)
                self._well()
                return copy.path, applied
            except UserError as error:
                line = str(error)
            except sqlite3.OperationalError as error:
                line = disk_line(copy.path, error)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise ChangedError from None
                raise PostError(
                    "a message for the command post has rows that no archive has"
                ) from None
            self._trouble(f"{line}; the rows wait at the server")
            await asyncio.sleep(_BACKOFF_S[0])

    def _from_the_start(self, key: tuple[str, str], sequence: int, why: str) -> None:
        """Read the whole store again, once; when that does not help, say so and go on with the rest."""
        if key in self._reread:
            self._refuse(
                f"{key[0]}: {why}, and the server has them no more; at the base, run: gvc-base post "
                "send MISSION.db --again"
            )
            return
        self._reread[key] = sequence
        self._say(f"{key[0]}: {why}; reading the server's store again from its beginning")
        self._sequence = 0
        raise _AgainError

    def _judge(self, station: str, path: Path) -> None:
        """The base has closed the archive: is the copy what it signed?"""
        try:
            found = verify_archive(path)
        except UserError as error:
            self._say(f"{station}: {error}")
            return
        keys = ", ".join(found.fingerprints)
        if found.whole:
            self._say(f"{station}: {path} is whole, {found.rows} datagrams, signed by {keys}")
        else:
            self._say(f"{station}: {path} is DAMAGED: {found.problems[0]}")

    def _refuse(self, line: str) -> None:
        self.status.refused += 1
        if line not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(line)
            self._say(line)

    def _trouble(self, line: str) -> None:
        now = time.monotonic()
        if not self._problem:
            self._told_at = now - _TELL_AGAIN_S
        if line != self._problem and now >= self._told_at + _TELL_AGAIN_S:
            self._told_at = now
            self._say(line)
        self._problem = line

    def _well(self) -> None:
        if self._problem:
            self._problem = ""
            self._say(f"server {self._server.url}: receiving again")

    def _load(self) -> tuple[str, int]:
        with suppress(OSError, ValueError, KeyError, TypeError):
            made: dict[str, Any] = json.loads(self._state_path.read_text())
            return str(made["store"]), int(made["sequence"])
        return "", 0

    def _save(self) -> None:
        # An older state costs a second reading, no more: it is not synced, and a full disk is no news.
        fresh = self._state_path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps({"store": self._store, "sequence": self._sequence}))
            fresh.replace(self._state_path)
