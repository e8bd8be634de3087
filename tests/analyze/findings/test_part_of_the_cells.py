"""Studies that train a part of their cells. Oracle: averages over cells, taken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from seedbed.analyze import trials_table
from seedbed.analyze.findings.study import Findings, find
from seedbed.study.cell import Cell

FACTORS = {"a": ("1", "2", "3"), "b": ("off", "on"), "c": ("low", "high")}
BASELINES = {"a": "1", "b": "off", "c": "low"}


def found(
    study: Callable[..., Any], keeps: Callable[[Cell], bool], *, order: int = 2
) -> tuple[Findings, pd.Series[float]]:
    """The findings of the kept cells, and each cell's mean over seeds."""
    design, records = study(
        FACTORS, BASELINES, lambda cell: 0.02 * (cell["a"] == "3") + 0.01 * (cell["b"] == "on")
    )
    trials = tuple(trial for trial in design.trials if keeps(trial.cell))
    design = replace(design, trials=trials, cells="a part", order=order)
    table = trials_table(design, [one for one in records if keeps(Cell(one.cell))])
    response = design.responses[0]
    means = table.groupby(list(FACTORS), observed=True)[response].mean()
    return find(design, table), means


def differences(findings: Findings, factor: str) -> dict[str, float]:
    return {one.label: one.estimate for one in findings.primary.contrasts if one.factor == factor}


@pytest.mark.slow
def test_one_factor_at_a_time_each_effect_is_the_difference_of_two_cells(
    study: Callable[..., Any],
) -> None:
    findings, mean = found(
        study, lambda cell: sum(cell[name] != BASELINES[name] for name in FACTORS) <= 1, order=1
    )
    centre = mean["1", "off", "low"]
    assert differences(findings, "a") == pytest.approx(
        {"2": mean["2", "off", "low"] - centre, "3": mean["3", "off", "low"] - centre}
    )
    assert differences(findings, "b") == pytest.approx({"on": mean["1", "on", "low"] - centre})
    assert all(one.has_interval for one in findings.primary.contrasts)
    assert not findings.primary.interactions  # nothing was trained that could show one


@pytest.mark.slow
def test_a_forbidden_combination_leaves_the_average_over_those_that_both_levels_have(
    study: Callable[..., Any],
) -> None:
    findings, mean = found(study, lambda cell: (cell["a"], cell["b"]) != ("1", "on"))
    by_hand = {
        label: sum(mean[label, "off", c] - mean["1", "off", c] for c in FACTORS["c"]) / 2
        for label in ("2", "3")
    }
    assert differences(findings, "a") == pytest.approx(by_hand)
    on = sum(mean[a, "on", c] - mean[a, "off", c] for a in ("2", "3") for c in FACTORS["c"]) / 4
    assert differences(findings, "b") == pytest.approx({"on": on})
    notes = {one.factor: one.note for one in findings.primary.contrasts}
    assert notes["a"].startswith("over 2 of 4 combinations")
    assert notes["b"].startswith("over 4 of 6 combinations")
    assert notes["c"] == ""


@pytest.mark.slow
def test_levels_that_share_no_combination_are_not_compared(study: Callable[..., Any]) -> None:
    findings, _ = found(study, lambda cell: (cell["a"] == "1") == (cell["b"] == "on"))
    assert all(value != value for value in differences(findings, "a").values())


@pytest.mark.slow
def test_a_trial_that_is_lost_is_not_passed_over_as_if_it_had_not_been_planned(
    study: Callable[..., Any],
) -> None:
    design, records = study(
        FACTORS,
        BASELINES,
        lambda cell: 0.0,
        missing={
            ("1", "on", c, str(s)): ("failed", "?") for c in ("low", "high") for s in range(3)
        },
    )
    findings = find(design, trials_table(design, records))
    assert all(value != value for value in differences(findings, "a").values())
