"""The parts of the way to the post that need no server: messages, addresses, batches."""

from __future__ import annotations

import random
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import pytest

from gvc_base.archive_merged import create_merged_tables
from gvc_base.archive_schema import connect_reader
from gvc_base.post.copies import Copies, GapError, NewerError, station_name
from gvc_base.post.message import pack, unpack
from gvc_base.post.rows import Batch, Cursor, PostError, read_batch
from gvc_base.post.server import parse_server
from gvc_protocol.errors import UserError
from tests.post.growing import all_rows, fill, open_archive


def batches(path: Path, budget: int) -> list[Batch]:
    made, cursor = [], Cursor()
    with closing(connect_reader(path).conn) as conn:
        while batch := read_batch(conn, cursor, name="m", budget_bytes=budget):
            made.append(batch)
            cursor = batch.after
    return made


@pytest.fixture(scope="module")
def mission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "m.db"
    archive, session = open_archive(path)
    for seed in range(6):
        fill(archive, session, seed, 8)
    archive.close()
    return path


@pytest.mark.parametrize("budget", [1, 3000, 1 << 20])
def test_batches_of_any_size_make_the_same_copy_in_any_repetition(
    mission: Path, tmp_path: Path, budget: int
) -> None:
    made = [unpack(pack(batch)) for batch in batches(mission, budget)]
    rng, copies = random.Random(budget), Copies(tmp_path, lambda _: None)
    for number, batch in enumerate(made):
        back = rng.randint(0, number)
        new = [copies.of("a", b).apply(b).new for b in made[back : number + 1]]
        assert new == [0] * (number - back) + [batch.rows]
    if len(made) > 1:
        with pytest.raises(GapError):
            Copies(tmp_path / "other", lambda _: None).of("a", made[1]).apply(made[1])
    path = copies.of("a", made[0]).path
    copies.close()
    assert all_rows(path) == all_rows(mission)


def test_a_signature_never_comes_before_what_it_covers(mission: Path) -> None:
    """In a batch, a table begins only when those before it have come to their end."""
    order = [table for batch in batches(mission, 2000) for table in batch.tables]
    assert [t for i, t in enumerate(order) if i == 0 or order[i - 1] != t] == [
        "sessions", "datagrams", "events", "link_samples", "marks", "models", "units",
    ]  # fmt: skip


def test_hashes_that_follow_from_the_rows_do_not_travel(mission: Path, tmp_path: Path) -> None:
    whole = batches(mission, 1 << 20)[0].tables["datagrams"]
    at = 1 + whole.columns.index("chain")
    assert all(row[at] is None for row in whole.rows)
    changed = tmp_path / "changed.db"
    changed.write_bytes(mission.read_bytes())
    with closing(sqlite3.connect(changed)) as conn:
        conn.execute("UPDATE datagrams SET data = x'00' WHERE id = 5")
        conn.commit()
    batch = batches(changed, 1 << 20)[0]
    rows = batch.tables["datagrams"].rows
    # Row 5 travels with the hash that does not fit: the copy is as wrong as the original, and says so.
    assert [row[0] for row in rows if row[at] is not None] == [5]
    copies = Copies(tmp_path / "out", lambda _: None)
    copies.of("a", batch).apply(batch)
    path = copies.of("a", batch).path
    copies.close()
    assert all_rows(path) == all_rows(changed)


