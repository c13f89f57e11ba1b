"""The hash chain over the record: each datagram's row holds a hash of itself and of all before it.

    hash(row n) = SHA-256(hash(row n - 1) | session, received_ns, source, data)

The first row hangs on the archive's own id, so that no row of another archive fits. A chain alone tells
accidents and clumsy hands; who can write the file can also compute it anew. `archive_seal` signs it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable
from hashlib import sha256

__all__ = ["HASH_BYTES", "chain_all", "chained", "first_link", "rows_hash"]

HASH_BYTES = 32
_ROW = struct.Struct(">qqI")
_PAGE_ROWS = 4096


def first_link(archive_id: str) -> bytes:
    """What the first row hangs on."""
    return sha256(b"GVC mission archive\0" + archive_id.encode()).digest()


def chained(
    before: bytes, session_id: int, received_ns: int, source: str, data: bytes
) -> bytes:  # fmt: skip
    """Hash of a row; `before` is the hash of the row before it."""
    # Surrogates stand for bytes of a damaged file that are no text: `verify` reads those, too.
    name = source.encode("utf-8", "surrogateescape")
    head = _ROW.pack(session_id, received_ns, len(name))
    return sha256(b"".join((before, head, name, data))).digest()


def rows_hash(rows: Iterable[tuple[object, ...]], begin: bytes = b"") -> bytes:
    """Hash of rows of other tables, one after the other; goes on where `begin` left off.

    Values are told apart by type and length, so that no two lists of rows read alike.
    """
    now = begin or bytes(HASH_BYTES)
    for row in rows:
        made = bytearray(now)
        for value in row:
            raw = (
                value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
            )
            made += type(value).__name__[:1].encode() + struct.pack(">I", len(raw)) + raw
        now = sha256(made).digest()
    return now


def chain_all(conn: sqlite3.Connection, archive_id: str) -> int:
    """Hash every datagram of an archive that had no chain; returns how many there are."""
    now, last, count = first_link(archive_id), -(1 << 63), 0
    sql = (
        "SELECT id, session_id, received_ns, source, data FROM datagrams WHERE id > ?"
        " ORDER BY id LIMIT ?"
    )
    while rows := conn.execute(sql, (last, _PAGE_ROWS)).fetchall():
        made = []
        for row_id, session_id, received_ns, source, data in rows:
            now = chained(now, session_id, received_ns, source, data)
            made.append((now, row_id))
        conn.executemany("UPDATE datagrams SET chain = ? WHERE id = ?", made)
        last, count = rows[-1][0], count + len(rows)
    return count
