"""The MCAP of a mission, read by the mcap library, its video by FFmpeg."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from pathlib import Path

import av
import jsonschema
from mcap.reader import make_reader

from gvc_base.export.mcap_schemas import SCHEMAS
from tests.export.conftest import Program


def test_all_of_a_mission_stands_on_one_time_line(
    mission: Path, placeless: Path, tmp_path: Path, program: Program
) -> None:
    out = tmp_path / "flight.mcap"
    words = ("--format", "mcap", "--out", out, "--quality", "preview", "--ground", "540")
    assert program("export", mission, *words)[0] == 0
    topics: dict[str, list[tuple[int, dict[str, object]]]] = {}
    with out.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages():
            told = json.loads(message.data)
            assert schema is not None and json.loads(schema.data) == SCHEMAS[schema.name]
            jsonschema.validate(told, SCHEMAS[schema.name])
            topics.setdefault(channel.topic, []).append((message.log_time, told))
        about = {m.name: m.metadata for m in reader.iter_metadata()}
    assert "flat ground at 540 m" in about["gvc-field"]["about"]
    counts = {topic: len(rows) for topic, rows in topics.items()}
    assert counts.pop("/log") >= 5 + 2
    assert counts == {"/video": 48, "/marks": 48, "/location": 5, "/map": 5, "/link": 5}
    times = [time for time, _ in topics["/video"]]
    assert [b - a for a, b in pairwise(times)] == [125_000_000] * 47

    decoder = av.CodecContext.create("h264", "r")
    shown = 0
    for _, told in topics["/video"]:
        packet = base64.b64decode(str(told["data"]))
        assert packet.startswith(b"\0\0\0\1")
        frames = [*decoder.decode(av.Packet(packet))]
        shown += len(frames)
    shown += len(decoder.decode(None))
    assert shown == 48 and (decoder.width, decoder.height) == (160, 96)
    kinds = [f["properties"]["kind"] for _, told in topics["/map"]
             for f in json.loads(str(told["geojson"]))["features"]]  # fmt: skip
    assert kinds.count("camera") == kinds.count("footprint") == 5 and "lost" in kinds
    texts = [str(told["message"]) for _, told in topics["/log"]]
    assert any("unit 3 lost" in text for text in texts)
    assert any("person 0" in text for text in texts)
    lost = [told for _, told in topics["/marks"] if told["unit"] == 3]
    assert all(told["lost"] == 1 for told in lost)

    code, said, _ = program("export", placeless, *words)
    assert code == 0 and "/location and /map are empty" in said
