"""One message of each record, and some that a reader must survive, for `messages.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gvc_protocol.messages import (
    Ack,
    AckStatus,
    Arrivals,
    KeyframeRequest,
    ModeCommand,
    OperatorText,
    RateCommand,
    Record,
    RegionAnswer,
    RegionRequest,
    RegionStatus,
    Report,
    Resume,
    Setting,
    TimeAnswer,
    TimeAsk,
    UnitAnswer,
    pack_message,
)

_ID = 0x0003_0007
_REPORT = Report(
    boot_id=0x0304, seq=0x050607, heard_at=0x0809, age=300, received=0x0A0B, lost=0x0C0D,
    bursts=0x0E0F, repaired=0x1011, whole=0x12, degraded=0x13, queue=0x14,
)  # fmt: skip
_REGION = RegionRequest(
    command_id=_ID, boot_id=3, unit_no=77, offset=12, x=600, y=304, width=96, height=64
)
EXAMPLES: dict[str, list[Record]] = {
    "report": [_REPORT],
    "report_with_rssi": [
        Report(**{**asdict(_REPORT), "age": 0, "rssi_dbm": -97, "noise_dbm": -110})
    ],
    "ack": [Ack(command_id=_ID, status=AckStatus.WORKING)],
    "keyframe_request": [KeyframeRequest(command_id=_ID)],
    "region_request": [_REGION],
    "rate_command": [RateCommand(command_id=_ID, rate_bps=12_000)],
    "mode_command": [ModeCommand(command_id=_ID, finest=1, coarsest=3)],
    "time_ask": [TimeAsk(sent_us=1_753_000_000_123_456)],
    "time_answer": [
        TimeAnswer(
            asked_us=1_753_000_000_123_456, received_us=1_753_000_000_223_456,
            answered_us=1_753_000_000_223_999,
        )
    ],
    "operator_text": [OperatorText(command_id=_ID, text="zurück zum Dach, 2. Stock")],
    "resume": [Resume(command_id=_ID, boot_id=3, next_unit=90, wanted=((4, 1), (80, 6)))],
    "region_answer": [
        RegionAnswer(command_id=_ID, boot_id=3, unit_no=77, layer=1, last=False, patch=b"\x0c\x4b")
    ],
    "region_answer_no_picture": [
        RegionAnswer(command_id=_ID, boot_id=3, unit_no=77, status=RegionStatus.NO_PICTURE)
    ],
    "setting": [
        Setting(rate_bps=12_800, fec_percent=70, interleave=1, finest=2, closed_loop=True)
    ],
    "unit_answer": [
        UnitAnswer(boot_id=3, unit_no=4, descriptors=b"dd", keyframe=b"kkk", features=b"ffff")
    ],
    "report_with_arrivals": [_REPORT, Arrivals(((1, 12, 0), (3, 40, 2), (300, 9000, 0)))],
    "report_and_commands": [_REPORT, Ack(command_id=9), _REGION],
}  # fmt: skip

SKIPPED = {
    "unknown_type": bytes.fromhex("c803aabbcc") + pack_message(EXAMPLES["ack"]),
    "known_type_of_impossible_length": bytes.fromhex("060100") + pack_message(EXAMPLES["ack"]),
    "more_lost_than_sent": bytes.fromhex("0e03010501") + pack_message(EXAMPLES["ack"]),
    "tail_cut": pack_message(EXAMPLES["ack"]) + bytes.fromhex("0305aa"),
}
"Each reads as the record of `ack` alone."


def message_table() -> dict[str, Any]:
    """The vector file: name, kind of each record, bytes."""
    return {
        "messages": [
            {"name": name, "kinds": [int(r.kind) for r in records], "hex": pack_message(records).hex()}
            for name, records in EXAMPLES.items()
        ],
        "skipped": [{"name": name, "hex": data.hex()} for name, data in SKIPPED.items()],
    }  # fmt: skip
