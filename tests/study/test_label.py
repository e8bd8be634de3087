"""Labels are compared by value. Oracle: Python's own equality of numbers, and json's of text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.analyze.trials.table import trials_table
from seedbed.errors import SeedbedError, StudyError
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.plan.surface import Surface
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import DEMO
from seedbed.study.cell import Cell
from seedbed.study.factor import Factor
from seedbed.study.label import label_text, same_label
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study
from seedbed.variants import SLIP

NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
LEVELS: dict[str, tuple[Any, ...]] = {
    "whole": (0.5, 1.0, 2.0),
    "zero and one": (0.0, 1.0),
    "fractions": (1 / 3, 2 / 3, 0.1 + 0.2),
    "seven digits": (0.1234567, 0.1234568),
    "sixteen digits": (0.1, np.nextafter(0.1, 1).item()),
    "large": (2**53, 2**53 + 1),
    "large beside small": (2**53 + 1, 2**53, 0.5),
    "tiny": (1e-12, 1e-300),
    "text of numbers": ("1.0", "1.00", "01"),
}


def weights(levels: tuple[Any, ...]) -> Study:
    """Levels as labels; what they set is a number of its own."""
    return Study(
        name="w",
        question="?",
        base=Recipe.paper(objective=SLIP),
        factors=(
            Factor(
                "w",
                at="objective.simclr.weight",
                levels={label: 1.0 + i for i, label in enumerate(levels)},
            ),
        ),
        responses=("zeroshot/top1",),
        seeds=2,
    )


def recorded(design: Design, *, write: Any = lambda label: label) -> list[TrialRecord]:
    """The records of a study as they come back from JSON."""
    records = [
        {
            "key": trial.key,
            "study": "w",
            "scale": "demo",
            "cell": {name: write(label) for name, label in trial.cell.items()},
            "seed": trial.seed,
            "cohort": "",
            "status": "completed",
            "metrics": {"zeroshot/top1": 0.5},
        }
        for trial in design.trials
    ]
    return [TrialRecord.from_json(values) for values in json.loads(json.dumps(records))]


@given(NUMBERS, NUMBERS)
def test_numbers_have_one_text_where_they_are_equal_and_only_there(one: Any, other: Any) -> None:
    assert (label_text(one) == label_text(other)) == (one == other)


@given(NUMBERS)
def test_a_label_is_itself_after_json_and_as_text(label: Any) -> None:
    assert same_label(label, json.loads(json.dumps(label)))
    assert same_label(label, label_text(label))
    assert same_label(label, repr(label))


@pytest.mark.parametrize("write", [lambda label: label, str, label_text])
@pytest.mark.parametrize("levels", LEVELS.values(), ids=list(LEVELS))
def test_records_are_found_at_their_level_however_it_is_written(
    levels: tuple[Any, ...], write: Any
) -> None:
    text = json.dumps(plan(weights(levels), DEMO).design().to_json())
    design = Design.from_json(json.loads(text))
    table = trials_table(design, recorded(design, write=write))
    assert [label_text(x) for x in table["w"]] == [label_text(x) for x in levels] * 2
    assert len(table["w"].cat.categories) == len(levels)
    assert (table["status"] == "completed").all()


def test_a_record_of_another_level_is_refused() -> None:
    design = plan(weights((0.1234567, 0.1234568)), DEMO).design()
    first, *others = recorded(design)
    moved = replace(first, cell=Cell({"w": 0.1234568}))
    with pytest.raises(SeedbedError, match=r"planned at w 0\.1234567 but .* says 0\.1234568"):
        trials_table(design, [moved, *others])


@pytest.mark.parametrize("levels", [(1, 1.0), (1.0, "1"), (1.0, "1.0"), ("1e-1", 0.1)])
def test_levels_that_are_one_number_are_refused(levels: tuple[Any, ...]) -> None:
    with pytest.raises(StudyError, match="has two levels with the label"):
        Factor("w", at="objective.simclr.weight", levels=levels)


@pytest.mark.parametrize("level", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_label(level: float) -> None:
    with pytest.raises(StudyError, match="has a level labelled"):
        Factor("w", at="objective.simclr.weight", levels=(1.0, level))


def test_a_surface_names_levels_by_value() -> None:
    study = weights((0.5, 1.0, 2.0))
    for term in ("w=2", "w=2.0"):
        surface = Surface(mean=0.0, effects={term: 0.25}).check(study)
        assert [surface.value({"w": w}) for w in (0.5, 1.0, 2.0)] == [0.0, 0.0, 0.25]
    with pytest.raises(StudyError, match="has no level '3'"):
        Surface(effects={"w=3": 1.0}).check(study)
    assert Surface.default(study).check(study).value({"w": 2.0}) > 0.3
