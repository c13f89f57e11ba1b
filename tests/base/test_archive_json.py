"""What the archive tells of part D in SQL: every record of it, as JSON."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given

from gvc_base.archive_json import descriptors_to_json, params_from_json, params_to_json
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.framing import Framing
from gvc_protocol.params import LinkParams
from gvc_protocol.truth import TruthMap
from tests.protocol import helpers


@given(helpers.all_descriptors)
def test_any_part_d_can_be_told_as_json(described: Descriptors) -> None:
    assert json.loads(descriptors_to_json(described))["width"] == described.width


def test_the_truth_map_is_slices_of_rows_of_levels() -> None:
    levels = np.zeros((2, 6, 10), np.uint8)
    levels[1, 2, 3] = 4
    told = json.loads(
        descriptors_to_json(helpers.descriptors(truth=TruthMap(proxy=1, levels=levels)))
    )
    assert told["truth"]["proxy"] == 1 and told["truth"]["slices"] == levels.tolist()


def test_settings_of_archives_from_before_a_setting_was_there_can_be_read() -> None:
    """Whoever adds a setting gives older archives the value that their links had."""
    first = {
        "framing", "rate_bps", "fec_percent", "packet_overhead_bytes", "tagged", "window_ns",
        "close_after_ns", "reorder_ns", "hold_ns", "queue_ns",
    }  # fmt: skip
    framing = Framing(mtu_bytes=240, stream=True)
    params = LinkParams(framing=framing, rate_bps=25_600, fec_percent=25)
    told = json.loads(params_to_json(params))
    assert first <= set(told)
    assert params_from_json(json.dumps({n: v for n, v in told.items() if n in first})) == params
