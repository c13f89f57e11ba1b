"""A batch of rows as bytes: MessagePack in zlib, so that the post can read it and a person can, too.

    {"v": 1, "archive": id, "version": tables', "name": mission, "link": hash, "meta": {..} or nil,
     "before": [{table: id}, meta hash], "after": the same, "tables": {table: [columns, rows]}}

What comes from the server is judged before it is used: whoever may publish there may send anything.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from gvc_base.post.rows import Batch, Cursor, PostError, TableRows

__all__ = ["pack", "unpack"]

_VERSION = 1
_MAX_UNPACKED_BYTES = 64 << 20
_LEVEL = 6
_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_VALUES = (int, float, str, bytes, type(None))


def pack(batch: Batch) -> bytes:
    """The bytes of a message."""
    import msgpack

    made = {
        "v": _VERSION, "archive": batch.archive_id, "version": batch.version, "name": batch.name,
        "link": batch.link, "meta": None if batch.meta is None else dict(batch.meta),
        "before": [dict(batch.before.tables), batch.before.meta],
        "after": [dict(batch.after.tables), batch.after.meta],
        "tables": {name: [t.columns, t.rows] for name, t in batch.tables.items()},
    }  # fmt: skip
    return zlib.compress(msgpack.packb(made), _LEVEL)


def unpack(data: bytes) -> Batch:
    """The batch of a message.

    Raises:
        PostError: it is none, or of a newer kind.
    """
    import msgpack

    try:
        opener = zlib.decompressobj()
        plain = opener.decompress(data, _MAX_UNPACKED_BYTES)
        if opener.unconsumed_tail or not opener.eof:
            raise PostError("a message for the command post is cut short, or too large")
        made = msgpack.unpackb(plain, use_list=False)
        if made["v"] != _VERSION:
            raise PostError(
                f"a message for the command post is of kind {made['v']!r:.20}, which this program does "
                "not know; update gvc-field"
            )
        return _batch(made)
    except (
        zlib.error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        msgpack.UnpackException,
    ):
        raise PostError("a message for the command post is no batch of rows") from None


def _batch(made: dict[str, Any]) -> Batch:
    meta = made["meta"]
    if meta is not None:
        meta = {_typed(k, str): _typed(v, str) for k, v in meta.items()}
    if not _ID.fullmatch(made["archive"]) or (meta and meta["archive_id"] != made["archive"]):
        raise ValueError("archive id")
    return Batch(
        archive_id=made["archive"], version=_typed(made["version"], int),
        name=_typed(made["name"], str), link=_typed(made["link"], bytes), meta=meta,
        before=_cursor(made["before"]), after=_cursor(made["after"]),
        tables={_named(n): _table(*t) for n, t in made["tables"].items()},
    )  # fmt: skip


def _cursor(made: Any) -> Cursor:
    tables, meta = made
    return Cursor({_named(n): _typed(at, int) for n, at in tables.items()}, _typed(meta, str))


def _table(columns: Any, rows: Any) -> TableRows:
    names = tuple(_named(c) for c in columns)
    last = 0
    for row in rows:
        if type(row) is not tuple or len(row) != len(names) + 1 or _typed(row[0], int) <= last:
            raise ValueError("rows")
        if any(type(v) not in _VALUES or (type(v) is int and v >= 1 << 63) for v in row):
            raise ValueError("values")
        last = row[0]
    return TableRows(names, list(rows))


def _named(name: Any) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("name")
    return str(name)


def _typed(value: Any, kind: type) -> Any:
    # `type`, not `isinstance`: True is no row id.
    if type(value) is not kind:
        raise ValueError("type")
    return value
