"""Which examples were right, read from trials' files. Oracle: counts by hand."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed.analyze.trials.per_example import MOST_TRIALS, correct_by_trial
from seedbed.evaluate.tasks.held_out_captions import TOP1, TOP1_OF_100, TOP5
from seedbed.study.recorded import TRAINING_LOSS


def file(ids: list[int], among_all: list[int], among_100: list[int]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "among_all": among_all, "among_100": among_100}), out)
    return out.getvalue()


FILES = {"a": file([1, 2, 3], [0, 4, 9], [0, 0, 2]), "b": file([1, 2, 3], [7, 0, 0], [1, 0, 0])}


def reading(files: dict[str, bytes]) -> Callable[[str, str], bytes | None]:
    """Of every trial only the file of the held-out captions, by its name."""
    return lambda key, name: files.get(key) if name == "examples.parquet" else None


def test_a_picture_is_right_when_no_more_names_score_as_high_than_the_response_allows() -> None:
    for response, expected in {
        TOP1: {"a": [1, 0, 0], "b": [0, 1, 1]},
        TOP5: {"a": [1, 1, 0], "b": [0, 1, 1]},
        TOP1_OF_100: {"a": [1, 1, 0], "b": [0, 1, 1]},
    }.items():
        found = correct_by_trial(["a", "b"], response, reading(FILES))
        assert {key: list(map(int, right)) for key, right in found.items()} == expected


def test_other_pictures_or_another_response_give_nothing() -> None:
    others = FILES | {"b": file([1, 2, 4], [0, 0, 0], [0, 0, 0])}
    assert correct_by_trial(["a", "b"], TOP1, reading(others)) == {}
    assert correct_by_trial(["a", "b"], TRAINING_LOSS, reading(FILES)) == {}
    assert correct_by_trial([str(n) for n in range(MOST_TRIALS + 1)], TOP1, reading(FILES)) == {}


def test_a_trial_without_its_file_is_left_out() -> None:
    found = correct_by_trial(["a", "c"], TOP1, reading(FILES))
    assert list(found) == ["a"] and found["a"].dtype == np.bool_


TASK = """
from seedbed.evaluate.task import Task
from seedbed.metric import Metric

PROBED = Metric("probe/right", "Probe", "share", column="distance", below=3)


class Probe(Task):
    metrics = (PROBED,)
    file = "probe.parquet"
    examples = "questions"

    def prepare(self, pairs):
        return pairs

    def run(self, model, part):
        return None
"""
READ = """
import sys, seedbed.evaluate.tasks as place
place.__path__.append(sys.argv[1])
from seedbed.analyze.trials.per_example import correct_by_trial
from seedbed.evaluate.tasks.probe import PROBED
files = {("a", "probe.parquet"): open(sys.argv[2], "rb").read()}
print(correct_by_trial(["a"], PROBED, lambda *wanted: files.get(wanted))["a"].tolist())
"""


@pytest.mark.slow
def test_any_task_has_its_own_file_read_by_the_column_that_it_declares(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "probe.py").write_text(TASK)
    pq.write_table(pa.table({"id": [5, 6, 7], "distance": [2, 3, 0]}), tmp_path / "f.parquet")
    line = [sys.executable, "-c", READ, str(folder), str(tmp_path / "f.parquet")]
    shown = subprocess.run(line, capture_output=True, text=True)
    assert shown.stdout == "[True, False, True]\n", shown.stderr
