"""Archives that fill every table, and how two of them are compared."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from gvc_base.archive import Archive, MarksRow
from gvc_base.archive_queue import transaction
from gvc_base.archive_seal import Signer
from gvc_base.console.view import LinkSample
from gvc_base.post.rows import columns_of, tables_of
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams

__all__ = ["Growing", "all_rows", "fill", "open_archive"]

PARAMS = LinkParams(framing=Framing(mtu_bytes=250), rate_bps=64_000.0, fec_percent=25.0)


def open_archive(path: Path, signer: Signer | None = None) -> tuple[Archive, int]:
    """An archive with one more session."""
    archive = Archive.create_or_open(path, signer=signer)
    session = archive.start_session(
        link_url="udp://0.0.0.0:1", profile_id="post", params=PARAMS, now_ns=5_000
    )
    return archive, session


def fill(archive: Archive, session: int, seed: int, count: int) -> None:
    """So many datagrams, and a row in every other table for some of them."""
    rng = random.Random(seed)
    first = archive.last_id + 1
    rows = [
        (n * 1000, f"peer-{n % 3}", rng.randbytes(rng.randint(1, 1400)))
        for n in range(first, first + count)
    ]
    archive.record_event(session, first, "note", {"text": f"seen {first}, ä€"})
    archive.record_event(
        session, first, "unit_recovered", {"boot": 1, "unit": first, "whole": True}
    )
    archive.record_marks(
        session,
        MarksRow(
            stream_id=0, boot_id=1, unit_no=first, frames=8, received=0.5, carried=0.25,
            enhanced=0.125, regenerated=0.1, lost=rng.random(), p_wrong=0.1,
        ),
    )  # fmt: skip
    archive.record_link_sample(
        session, 0, 1,
        LinkSample(
            time_ns=first, bit_s=1.5, loss=rng.random(), loss_repaired=0.0, burst=2.0, rssi_dbm=-70,
            noise_dbm=None, airtime_left_s=None, ladder_step=3, rate_bps=64_000, fec_percent=25,
            since_good_s=0.25,
        ),
    )  # fmt: skip
    archive.append(session, rows)
    with archive._mutex, transaction(archive._db.conn) as conn:  # what needs a decoder to be made
        unit = (session, 0, 1, first, first, 1, '{"detections": []}', "whole", "lost", 0)
        conn.execute(f"INSERT INTO units VALUES ({', '.join('?' * 10)})", unit)
        conn.execute("INSERT INTO models VALUES (?, ?, 'gvc standard', 'ab12')", (session, first))


class Growing:
    """A base in little: a thread that writes an archive until it is told to end."""

    def __init__(self, path: Path, seed: int, signer: Signer | None, pause_s: float = 0.02) -> None:
        self.path, self._seed, self._pause_s = path, seed, pause_s
        self.archive, self._session = open_archive(path, signer)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        seed = self._seed
        while not self._stop.is_set():
            seed += 1
            fill(self.archive, self._session, seed, 1 + seed % 12)
            time.sleep(self._pause_s)

    def close(self) -> None:
        """End, with the closing signature."""
        self._stop.set()
        self._thread.join(30)
        self.archive.close()


def all_rows(path: Path) -> dict[str, list[Any]]:
    """Every row of every table, with ids and hashes."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
        found = {
            table: conn.execute(f'SELECT rowid, * FROM "{table}" ORDER BY rowid').fetchall()
            for table in tables_of(conn)
        }
        found["meta"] = conn.execute("SELECT * FROM meta ORDER BY key").fetchall()
        assert all(columns_of(conn, table) for table in found)
    return found
