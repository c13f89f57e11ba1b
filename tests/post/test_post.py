"""Bases to a post over a real server: links are cut, programs killed, disks full; no row is missing,
none comes twice, and the copies are the archives."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gvc_base.archive_seal import Signer, load_signer
from gvc_base.archive_verify import verify_archive
from gvc_base.post.forwarder import Forwarder
from gvc_base.post.receiver import PostReceiver
from gvc_base.post.sender import Sender
from gvc_base.post.server import PostServer, parse_server
from tests.post.growing import Growing, all_rows, fill, open_archive
from tests.post.nats import NatsServer, TcpLink, needs_nats, wait_until

pytestmark = needs_nats


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sync, and less patience: nothing here is about power cuts or a polite pause."""
    monkeypatch.setattr("gvc_base.archive_schema._SYNCHRONOUS", "OFF")
    for name in ("sender", "receiver"):
        monkeypatch.setattr(f"gvc_base.post.{name}._BACKOFF_S", (0.1,))
    monkeypatch.setattr("gvc_base.post.sender._LOOK_S", 0.05)
    monkeypatch.setattr("gvc_base.post.sender._ACK_S", 2.0)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    made = load_signer(tmp_path_factory.mktemp("state"))
    assert made is not None
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "server").start()
    yield made
    made.kill()


class Running:
    """A coroutine in a loop of its own thread, until cancelled."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] = self._loop.create_task(work)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        assert not self._thread.is_alive()


def receiving(
    stack: ExitStack, url: str, out: Path, say: Callable[[str], None] = lambda _: None
) -> tuple[PostReceiver, Running]:
    receiver = PostReceiver(parse_server(url), out, say=say)
    stack.callback(receiver.close)
    running = Running(receiver.run())
    stack.callback(running.stop)
    return receiver, running


def send(path: Path, server: PostServer, **more: Any) -> Sender:
    sender = Sender(path, server, more.pop("station", "alpha"), say=lambda _: None, **more)
    asyncio.run(asyncio.wait_for(sender.run(follow=False), 60))
    return sender


def copies(out: Path, station: str) -> list[Path]:
    return sorted((out / station).glob("*.db"))


def datagrams(path: Path) -> int:
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT coalesce(max(id), 0) FROM datagrams").fetchone()[0])


def is_like(path: Path, out: Path, station: str) -> bool:
    found = copies(out, station)
    return len(found) == 1 and all_rows(found[0]) == all_rows(path)


def test_two_bases_one_post_with_cuts_a_killed_server_and_a_killed_receiver(
    tmp_path: Path, server: NatsServer, signer: Signer
) -> None:
    out, lines = tmp_path / "out", list[str]()
    program = (
        "from gvc_base.post_cli import post_app; post_app()"  # without what else gvc-base loads
    )
    command = [sys.executable, "-c", program, "receive", "--from", server.url, "--out", str(out)]
    with ExitStack() as stack:
        links = [TcpLink(server.port) for _ in range(2)]
        bases, forwarders = [], []
        for number, link in enumerate(links):
            stack.callback(link.close)
            bases.append(Growing(tmp_path / f"base-{number}.db", 1000 * number, signer))
            forwarders.append(
                Forwarder(bases[-1].path, parse_server(link.url), f"base-{number}", lines.append)
            )
            forwarders[-1].start()
            stack.callback(forwarders[-1].finish, 0.1)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        stack.callback(process.kill)
        wait_until(lambda: all(copies(out, f"base-{n}") for n in range(2)), "first rows")
        links[0].cut(silent=True)
        links[1].cut()
        before = bases[1].archive.last_id
        wait_until(lambda: bases[1].archive.last_id > before + 100, "a base goes on without link")
        process.kill()
        process.wait(30)
        links[0].mend()
        links[1].mend()
        wait_until(lambda: sum("sending again" in line for line in lines) >= 2, f"{lines}")
        server.kill()
        before = bases[0].archive.last_id
        wait_until(lambda: bases[0].archive.last_id > before + 50, "a base goes on without server")
        server.start()
        receiver, _ = receiving(stack, server.url, out, lines.append)
        for base, forwarder in zip(bases, forwarders, strict=True):
            copy, last = copies(out, base.path.stem)[0], base.archive.last_id
            wait_until(lambda c=copy, n=last: datagrams(c) >= n, f"{lines}")
            base.close()
            forwarder.finish(20)
            wait_until(lambda b=base: is_like(b.path, out, b.path.stem), f"{lines}")
        wait_until(lambda: sum("is whole" in line for line in lines) == 2, f"{lines}")
    for base in bases:
        copy = copies(out, base.path.stem)[0]
        found = verify_archive(copy)
        assert found.whole and found.closed and found.rows == found.signed_to > 150
        assert found.fingerprints == [signer.fingerprint]
    assert receiver.status.refused == 0
    # A cut is told once when it begins and once when it ends, however often it was tried.
    assert all(line.count("\n") == 0 for line in lines) and len(lines) < 20, lines


def test_an_archive_at_rest_is_sent_once_and_a_second_time_changes_nothing(
    tmp_path: Path, server: NatsServer, signer: Signer
) -> None:
    path, url = tmp_path / "flood at night.db", parse_server(server.url)
    archive, session = open_archive(path, signer)
    for seed in range(30):
        fill(archive, session, seed, 8)
    archive.close()
    first = send(path, url)
    assert (
        first.status.messages > 1
        and first.status.rows == sum(map(len, all_rows(path).values())) - 4
    )
    assert send(path, url).status.rows == 0
    with ExitStack() as stack:
        receiver, running = receiving(stack, server.url, tmp_path / "out")
        wait_until(lambda: is_like(path, tmp_path / "out", "alpha"), "a copy")
        running.stop()
        rows = receiver.status.rows
        assert rows == first.status.rows and receiver.status.known == 0
    copy = copies(tmp_path / "out", "alpha")[0]
    assert copy.name.startswith("flood_at_night-")
    # Another base goes on with the file, and the copy follows; all that is sent again is known.
    archive, session = open_archive(path, signer)
    fill(archive, session, 99, 5)
    archive.close()
    again = send(path, url, again=True)
    with ExitStack() as stack:
        receiver, running = receiving(stack, server.url, tmp_path / "out")
        wait_until(lambda: is_like(path, tmp_path / "out", "alpha"), "the copy follows")
        running.stop()
    assert receiver.status.known == rows
    assert receiver.status.rows == again.status.rows - rows > 0
    assert verify_archive(copy).whole
