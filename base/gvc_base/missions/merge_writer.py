"""The archive that a merge makes, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gvc_base.archive import Archive
from gvc_base.archive_merged import create_merged_tables, tables_hash
from gvc_base.archive_queue import transaction
from gvc_protocol.auth import LinkKey
from gvc_protocol.receiver import LinkReceiver

__all__ = ["MergeReport", "MergeWriter", "PartReport", "units_alone"]


@dataclass(slots=True, kw_only=True)
class PartReport:
    """One original."""

    name: str
    datagrams: int
    whole: int
    degraded: int
    state: str
    "Whether it was signed, and how far."
    clock_ahead_ns: int
    clock_about: str


@dataclass(slots=True, kw_only=True)
class MergeReport:
    """What was merged, and what came of it."""

    parts: list[PartReport]
    datagrams: int = 0
    common: int = 0
    "Datagrams that more than one base had heard: fed once."
    whole: int = 0
    degraded: int = 0


class MergeWriter(Archive):
    """The archive that is made: rows as they are, without settings read and written again."""

    def begin(self) -> None:
        """Make the tables that only a merged archive has."""
        create_merged_tables(self._db.conn)

    def copy_session(self, row: tuple[Any, ...]) -> int:
        """A row of `sessions` without its id; returns the new one."""
        marks = ", ".join("?" * len(row))
        sql = (
            "INSERT INTO sessions (started_us, link_url, profile_id, framing, params,"
            f" authenticated, key_fingerprint) VALUES ({marks})"
        )
        with transaction(self._db.conn) as conn:
            made = int(conn.execute(sql, row).lastrowid or 0)
        self._sessions.add(made)
        return made

    def insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Rows of any table, as they are.

        Raises:
            sqlite3.Error: the disk does not take them.
        """
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            with transaction(self._db.conn) as conn:
                conn.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def hash_of_tables(self) -> str:
        """See `tables_hash`."""
        return tables_hash(self._db.conn)


def units_alone(archive: Archive, key: LinkKey | None) -> tuple[int, int]:
    """(whole, degraded) that one base had; where it noted none, the record is received for them."""
    noted = archive.fetch("SELECT total(whole), total(NOT whole) FROM units")[0]
    if any(noted):
        return int(noted[0]), int(noted[1])
    whole = degraded = 0
    for row in archive.sessions():
        own = key if key is not None and row.key_fingerprint == key.fingerprint else None
        receiver = LinkReceiver(row.params, key=own, replay=archive.replay_state(row.id))
        now = 0
        for now, data in archive.datagrams(row.id):
            receiver.receive(data, now)
        receiver.close(now)
        whole += receiver.counters.units_whole
        degraded += receiver.counters.units_degraded
    return whole, degraded
