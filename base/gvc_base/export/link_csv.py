"""Link statistics of a mission as CSV, a row a second, units in the names of the columns.

Of seconds that the base kept samples of (archive version 3) each row is one of those, untouched. Of a
session without any, rows are counted from its datagrams: bytes and datagrams alone. `from` says which.
Columns that a radio or edge did not tell are empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from gvc_base.archive import Archive
from gvc_base.archive_read import ArchiveReads
from gvc_base.export.words import utc
from gvc_protocol.errors import UserError

__all__ = ["COLUMNS", "link_rows", "write_csv"]

COLUMNS = (
    "time_utc", "time_unix_ns", "session", "link_url", "stream", "boot", "bit_per_s",
    "datagrams_lost_before_repair_share", "units_not_whole_last_minute_share",
    "loss_burst_mean_datagrams", "rssi_dbm", "noise_dbm", "airtime_left_s", "ladder_step",
    "edge_rate_bit_per_s", "edge_fec_percent", "since_whole_unit_s", "datagrams", "from",
)  # fmt: skip
_SAMPLES = (
    "SELECT time_ns, stream_id, boot_id, bit_s, loss, loss_repaired, burst, rssi_dbm, noise_dbm,"
    " airtime_left_s, ladder_step, rate_bps, fec_percent, since_good_s FROM link_samples"
    " WHERE session_id = ? AND (? < 0 OR stream_id = ?) ORDER BY time_ns, stream_id"
)
_COUNTED = (
    "SELECT received_ns / 1000000000 AS second, sum(length(data)) * 8, count(*) FROM datagrams"
    " WHERE session_id = ? GROUP BY second ORDER BY second"
)
_BARE = 10
"Columns of a sample that datagrams alone do not tell, behind the rate."


def write_csv(
    path: Path, file: IO[bytes], *, session: int | None = None, stream: int | None = None
) -> int:
    """Write it; returns the number of rows.

    Args:
        session, stream: only these.

    Raises:
        UserError: the archive cannot be read, or has no such session, or nothing was received.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    out = csv.writer(text)
    out.writerow(COLUMNS)
    number = 0
    with closing(Archive.open_readonly(path)) as archive:
        for row in link_rows(archive, session, stream):
            out.writerow(["" if value is None else value for value in row])
            number += 1
    text.detach()
    if not number:
        raise UserError(f"{path} has no link statistics: nothing was received in it")
    return number


def link_rows(
    archive: ArchiveReads, session: int | None, stream: int | None
) -> Iterator[list[Any]]:
    """Values by COLUMNS, None where untold. Raises UserError as `write_csv` does."""
    known = archive.sessions()
    chosen = [row for row in known if session is None or row.id == session]
    if not chosen:
        ids = ", ".join(str(row.id) for row in known) or "none"
        raise UserError(f"{archive.path} has no session {session}; it has: {ids}")
    for one in chosen:
        samples = []
        if archive.version >= 3:
            wanted = -1 if stream is None else stream
            samples = archive.fetch(_SAMPLES, (one.id, wanted, wanted))
        for time_ns, *told in samples:
            yield [utc(time_ns), time_ns, one.id, one.link_url, *told, None, "base"]
        if not samples:
            for second, bits, count in archive.fetch(_COUNTED, (one.id,)):
                at = second * 10**9
                bare = [None] * _BARE
                yield [
                    utc(at), at, one.id, one.link_url, None, None, float(bits), *bare, count,
                    "datagrams",
                ]  # fmt: skip
