"""What the archive tells of part D in SQL: every record of it, as JSON."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given

from gvc_base.archive_json import descriptors_to_json
from gvc_protocol.descriptors import Descriptors
from gvc_protocol.truth import TruthMap
from tests.protocol import helpers


@given(helpers.all_descriptors)
def test_any_part_d_can_be_told_as_json(described: Descriptors) -> None:
    assert json.loads(descriptors_to_json(described))["width"] == described.width


def test_the_truth_map_is_rows_of_0_and_1() -> None:
    wrong = np.zeros((9, 16), bool)
    wrong[2, 3] = True
    told = json.loads(
        descriptors_to_json(helpers.descriptors(truth=TruthMap(proxy=1, wrong=wrong)))
    )
    assert told["truth"]["proxy"] == 1 and told["truth"]["wrong"] == wrong.astype(int).tolist()
