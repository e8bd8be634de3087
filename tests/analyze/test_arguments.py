"""One name in the place of several is refused. Oracle: every public function that takes factors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import seedbed.analyze
from seedbed.analyze import AnalysisError
from seedbed.analyze.trials.table import trials_table

Study = Any  # conftest.py's: a design and its rows

# What each function asks for beside the table, in the order of its signature.
GIVEN: dict[str, Any] = {
    "response": "zeroshot/top1",
    "cost": "cost/device_hours",
    "of": "depth",
    "by": "supervision",
    "and_": "supervision",
    "baseline": None,
    "at": "depth",
    "a": "depth",
    "b": "supervision",
    "correct": None,
    "tests": {"zeroshot/top1": 0.1, "cost/device_hours": 0.0},
}


def taking_factors() -> list[str]:
    found = []
    for name in seedbed.analyze.__all__:
        value = getattr(seedbed.analyze, name)
        if inspect.isfunction(value) and "factors" in inspect.signature(value).parameters:
            found.append(name)
    return found


def test_most_functions_take_factors() -> None:
    assert {"anova", "contrasts", "diagnose", "two_errors"} <= set(taking_factors())


@pytest.mark.parametrize("name", taking_factors())
def test_a_bare_text_as_factors_is_refused_with_its_mend(depth_study: Study, name: str) -> None:
    table = trials_table(*depth_study)
    given = GIVEN | {"correct": np.ones((len(table), 50), bool)}
    function = getattr(seedbed.analyze, name)
    needed = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.name not in ("trials", "factors")
    ]
    first = next(iter(inspect.signature(function).parameters))
    assert first == "trials"
    with pytest.raises(AnalysisError) as caught:
        function(trials=table, factors="depth", **{n: given[n] for n in needed})
    assert caught.value.what == "`factors` is 'depth'."
    assert caught.value.mend == "Give factors=['depth']."
