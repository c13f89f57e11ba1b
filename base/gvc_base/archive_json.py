"""The JSON columns of the archive: link settings (read back exactly) and part D (for SQL queries)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from gvc_protocol.codec import PartData
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.errors import LocalProtocolError, UserError
from gvc_protocol.events import (
    DatagramRejected,
    DatagramsRejected,
    MessageReady,
    SessionStarted,
)
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams

__all__ = [
    "RECEIVER_KINDS",
    "descriptors_to_json",
    "event_to_note",
    "params_from_json",
    "params_to_json",
    "part_state",
]

_SINCE_VERSION_1: dict[str, object] = {
    "encrypted": False, "packet_least_bytes": 0, "join_bytes": 0, "stall_ns": 2_000_000_000,
}  # fmt: skip
"""Settings that archives of version 1 do not have, with the value that their links had. Settings which
are added later belong here, too."""


def part_state(part: PartData) -> str:
    """`whole`, `partial`, `lost`, or `not_sent` (left out by the edge: no loss)."""
    if not part.sent:
        return "not_sent"
    if part.complete:
        return "whole"
    return "partial" if part.ranges else "lost"


def descriptors_to_json(descriptors: Descriptors) -> str:
    """Part D for SQL queries: `fps` is `numerator/denominator`, bytes are hexadecimal, `truth.slices`
    rows of 0 to 4."""
    made = asdict(replace(descriptors, truth=None))
    del made["truth"]  # absent where none came: rows of before there were any stay as they are
    if (truth := descriptors.truth) is not None:
        made["truth"] = {"proxy": truth.proxy, "slices": truth.levels.tolist()}
    made["fps"] = f"{descriptors.fps.numerator}/{descriptors.fps.denominator}"
    made["weights_prefix"] = descriptors.weights_prefix.hex()
    made["unknown"] = [[kind, data.hex()] for kind, data in descriptors.unknown]
    return json.dumps(made)


RECEIVER_KINDS = ("session_started", "datagram_rejected", "datagrams_rejected", "message")
"Events that a replay of the record gives anew."


def event_to_note(
    event: SessionStarted | DatagramRejected | DatagramsRejected | MessageReady,
) -> tuple[str, dict[str, Any]]:
    """(kind, detail) of an event of the receiver, other than a unit."""
    if isinstance(event, DatagramRejected):
        return "datagram_rejected", {"reason": event.reason.name.lower(), "bytes": len(event.raw)}
    if isinstance(event, DatagramsRejected):
        counts = {reason.name.lower(): n for reason, n in event.counts.items()}
        return "datagrams_rejected", {"since_ns": event.since, "counts": counts}
    who = {"stream_id": event.stream_id, "boot_id": event.boot_id}
    if isinstance(event, SessionStarted):
        return "session_started", {**who, "authenticated": event.authenticated}
    said = {"message_no": event.message_no, "bytes": len(event.data)}
    side = {"from_base": event.from_base, "authenticated": event.authenticated}
    return "message", {**who, **said, **side}


def params_to_json(params: LinkParams) -> str:
    """Every field of `params` as one JSON object, the framing nested under `framing`.

    JSON has no infinity, so a rate without limit is the string `inf`.
    """
    made = asdict(params)
    for name, value in made.items():
        if isinstance(value, float) and not math.isfinite(value):
            made[name] = str(value)
    return json.dumps(made, sort_keys=True)


def params_from_json(text: str) -> LinkParams:
    """The settings that `params_to_json` wrote, in this version or an earlier one.

    Raises:
        UserError: a setting is missing, unknown or out of range. None is guessed: with another
            value a replay would not give the mission that was recorded.
    """
    try:
        made = json.loads(text)
        if isinstance(made, dict):
            made = {**_SINCE_VERSION_1, **made}
        return LinkParams(**_read_fields(LinkParams, made))
    except (ValueError, TypeError, LocalProtocolError, RecursionError) as error:
        raise UserError(f"the archive's link settings cannot be used ({error})") from None


def _read_fields(cls: type[LinkParams] | type[Framing], made: object) -> dict[str, Any]:
    if not isinstance(made, Mapping):
        raise TypeError(f"{cls.__name__} is no object")
    names = {field.name for field in fields(cls)}
    if odd := sorted(names ^ set(made)):
        raise ValueError(f"missing or unknown: {', '.join(map(str, odd))}")
    return {f.name: _read_field(f.name, str(f.type), made[f.name]) for f in fields(cls)}


def _read_field(name: str, kind: str, value: object) -> object:
    if kind == "Framing":
        return Framing(**_read_fields(Framing, value))
    if kind == "float" and value in ("inf", "nan"):
        return float(str(value))
    wanted = {"int": (int,), "float": (int, float), "bool": (bool,)}[kind]
    if not isinstance(value, wanted) or (kind != "bool" and isinstance(value, bool)):
        raise TypeError(f"{name} is no {kind}")
    return value
