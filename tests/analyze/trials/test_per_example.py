"""Which pictures were right, read from trials' files. Oracle: counts by hand."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.analyze.trials.per_example import MOST_TRIALS, correct_by_trial
from seedbed.evaluate.tasks.held_out_captions import TOP1, TOP1_OF_100, TOP5
from seedbed.study.recorded import TRAINING_LOSS


def file(ids: list[int], among_all: list[int], among_100: list[int]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "among_all": among_all, "among_100": among_100}), out)
    return out.getvalue()


FILES = {"a": file([1, 2, 3], [0, 4, 9], [0, 0, 2]), "b": file([1, 2, 3], [7, 0, 0], [1, 0, 0])}


def test_a_picture_is_right_when_no_more_names_score_as_high_than_the_response_allows() -> None:
    for response, expected in {
        TOP1: {"a": [1, 0, 0], "b": [0, 1, 1]},
        TOP5: {"a": [1, 1, 0], "b": [0, 1, 1]},
        TOP1_OF_100: {"a": [1, 1, 0], "b": [0, 1, 1]},
    }.items():
        found = correct_by_trial(["a", "b"], response, FILES.get)
        assert {key: list(map(int, right)) for key, right in found.items()} == expected


def test_other_pictures_or_another_response_give_nothing() -> None:
    others = FILES | {"b": file([1, 2, 4], [0, 0, 0], [0, 0, 0])}
    assert correct_by_trial(["a", "b"], TOP1, others.get) == {}
    assert correct_by_trial(["a", "b"], TRAINING_LOSS, FILES.get) == {}
    assert correct_by_trial([str(n) for n in range(MOST_TRIALS + 1)], TOP1, FILES.get) == {}


def test_a_trial_without_its_file_is_left_out() -> None:
    found = correct_by_trial(["a", "c"], TOP1, FILES.get)
    assert list(found) == ["a"] and found["a"].dtype == np.bool_
