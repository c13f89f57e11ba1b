"""Bases to a post over a real server: links are cut, programs killed, disks full; no row is missing,
none comes twice, and the copies are the archives."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from gvc_base.archive_seal import Signer
from gvc_base.archive_verify import verify_archive
from gvc_base.post.forwarder import Forwarder
from gvc_base.post.server import parse_server
from tests.post.growing import Growing, all_rows, fill, open_archive
from tests.post.nats import NatsServer, TcpLink, needs_nats, wait_until
from tests.post.running import copies, datagrams, is_like, receiving, send

pytestmark = needs_nats


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
        # The last one counts when the archive's end was judged, too.
        wait_until(lambda: receiver.status.messages == first.status.messages, "the last message")
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
