"""A cell is one value wherever it is written. Oracle: json's own round trip, and label_text."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.study.cell import Cell
from seedbed.study.label import label_text
from seedbed.study.record import TrialRecord

LABELS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)
CELLS = st.dictionaries(st.text(min_size=1, max_size=5), LABELS, max_size=4)


@given(CELLS)
def test_a_cell_is_itself_after_json_and_after_pickle(labels: dict[str, Any]) -> None:
    cell = Cell(labels)
    assert Cell(json.loads(json.dumps(cell.to_json()))) == cell
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert {name: label_text(label) for name, label in cell.items()} == {
        name: label_text(label) for name, label in labels.items()
    }


def test_equal_labels_make_equal_cells_whatever_their_type_and_order() -> None:
    one = Cell({"depth": 2.0, "width": "wide"})
    other = Cell((("width", "wide"), ("depth", np.int64(2))))
    assert one == other == {"depth": 2, "width": "wide"}
    assert len({one, other}) == 1
    assert one != Cell({"depth": 3, "width": "wide"})
    assert json.dumps(one.to_json()) == '{"depth": 2, "width": "wide"}'


def test_a_cell_without_a_factor_is_that_of_every_cell_that_differs_there_only() -> None:
    deep, shallow = Cell({"depth": 12, "views": 2}), Cell({"depth": 3, "views": 2})
    assert deep.without("depth") == shallow.without("depth") == Cell({"views": 2})


def test_a_cell_reads_as_text_and_cannot_be_changed() -> None:
    cell = Cell({"depth": 3.0, "weight": 1 / 3})
    assert str(cell) == "depth=3 weight=0.3333333333333333"
    with pytest.raises(TypeError):
        cell["depth"] = 4  # type: ignore[index]


def test_a_record_keeps_the_cell_of_its_trial_to_the_letter() -> None:
    cell = Cell({"depth": 3, "weight": 0.5, "supervision": "clip"})
    fields: dict[str, Any] = {"study": "s", "scale": "demo", "seed": 0, "cohort": "c"}
    record = TrialRecord(key="k", cell=cell, status="failed", **fields)
    written = json.loads(json.dumps(record.to_json()))
    assert written["cell"] == cell.to_json()
    assert json.dumps(TrialRecord.from_json(written).cell.to_json()) == json.dumps(cell.to_json())
