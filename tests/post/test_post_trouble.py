"""What can be wrong between a base and its post: each in one line, and all rows arrive after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from gvc_base.archive_queue import transaction
from gvc_base.archive_seal import Signer
from gvc_base.post.copies import Copy
from gvc_base.post.forwarder import Forwarder
from gvc_base.post.sender import Sender
from gvc_base.post.server import STREAM, parse_server, stream_of
from tests.post.growing import fill, open_archive
from tests.post.nats import NatsServer, TcpLink, free_port, needs_nats, wait_until
from tests.post.running import Running, copies, finished, is_like, receiving, send

pytestmark = needs_nats


@pytest.fixture(scope="module")
def mission(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Path:
    """An archive of a few messages."""
    path = tmp_path_factory.mktemp("mission") / "flood.db"
    archive, session = open_archive(path, signer)
    for seed in range(40):
        fill(archive, session, seed, 8)
    archive.close()
    return path


def admin(server: NatsServer, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """What an administrator does at the server."""

    async def run() -> Any:
        import nats

        client = await nats.connect(server.url)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return finished(run())


def test_a_server_that_is_not_there_is_told_once_and_waited_for(
    mission: Path, tmp_path: Path
) -> None:
    server, lines = NatsServer(tmp_path / "server"), list[str]()
    sender = Sender(mission, parse_server(server.url), "alpha", say=lines.append)
    running = Running(sender.run(follow=False))
    wait_until(lambda: bool(lines), "a line")
    with ExitStack() as stack:
        stack.callback(running.stop)
        heard: list[str] = []
        receiving(stack, server.url, tmp_path / "out", heard.append)
        wait_until(lambda: bool(heard), "a line of the receiver, too")
        server.start()
        stack.callback(server.kill)
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), f"{lines} {heard}")
        wait_until(lambda: running.done, "the sender ends")
    assert lines[0] == (
        f"command post {server.url}: nobody listens on that port; start nats-server there; what is "
        "received stays in the archive and is sent later"
    )
    assert len(lines) == 2 and "sending again" in lines[1]
    assert "nobody listens" in heard[0] and sum("receiving again" in line for line in heard) == 1


def test_a_base_ends_at_once_whatever_its_link_does(mission: Path, tmp_path: Path) -> None:
    """Silent: connections are taken and nothing answers. The forwarder is given 0.2 s, not what its
    connection would wait."""
    lines: list[str] = []
    link = TcpLink(free_port())
    link.cut(silent=True)
    forwarder = Forwarder(mission, parse_server(link.url), "alpha", lines.append)
    forwarder.start()
    forwarder.finish(0.2)
    link.close()
    assert not forwarder.alive and len(lines) == 1 and "gvc-base post send" in lines[0]


def test_a_full_disk_at_the_post(
    mission: Path, tmp_path: Path, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Copy] = []
    plain = Copy.__init__

    def small(self: Copy, path: Path, archive_id: str) -> None:
        plain(self, path, archive_id)
        self._conn.execute("PRAGMA max_page_count = 40")
        opened.append(self)

    monkeypatch.setattr(Copy, "__init__", small)
    send(mission, server.url)
    lines: list[str] = []
    with ExitStack() as stack:
        receiver, _ = receiving(stack, server.url, tmp_path / "out", lines.append)
        wait_until(lambda: any("disk is full" in line for line in lines), f"{lines}")
        opened[0]._conn.execute("PRAGMA max_page_count = 1000000")
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), f"{lines}")
    assert sum("disk is full; free space there; the rows wait" in line for line in lines) == 1
    assert sum("receiving again" in line for line in lines) == 1 and receiver.status.known == 0


def test_a_full_disk_at_the_server(mission: Path, tmp_path: Path, server: NatsServer) -> None:
    async def limit(js: Any, count: int) -> None:
        config = (await stream_of(js)).config
        config.max_bytes = count
        await js.update_stream(config)

    admin(server, lambda js: limit(js, 100_000))
    lines: list[str] = []
    sender = Sender(mission, parse_server(server.url), "alpha", say=lines.append)
    with ExitStack() as stack:
        running = Running(sender.run(follow=False))
        stack.callback(running.stop)
        wait_until(lambda: bool(lines), "a line")
        assert "it does not take the rows (maximum bytes exceeded); make room" in lines[0]
        admin(server, lambda js: limit(js, -1))
        receiving(stack, server.url, tmp_path / "out")
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), f"{lines}")
    assert len(lines) == 2


def test_a_copy_that_was_changed_is_kept_aside_and_made_anew(
    mission: Path, tmp_path: Path, server: NatsServer
) -> None:
    out, lines = tmp_path / "out", list[str]()
    send(mission, server.url)
    with ExitStack() as stack:
        receiving(stack, server.url, out)
        wait_until(lambda: is_like(mission, out, "alpha"), "a copy")
    with closing(sqlite3.connect(copies(out, "alpha")[0])) as conn:
        conn.execute("INSERT INTO events VALUES (1, 5, 'note', '{\"text\": \"from the post\"}')")
        conn.commit()
    bigger = tmp_path / "flood.db"
    bigger.write_bytes(mission.read_bytes())
    archive, session = open_archive(bigger)
    fill(archive, session, 7, 3)
    archive.close()
    send(bigger, server.url)
    with ExitStack() as stack:
        receiving(stack, server.url, out, lines.append)
        wait_until(lambda: any("changed by another program" in line for line in lines), f"{lines}")
        wait_until(lambda: len(copies(out, "alpha")) == 2, f"{lines}")
        aside = next(p for p in copies(out, "alpha") if ".changed-1" in p.name)
        aside.rename(tmp_path / "aside.db")
        wait_until(lambda: is_like(bigger, out, "alpha"), f"{lines}")
    with closing(sqlite3.connect(tmp_path / "aside.db")) as conn:
        assert conn.execute("SELECT count(*) FROM events WHERE time_ns = 5").fetchone()[0] == 1


def test_rows_that_the_server_has_no_more_are_asked_for_in_one_line(
    mission: Path, tmp_path: Path, server: NatsServer
) -> None:
    send(mission, server.url)
    admin(server, lambda js: js.purge_stream(STREAM, keep=2))
    out, lines = tmp_path / "out", list[str]()
    with ExitStack() as stack:
        receiving(stack, server.url, out, lines.append)
        wait_until(lambda: any("--again" in line for line in lines), f"{lines}")
        send(mission, server.url, again=True)
        wait_until(lambda: is_like(mission, out, "alpha"), f"{lines}")
    assert sum("--again" in line for line in lines) == 1


async def lose_two(js: Any) -> None:
    """The newest two messages."""
    last = (await js.stream_info(STREAM)).state.last_seq
    await js.delete_msg(STREAM, last)
    await js.delete_msg(STREAM, last - 1)


def test_a_server_that_lost_its_newest_messages_gets_them_again(
    mission: Path, tmp_path: Path, server: NatsServer
) -> None:
    """As after a power cut there: what it had acknowledged is gone."""

    path = tmp_path / "flood.db"
    path.write_bytes(mission.read_bytes())
    lines: list[str] = []
    sender = Sender(path, parse_server(server.url), "alpha", say=lines.append)
    with ExitStack() as stack:
        stack.callback(Running(sender.run(follow=True)).stop)
        wait_until(lambda: sender.status.rows > 0 and sender.status.waiting == 0, f"{lines}")
        admin(server, lose_two)
        archive, session = open_archive(path)
        fill(archive, session, 7, 3)
        archive.close()
        receiving(stack, server.url, tmp_path / "out", lines.append)
        wait_until(lambda: is_like(path, tmp_path / "out", "alpha"), f"{lines}")


def test_a_message_that_the_server_only_remembers_is_sent_again(
    mission: Path, tmp_path: Path, server: NatsServer
) -> None:
    """Deleted there, it is a duplicate to the server for two minutes: same batch, same id."""

    lines: list[str] = []
    assert send(mission, server.url, say=lines.append).status.messages > 0
    admin(server, lose_two)
    assert send(mission, server.url, say=lines.append).status.waiting == 0
    with ExitStack() as stack:
        receiving(stack, server.url, tmp_path / "out")
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), "every row there", 20)
    assert not lines


def test_two_archives_that_were_one_are_not_mixed(
    mission: Path, tmp_path: Path, server: NatsServer
) -> None:
    paths = [tmp_path / "one.db", tmp_path / "two.db"]
    for seed, path in enumerate(paths):
        path.write_bytes(mission.read_bytes())
        archive, session = open_archive(path)
        fill(archive, session, 100 + seed, 9)
        archive.close()
    send(paths[0], server.url)
    lines: list[str] = []
    sender = Sender(paths[1], parse_server(server.url), "alpha", say=lines.append)
    running = Running(sender.run(follow=False))
    wait_until(lambda: bool(lines), "a line")
    running.stop()
    assert "another archive of the same origin" in lines[0] and "--post-name" in lines[0]
    send(paths[1], server.url, station="bravo")
    with ExitStack() as stack:
        receiving(stack, server.url, tmp_path / "out")
        for path, station in zip(paths, ("alpha", "bravo"), strict=True):
            wait_until(
                lambda p=path, s=station: is_like(p, tmp_path / "out", s), f"a copy of {station}"
            )


def test_a_row_that_is_larger_than_the_server_takes_is_named(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "server", "max_payload: 65536\n").start()
    path, lines = tmp_path / "big.db", list[str]()
    archive, session = open_archive(path)
    fill(archive, session, 1, 60)
    with archive._mutex, transaction(archive._db.conn) as conn:
        conn.execute("INSERT INTO events VALUES (?, 1, 'note', hex(randomblob(90000)))", (session,))
    archive.close()
    with ExitStack() as stack:
        stack.callback(server.kill)
        sender = Sender(path, parse_server(server.url), "alpha", say=lines.append)
        stack.callback(Running(sender.run(follow=False)).stop)
        wait_until(lambda: bool(lines), "a line")
        assert "is more than its max_payload of 65536" in lines[0]
        assert sender.status.rows > 60


def test_who_may_not_is_told_so(mission: Path, tmp_path: Path) -> None:
    """A station's user may send as that station alone, and look at its own last message."""
    import nkeys

    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    api = '"$JS.API.STREAM.INFO.GVC_POST"'
    config = f"""authorization {{ users: [
      {{ user: post, password: "of the post" }}
      {{ nkey: {public}, permissions: {{
           publish: ["gvc.post.alpha.>", {api}, "$JS.API.DIRECT.GET.GVC_POST.gvc.post.alpha.>"],
           subscribe: ["_INBOX.>"] }} }} ] }}
    """
    server = NatsServer(tmp_path / "server", config).start()
    files = {"post": "post:of the post\n", "wrong": "post:guess", "alpha": bytes(seed).decode()}
    who = {}
    for name, text in files.items():
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o600)
        who[name] = parse_server(server.url, file)
    with ExitStack() as stack:
        stack.callback(server.kill)
        receiving(stack, who["post"], tmp_path / "out")
        for login, station, words in (
            ("wrong", "alpha", "it does not let us in; check --post-creds"),
            ("alpha", "bravo", "it does not let us do that"),
        ):
            lines: list[str] = []
            sender = Sender(mission, who[login], station, say=lines.append)
            running = Running(sender.run(follow=False))
            wait_until(lambda said=lines: bool(said), "a line")
            running.stop()
            assert words in lines[0] and "guess" not in lines[0]
        wait_until(lambda: not copies(tmp_path / "out", "bravo"), "nothing under another's name")
        send(mission, who["alpha"])
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), "a copy")


