"""The trials table against its own promise: one row per planned trial, no other, none twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seedbed.analyze import AnalysisError, trials_table
from seedbed.analyze.trials.confounds import hidden_aliases
from seedbed.errors import StudyError
from seedbed.plan.design import Design, PlannedTrial
from seedbed.study.cell import Cell
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]


def test_every_planned_trial_has_its_row_in_the_design_s_order(depth_study: Study) -> None:
    design, records = depth_study
    found = trials_table(design, reversed(records))
    assert list(found["key"]) == [trial.key for trial in design.trials]
    assert list(found["depth"].cat.categories) == ["1", "3", "6", "12"]
    assert list(found.columns[:6]) == ["key", "depth", "seed", "cohort", "status", "reason"]
    assert found["zeroshot/top1"].notna().sum() == 11


def test_a_trial_without_a_record_never_started(depth_by_supervision: Study) -> None:
    design, records = depth_by_supervision
    found = trials_table(design, records)
    assert found["status"].value_counts().to_dict() == {
        "completed": 22,
        "failed": 1,
        "never_started": 1,
    }
    lost = found[found["status"] == "never_started"].iloc[0]
    assert (lost["depth"], lost["supervision"], lost["seed"]) == ("6", "clip", 2)
    assert np.isnan(lost["zeroshot/top1"])


def test_metrics_of_a_trial_that_did_not_complete_stay_out(depth_study: Study) -> None:
    design, records = depth_study
    early = change(records, status="interrupted", metrics={"zeroshot/top1": 0.99})
    found = trials_table(design, early)
    assert np.isnan(found.loc[0, "zeroshot/top1"])


def change(records: list[TrialRecord], **fields: Any) -> list[TrialRecord]:
    return [replace(records[0], **fields), *records[1:]]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda records: [*records, records[3]], "two records"),
        (lambda records: change(records, key="0123456789abcdef"), "not of this design"),
        (lambda records: change(records, cell=Cell({"depth": "6"})), "planned at depth 1 but"),
        (lambda records: change(records, seed=9), "planned with seed 0 but"),
    ],
)
def test_records_that_do_not_fit_the_plan_are_refused(
    depth_study: Study, spoil: Callable[[list[TrialRecord]], list[TrialRecord]], words: str
) -> None:
    design, records = depth_study
    with pytest.raises(AnalysisError, match=words) as caught:
        trials_table(design, spoil(records))
    assert isinstance(caught.value, StudyError)


def test_labels_given_as_numbers_meet_labels_given_as_text(depth_study: Study) -> None:
    design, records = depth_study
    depth = replace(design.factors["depth"], levels=(1, 3, 6, 12), baseline=12)
    design = replace(design, factors={"depth": depth})
    found = trials_table(design, records)
    assert list(found["depth"].cat.categories) == [1, 3, 6, 12]
    assert found["depth"].notna().all()


def test_a_setting_that_changes_with_a_factor_is_its_alias(
    depth_by_supervision: Study, with_recipes: Any
) -> None:
    design, records = depth_by_supervision

    def recipe(trial: PlannedTrial) -> dict[str, Any]:
        richer, deep = trial.cell["supervision"] == "declip", trial.cell["depth"] == "12"
        return {
            "optimizer.weight_decay": 0.1 if richer else 0.5,
            "optimizer.warmup": 200 if richer and deep else 100,
            "optimizer.betas": [0.9, 0.98],
            "text.depth": trial.cell["depth"],
            "text.supervision.weight": 1.0 if richer else 0.0,
            "seed": trial.seed,
        }

    at = {name: (factor.at,) for name, factor in design.factors.items()}
    found = hidden_aliases(trials_table(with_recipes(design, recipe), records), at)
    assert [(alias.field, alias.term) for alias in found] == [
        ("optimizer.warmup", "depth:supervision"),
        ("optimizer.weight_decay", "supervision"),
    ]


def test_importing_the_package_loads_no_analysis_library() -> None:
    code = (
        "import sys, seedbed;"
        "print([m for m in ('pandas', 'scipy', 'statsmodels', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
