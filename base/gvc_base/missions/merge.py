"""`gvc-base missions merge`: what several base stations recorded of one flight, in one archive.

    originals -> verified -> overlap (clocks) -> rows of all in order of time, copied as they are
    -> each datagram once -> one receiver -> units that each had only in part become whole

Every row of every original is kept with its session, and the originals' sessions, notes and signatures
with it (`gvc_base.archive_merged`). What is fed to the receiver is a session of its own.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gvc_base.archive import Archive
from gvc_base.archive_merged import (
    MERGED_KIND,
)
from gvc_base.archive_read import SessionRow
from gvc_base.archive_schema import explain
from gvc_base.archive_seal import Signer
from gvc_base.archive_verify import Verification, verify_archive
from gvc_base.missions.facts import is_written
from gvc_base.missions.merge_writer import MergeReport, MergeWriter, PartReport, units_alone
from gvc_base.missions.overlap import (
    FIRST_CLOCK,
    Clock,
    Heard,
    HeardRow,
    clock_of,
    heard_rows,
    identity,
)
from gvc_protocol.auth import LinkKey
from gvc_protocol.errors import UserError
from gvc_protocol.events import UnitReady
from gvc_protocol.framing import Framing
from gvc_protocol.params import SECOND
from gvc_protocol.receiver import LinkReceiver
from gvc_protocol.replay import ReplayGuard

__all__ = ["MergeReport", "PartReport", "merge_archives"]

_BATCH = 1024
_SAME_NS = 60 * SECOND
"Equal datagrams of two bases further apart than this are not one transmission."
_FEED_MTU = 1400
_COPIED = ("units", "events", "marks", "link_samples", "models")
"Tables whose rows begin with their session."


@dataclass(slots=True, kw_only=True)
class _Part:
    number: int
    archive: Archive
    verified: Verification
    heard: Heard
    clock: Clock
    sessions: dict[int, int] = field(default_factory=dict)
    "Original id: new one."


def merge_archives(
    paths: Sequence[Path], out: Path, *, key: LinkKey | None, signer: Signer | None,
    on_step: Callable[[str, float], None] = lambda _what, _share: None,
) -> MergeReport:  # fmt: skip
    """Make one archive of what several bases recorded of one flight; the originals stay as they are.

    Args:
        paths: two or more; all times are told by the first one's clock.
        out: must not be there yet.
        key: of the sessions that were recorded with one.
        signer: signs the merged archive.
        on_step: told what goes on and how much of it is done, 0..1.

    Raises:
        UserError: an original is damaged, has no chain, needs another key, or was merged itself; the
            disk does not take it. Nothing is left under `out` then.
    """
    if out.exists():
        raise UserError(f"{out} is there already; name another file, no archive is overwritten")
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UserError("name two or more different archives to merge")
    fresh = out.with_name(f".{out.name}.part")
    with ExitStack() as stack:
        parts = [_open(stack, n, path, key, on_step) for n, path in enumerate(paths, start=1)]
        _set_clocks(parts)
        stack.callback(_drop, fresh)
        _drop(fresh)
        try:
            with MergeWriter.create_or_open(fresh, signer=signer) as writer:
                assert isinstance(writer, MergeWriter)
                report = _Merge(writer, parts, key, on_step).run()
        except sqlite3.Error as error:
            raise UserError(f"cannot write {out}: {explain(error)}") from None
        fresh.replace(out)
    return report


def _drop(path: Path) -> None:
    for end in ("", "-wal", "-shm", ".lock"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _open(
    stack: ExitStack, number: int, path: Path, key: LinkKey | None,
    on_step: Callable[[str, float], None],
) -> _Part:  # fmt: skip
    if is_written(path):
        raise UserError(f"{path} is being written by a base; merge it when that has ended")
    verified = verify_archive(path, on_progress=lambda share: on_step(f"verifying {path}", share))
    if not verified.whole:
        raise UserError(
            f"{path} is damaged: {verified.problems[0]}; a merged archive would hide that. "
            "Merge an undamaged copy"
        )
    archive = stack.enter_context(closing(Archive.open_readonly(path)))
    if archive.fetch("SELECT 1 FROM sqlite_master WHERE name = 'merged_rows'"):
        raise UserError(f"{path} was merged itself; merge the originals, all at once")
    for row in archive.sessions():
        if row.key_fingerprint and (key is None or key.fingerprint != row.key_fingerprint):
            raise UserError(
                f"{path} was recorded with key {row.key_fingerprint}; give --key FILE with it: "
                "forgeries that its base refused must not come in by the merge"
            )
    heard = Heard()
    total = max(1, verified.rows)
    for one in heard_rows(archive, key):
        heard.add(one)
        if one.id % 4096 == 0:
            on_step(f"reading {path}", one.id / total)
    if not heard.names:
        raise UserError(f"{path} holds no datagram of a camera; there is nothing to merge in it")
    return _Part(number=number, archive=archive, verified=verified, heard=heard, clock=FIRST_CLOCK)


def _set_clocks(parts: list[_Part]) -> None:
    for at, part in enumerate(parts[1:], start=1):
        before = [(p.heard, p.clock) for p in parts[:at]]
        part.clock = clock_of(part.heard, part.archive, before, parts[0].archive)


class _Merge:
    def __init__(
        self, writer: MergeWriter, parts: list[_Part], key: LinkKey | None,
        on_step: Callable[[str, float], None],
    ) -> None:  # fmt: skip
        self._writer, self._parts, self._key, self._on_step = writer, parts, key, on_step
        self._feed_of: dict[tuple[int, int], int] = {}
        "(part, original session): the session that feeds on it."
        self._feed_ends: dict[int, int] = {}
        self._common = 0
        self._heard: dict[bytes, tuple[int, int, int]] = {}
        "Datagram: part, time and row of its first copy."
        self._order: deque[tuple[int, bytes]] = deque()
        self._fed_ns: dict[int, int] = {}

    def run(self) -> MergeReport:
        self._writer.begin()
        for part in self._parts:
            self._copy_sessions(part)
        self._make_feeds()
        self._copy_datagrams()
        for part in self._parts:
            self._copy_rest(part)
        self._writer.record_event(min(self._feed_ends), *self._statement())
        self._flush()
        return self._report([self._derive(feed) for feed in sorted(self._feed_ends)])

    # --- what is copied

    def _copy_sessions(self, part: _Part) -> None:
        columns = (
            "started_us, link_url, profile_id, framing, params, authenticated, key_fingerprint"
        )
        for row_id, *row in part.archive.fetch(f"SELECT id, {columns} FROM sessions ORDER BY id"):
            part.sessions[row_id] = self._writer.copy_session(tuple(row))
        facts = part.archive.fetch("SELECT value FROM meta WHERE key = 'archive_id'")
        last = part.archive.fetch("SELECT id, chain FROM datagrams ORDER BY id DESC LIMIT 1")[0]
        name, clock = part.archive.path.name, part.clock
        row = (part.number, name, facts[0][0], last[0], last[1], clock.middle_ns, clock.about)
        self._writer.insert("merged_from", [row])
        rows = [(new, part.number, old) for old, new in part.sessions.items()]
        self._writer.insert("merged_sessions", rows)
        signatures = part.archive.fetch("SELECT * FROM signatures ORDER BY id")
        self._writer.insert("merged_signatures", [(part.number, *row) for row in signatures])

    def _copy_rest(self, part: _Part) -> None:
        """Notes, derived rows and samples, in their order: the notes are signed in it."""
        for table in _COPIED:
            last = -(1 << 63)
            sql = f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_BATCH}"
            while rows := part.archive.fetch(sql, (last,)):
                last = rows[-1][0]
                made = [(part.sessions[session], *row) for _, session, *row in rows]
                self._writer.insert(table, made)

    def _copy_datagrams(self) -> None:
        """Rows of all parts by corrected time; the rows of one stay in their order."""
        total = sum(part.verified.rows for part in self._parts)
        batch: list[tuple[int, list[tuple[int, str, bytes]]]] = []
        told: list[tuple[Any, ...]] = []
        row_id = 0
        for row_id, (now, part, row) in enumerate(self._in_order(), start=1):
            batch.append((part.sessions[row.session_id], [(row.received_ns, row.source, row.data)]))
            told.append((row_id, part.number, row.id, *self._fed(row_id, now, part, row)))
            if len(batch) == _BATCH:
                self._write(batch, told)
                self._on_step("merging", row_id / total)
        self._write(batch, told)
        if row_id != total:
            raise UserError("an archive grew while it was merged; wait until its base has ended")

    def _in_order(self) -> Iterator[tuple[int, _Part, HeardRow]]:
        def timed(part: _Part) -> Iterator[tuple[int, int, _Part, HeardRow]]:
            for row in heard_rows(part.archive, self._key):
                if row.id > part.verified.rows:
                    return
                now = part.clock.corrected(row.id, row.received_ns)
                yield now, part.number, part, row

        merged = heapq.merge(*(timed(p) for p in self._parts), key=lambda item: item[:2])
        return ((now, part, row) for now, _, part, row in merged)

    def _write(
        self, batch: list[tuple[int, list[tuple[int, str, bytes]]]], told: list[tuple[Any, ...]]
    ) -> None:
        if batch:
            self._writer.append_all(batch)
            self._healthy()
            self._writer.insert("merged_rows", told)
        batch.clear()
        told.clear()

    # --- what is fed

    def _make_feeds(self) -> None:
        """One feed for all sessions that heard the same start of a camera, over all parts."""
        groups: list[tuple[set[tuple[int, int]], list[tuple[_Part, SessionRow]]]] = []
        for part in self._parts:
            for row in part.archive.sessions():
                streams = set(part.heard.streams.get(row.id, ()))
                if not streams:
                    continue
                members = [(part, row)]
                for group in [g for g in groups if g[0] & streams]:
                    groups.remove(group)
                    streams, members = streams | group[0], [*group[1], *members]
                groups.append((streams, members))
        for _, members in groups:
            feed = self._start_feed(members)
            for part, row in members:
                self._feed_of[part.number, row.id] = feed

    def _start_feed(self, members: list[tuple[_Part, SessionRow]]) -> int:
        _, most = max(members, key=lambda m: m[0].heard.counts[m[1].id])
        settings = [row.params for _, row in members]
        params = replace(
            most.params, framing=Framing(mtu_bytes=_FEED_MTU, stream=True),
            tagged=any(p.tagged for p in settings), encrypted=any(p.encrypted for p in settings),
            hold_ns=max(p.hold_ns for p in settings),
            reorder_ns=max(p.reorder_ns for p in settings),
            close_after_ns=max(p.close_after_ns for p in settings),
        )  # fmt: skip
        urls = dict.fromkeys(row.link_url for _, row in members)
        first = min(p.clock.corrected(0, row.started_us * 1000) for p, row in members)
        feed = self._writer.start_session(
            link_url=f"merged:{'+'.join(urls)}", profile_id=most.profile_id, params=params,
            now_ns=first, key_fingerprint="" if self._key is None else self._key.fingerprint,
        )  # fmt: skip
        if self._key is not None:
            # What is fed was believed by a base, with what it knew; nothing before it has to be known.
            self._writer.record_replay_state(feed, first, ReplayGuard())
        ends = [self._end_of(p, row) for p, row in members]
        self._feed_ends[feed] = max(ends)
        return feed

    def _end_of(self, part: _Part, row: SessionRow) -> int:
        ends = part.archive.ends(row.id)
        assert ends is not None
        sql = "SELECT max(time_ns) FROM events WHERE session_id = ? AND kind = 'session_ended'"
        ended = part.archive.fetch(sql, (row.id,))[0][0]
        return part.clock.corrected(ends[1], max(ends[3], ended or 0))

    def _fed(
        self, row_id: int, now: int, part: _Part, row: HeardRow
    ) -> tuple[int | None, int | None, int | None, bytes | None]:
        """(same_as, feed, fed_ns, fed) of a row."""
        new, same_as = [], None
        for _, packed in row.datagrams:
            first = self._first_copy(identity(packed), now, part.number, row_id)
            if first is None:
                new.append(packed)
            else:
                same_as = first
                self._common += 1
        if not new:
            return same_as, None, None, None
        feed = self._feed_of[part.number, row.session_id]
        before = self._fed_ns.get(feed, now)
        if before - SECOND < now < before:
            now = (
                before  # what is left of the clocks' error; a clock that was set is another matter
            )
        self._fed_ns[feed] = now
        fed = b"".join(new)
        return same_as, feed, now, None if fed == row.data else fed

    def _first_copy(self, name: bytes, now: int, part: int, row_id: int) -> int | None:
        """Row of the same datagram at another base, if that was the same transmission."""
        while self._order and self._order[0][0] < now - _SAME_NS:
            at, old = self._order.popleft()
            if self._heard[old][1] == at:
                del self._heard[old]
        first = self._heard.get(name)
        if first is None:
            self._heard[name] = (part, now, row_id)
            self._order.append((now, name))
            return None
        return None if first[0] == part else first[2]

    # --- what came of it

    def _statement(self) -> tuple[int, str, dict[str, Any]]:
        """(time, kind, detail) of the note that is signed: what was merged."""
        parts = [
            {
                "part": p.number, "name": p.archive.path.name, "datagrams": p.verified.rows,
                "signed_to": p.verified.signed_to, "keys": p.verified.fingerprints,
            }
            for p in self._parts
        ]  # fmt: skip
        detail = {"parts": parts, "tables": self._writer.hash_of_tables()}
        return min(self._feed_ends.values()), MERGED_KIND, detail

    def _derive(self, feed: int) -> tuple[int, int]:
        """Units of a feed: (whole, degraded)."""
        params = next(row.params for row in self._writer.sessions() if row.id == feed)
        receiver = LinkReceiver(params, key=self._key, replay=ReplayGuard())
        whole = degraded = 0

        def take() -> None:
            nonlocal whole, degraded
            while (event := receiver.next_event()) is not None:
                self._writer.record(feed, event)
                if isinstance(event, UnitReady):
                    whole += event.unit.whole
                    degraded += not event.unit.whole

        for number, (now, data) in enumerate(self._writer.datagrams(feed)):
            receiver.receive(data, now)
            take()
            if number % _BATCH == 0:
                self._flush()
        end = max(self._feed_ends[feed], self._fed_ns[feed])
        self._writer.record_event(feed, end, "session_ended", {})
        receiver.close(end)
        take()
        self._flush()
        return whole, degraded

    def _flush(self) -> None:
        self._writer.flush()
        self._healthy()

    def _healthy(self) -> None:
        if not self._writer.health.ok:
            raise UserError(self._writer.health.line)

    def _report(self, units: list[tuple[int, int]]) -> MergeReport:
        parts = []
        for part in self._parts:
            counts = units_alone(part.archive, self._key)
            parts.append(
                PartReport(
                    name=str(part.archive.path), datagrams=part.verified.rows,
                    whole=counts[0], degraded=counts[1], state=part.verified.state,
                    clock_ahead_ns=part.clock.middle_ns, clock_about=part.clock.about,
                )
            )  # fmt: skip
        return MergeReport(
            parts=parts, datagrams=sum(p.datagrams for p in parts), common=self._common,
            whole=sum(w for w, _ in units), degraded=sum(d for _, d in units),
        )  # fmt: skip