def test_through_a_leaf_node_beside_the_base(mission: Path, tmp_path: Path) -> None:
    """The base's own nats-server keeps the one connection over the far link; it stores nothing, and
    what stores has a name."""
    leaf_port = free_port()
    hub = NatsServer(tmp_path / "hub", f"leafnodes {{ listen: 127.0.0.1:{leaf_port} }}\n").start()
    far = TcpLink(leaf_port)
    remote = (
        f'leafnodes {{ reconnect: 1, remotes: [ {{ url: "nats://127.0.0.1:{far.port}" }} ] }}\n'
    )
    leaf = NatsServer(tmp_path / "leaf", remote, jetstream=False).start()
    lines: list[str] = []
    with ExitStack() as stack:
        for end in (hub.kill, leaf.kill, far.close):
            stack.callback(end)
        far.cut()
        running = Running(
            Sender(mission, parse_server(f"{leaf.url}/post"), "alpha", say=lines.append).run(
                follow=False
            )
        )
        stack.callback(running.stop)
        wait_until(lambda: bool(lines), "a line")
        assert "nobody keeps the rows" in lines[0]
        far.mend()
        receiving(stack, hub.url, tmp_path / "out", lines.append)
        wait_until(lambda: is_like(mission, tmp_path / "out", "alpha"), f"{lines}")