def test_messages_of_anybody_are_refused_in_one_line(mission: Path, tmp_path: Path) -> None:
    good = pack(batches(mission, 2000)[1])
    plain = msgpack.unpackb(zlib.decompress(good), use_list=True)
    rng = random.Random(4)

    def again(**more: Any) -> bytes:
        return zlib.compress(msgpack.packb({**plain, **more}))

    table = plain["tables"]["datagrams"]
    wrong = [
        b"", b"nothing", good[:-9], zlib.compress(b""), zlib.compress(b"\xc1"), again(v=9),
        zlib.compress(msgpack.packb([1, 2])), again(tables=[]), again(archive="../../etc"),
        again(tables={'x" WHERE 1; DROP TABLE meta; --': table}), again(before=7), again(meta=[1]),
        again(tables={"datagrams": [table[0], [[True, *table[1][0][1:]]]]}),
        again(tables={"datagrams": [table[0], [[1 << 63, *table[1][0][1:]]]]}),
        again(tables={"datagrams": [table[0], table[1][::-1]]}),
        again(tables={"datagrams": [table[0], [[1]]]}),
        again(meta={"archive_id": "0" * 32}), zlib.compress(bytes(65 << 20)),
    ]  # fmt: skip
    for _ in range(150):
        hurt = bytearray(zlib.decompress(good))
        for _ in range(rng.randint(1, 4)):
            hurt[rng.randrange(len(hurt))] = rng.randrange(256)
        wrong.append(zlib.compress(bytes(hurt), 1))
    refused = 0
    copies = Copies(tmp_path, lambda _: None)
    for data in wrong:
        try:
            batch = unpack(data)
        except PostError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 200
            continue
        # What can be read is judged by the copy: nothing here follows on an empty one.
        with pytest.raises((GapError, NewerError, PostError, sqlite3.Error)):
            copies.of("a", batch).apply(batch)
    assert refused > 30
    assert not any(all_rows(path)["datagrams"] for path in tmp_path.rglob("*.db"))


def test_an_archive_that_was_merged_from_others_travels_with_its_tables(
    mission: Path, tmp_path: Path
) -> None:
    merged = tmp_path / "merged.db"
    merged.write_bytes(mission.read_bytes())
    with closing(sqlite3.connect(merged)) as conn:
        create_merged_tables(conn)
        conn.execute("INSERT INTO merged_from VALUES (1, 'a.db', 'ab', 9, x'12', 0, 'told')")
        conn.execute("INSERT INTO merged_sessions VALUES (1, 1, 7)")
        conn.execute("INSERT INTO merged_rows SELECT id, 1, id, NULL, 1, id, data FROM datagrams")
        for part, row in ((1, 2), (1, 1)):
            values = (part, row, 1, b"c", 1, b"s", 1, b"n", 0, 5, b"k", b"g")
            conn.execute(f"INSERT INTO merged_signatures VALUES ({', '.join('?' * 12)})", values)
        conn.commit()
    copies = Copies(tmp_path / "out", lambda _: None)
    made = batches(merged, 3000)
    for batch in made:
        copies.of("a", batch).apply(unpack(pack(batch)))
    path = copies.of("a", made[0]).path
    copies.close()
    assert all_rows(path) == all_rows(merged) and len(all_rows(path)["merged_rows"]) == 48


def test_a_newer_base_is_refused_until_the_post_is_as_new(mission: Path, tmp_path: Path) -> None:
    batch = batches(mission, 1 << 20)[0]
    plain = msgpack.unpackb(zlib.decompress(pack(batch)))
    copies = Copies(tmp_path, lambda _: None)
    for more in ({"version": 99}, {"tables": {"holograms": [["x"], [[1, 2]]]}}):
        newer = unpack(zlib.compress(msgpack.packb({**plain, **more})))
        with pytest.raises(NewerError):
            copies.of("a", newer).apply(newer)
    assert copies.of("a", batch).apply(batch).new == batch.rows
    copies.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mqtt://h", "no address of a NATS server"),
        ("nats://", "no address"),
        ("nats://h:99999", "no address"),
        ("10.0.0.1:4222", "no address"),
        ("nats://me:secret@h", "seen by all on this machine"),
        ("nats://h/a/b", "no address"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        parse_server(url)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_credentials_are_files_that_nobody_else_can_read(tmp_path: Path) -> None:
    file = tmp_path / "login"
    with pytest.raises(UserError, match="cannot read"):
        parse_server("nats://h", file)
    file.write_text("base:hush\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        parse_server("nats://h", file)
    file.chmod(0o600)
    server = parse_server("nats://h", file)
    assert server.login == {"user": "base", "password": "hush"} and server.port == 4222
    assert "hush" not in repr(server)
    file.write_text("just words")
    with pytest.raises(UserError, match="neither"):
        parse_server("nats://h", file)
    with pytest.raises(UserError, match="goes with tls"):
        parse_server("nats://h", None, file)


def test_a_station_has_a_plain_name() -> None:
    assert station_name("ridge-2_b") == "ridge-2_b"
    for name in ("", "a.b", "a*", "../x", "x" * 33, "ä"):
        with pytest.raises(UserError, match="1 to 32 letters"):
            station_name(name)
