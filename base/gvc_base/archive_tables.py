"""The archive's tables and views by version, and how a file of an older version becomes one of today.

    version 1 -> 2: what a key vouches for          2 -> 3: hash chain, signatures, marks, link samples

A migration is one transaction: after a kill in the middle of it the file is what it was.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable

from gvc_base.archive_chain import chain_all

__all__ = ["OLDEST_VERSION", "SCHEMA_VERSION", "create_tables", "migrate"]

SCHEMA_VERSION = 3
OLDEST_VERSION = 1

_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
_TABLES = (
    _META,
    """CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        started_us INTEGER NOT NULL,  -- Unix time, microseconds
        link_url TEXT NOT NULL,
        profile_id TEXT NOT NULL,
        framing TEXT NOT NULL,        -- JSON, the fields of Framing
        params TEXT NOT NULL,         -- JSON, the other fields of LinkParams
        authenticated INTEGER NOT NULL DEFAULT 0,
        key_fingerprint TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE datagrams (
        id INTEGER PRIMARY KEY,
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        received_ns INTEGER NOT NULL, -- the time that the receiver was given, nanoseconds
        source TEXT NOT NULL,         -- peer address or port
        data BLOB NOT NULL,           -- one packet, or one read of a byte stream, untouched
        chain BLOB NOT NULL DEFAULT x'')""",
    """CREATE TABLE units (
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        stream_id INTEGER NOT NULL,
        boot_id INTEGER NOT NULL,
        unit_no INTEGER NOT NULL,
        closed_ns INTEGER NOT NULL,
        whole INTEGER NOT NULL,       -- 1: every part that was sent arrived
        descriptors TEXT,             -- JSON, NULL when part D is lost
        keyframe_state TEXT NOT NULL, -- whole, partial, lost, not_sent
        features_state TEXT NOT NULL,
        authenticated INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE events (
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        time_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL)         -- JSON object""",
    "CREATE INDEX datagrams_session ON datagrams (session_id)",
    "CREATE INDEX units_session ON units (session_id, stream_id, boot_id, unit_no)",
    "CREATE INDEX events_session ON events (session_id, time_ns)",
)

_SINCE_3 = (
    """CREATE TABLE signatures (
        id INTEGER PRIMARY KEY,
        last_id INTEGER NOT NULL,     -- datagrams 1..last_id are signed
        chain BLOB NOT NULL,          -- of that row
        sessions INTEGER NOT NULL,    -- sessions 1..sessions are signed
        sessions_hash BLOB NOT NULL,
        notes INTEGER NOT NULL,       -- so many events of the base's own are signed
        notes_hash BLOB NOT NULL,
        closing INTEGER NOT NULL,     -- 1: made when the archive was closed
        time_ns INTEGER NOT NULL,
        public_key BLOB NOT NULL,     -- Ed25519, 32 bytes
        signature BLOB NOT NULL)""",
    """CREATE TABLE models (
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        time_ns INTEGER NOT NULL,
        label TEXT NOT NULL,          -- codec, quality, weights, backend
        weights_sha256 TEXT NOT NULL) -- of the weights file, empty for a codec without""",
    """CREATE TABLE marks (
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        stream_id INTEGER NOT NULL,
        boot_id INTEGER NOT NULL,
        unit_no INTEGER NOT NULL,
        frames INTEGER NOT NULL,      -- that were shown
        received REAL NOT NULL,       -- shares of their tiles, 0..1
        carried REAL NOT NULL,
        enhanced REAL NOT NULL,
        regenerated REAL NOT NULL,
        lost REAL NOT NULL,
        p_wrong REAL NOT NULL)        -- mean over their tiles""",
    """CREATE TABLE link_samples (
        session_id INTEGER NOT NULL REFERENCES sessions(id),
        stream_id INTEGER NOT NULL,
        boot_id INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        bit_s REAL NOT NULL,
        loss REAL NOT NULL,           -- before repair, 0..1
        loss_repaired REAL NOT NULL,  -- share of the last minute's units that were not whole
        burst REAL NOT NULL,          -- mean, datagrams
        rssi_dbm INTEGER,
        noise_dbm INTEGER,
        airtime_left_s REAL,
        ladder_step INTEGER,
        rate_bps INTEGER,
        fec_percent INTEGER,
        since_good_s REAL)""",
    "CREATE INDEX marks_session ON marks (session_id, stream_id, boot_id, unit_no)",
    "CREATE INDEX link_samples_session ON link_samples (session_id, time_ns)",
    """CREATE VIEW frames AS
        SELECT session_id, stream_id, boot_id, unit_no, closed_ns,
               json_extract(descriptors, '$.first_frame') AS first_frame,
               json_extract(descriptors, '$.frames') AS frames,
               json_extract(descriptors, '$.fps') AS fps,
               json_extract(descriptors, '$.capture_us') AS capture_us
        FROM units WHERE descriptors IS NOT NULL""",
    """CREATE VIEW detections AS
        SELECT session_id, stream_id, boot_id, unit_no, closed_ns AS time_ns,
               json_extract(d.value, '$.class_id') AS class_id,
               json_extract(d.value, '$.score_pct') AS score_pct,
               json_extract(d.value, '$.x') AS x, json_extract(d.value, '$.y') AS y,
               json_extract(d.value, '$.width') AS width, json_extract(d.value, '$.height') AS height
        FROM units, json_each(units.descriptors, '$.detections') AS d""",
    """CREATE VIEW requests AS
        SELECT session_id, time_ns, json_extract(detail, '$.id') AS ask_id,
               json_extract(detail, '$.kind') AS kind, detail
        FROM events WHERE kind = 'asked'""",
    """CREATE VIEW answers AS
        SELECT session_id, time_ns, kind, json_extract(detail, '$.id') AS ask_id, detail
        FROM events WHERE kind IN
            ('acknowledged', 'region_answer', 'ask_given_up', 'unit_recovered', 'text_received')""",
    """CREATE VIEW operator_actions AS
        SELECT session_id, time_ns, kind, json_extract(detail, '$.text') AS text, detail
        FROM events WHERE kind IN ('note', 'bookmark', 'operator_action', 'asked')""",
    """CREATE VIEW clock_relations AS
        SELECT session_id, time_ns, json_extract(detail, '$.edge_less_base_us') AS edge_less_base_us,
               json_extract(detail, '$.round_trip_us') AS round_trip_us,
               json_extract(detail, '$.authenticated') AS authenticated
        FROM events WHERE kind = 'clock'""",
)

_TO_2 = (
    "ALTER TABLE sessions ADD COLUMN key_fingerprint TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE units ADD COLUMN authenticated INTEGER NOT NULL DEFAULT 0",
)
_TO_3 = ("ALTER TABLE datagrams ADD COLUMN chain BLOB NOT NULL DEFAULT x''", *_SINCE_3)


def create_tables(conn: sqlite3.Connection, *, application_id: int, software: str) -> None:
    """All or nothing, and before WAL is on: the main file alone is an archive from its first byte."""

    def work() -> None:
        for statement in (*_TABLES, *_SINCE_3):
            conn.execute(statement)
        rows = {
            "schema_version": str(SCHEMA_VERSION), "created_us": str(time.time_ns() // 1000),
            "software": software, "archive_id": secrets.token_hex(16),
        }  # fmt: skip
        conn.executemany("INSERT INTO meta VALUES (?, ?)", list(rows.items()))
        conn.execute(f"PRAGMA application_id={application_id}")
        conn.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    _exclusively(conn, work)


def migrate(conn: sqlite3.Connection, version: int) -> None:
    """Bring a file of `version` up to today's. Its rows stay as they are; the chain over them begins
    now, and the file says so: what was changed before is not found."""

    def work() -> None:
        if version < 2:
            for statement in _TO_2:
                conn.execute(statement)
        for statement in _TO_3:
            conn.execute(statement)
        archive_id = secrets.token_hex(16)
        old = chain_all(conn, archive_id)
        rows = {
            "archive_id": archive_id, "chained_us": str(time.time_ns() // 1000),
            "rows_before_chain": str(old),
        }  # fmt: skip
        conn.executemany("INSERT INTO meta VALUES (?, ?)", list(rows.items()))
        conn.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (SCHEMA_VERSION,))
        conn.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    _exclusively(conn, work)


def _exclusively(conn: sqlite3.Connection, work: Callable[[], None]) -> None:
    conn.execute("BEGIN EXCLUSIVE")
    try:
        work()
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
