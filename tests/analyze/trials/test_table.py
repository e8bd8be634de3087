"""The trials table against its own promise: one row per planned trial, no other, none twice."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seedbed.analyze import AnalysisError, trials_table
from seedbed.analyze.trials.confounds import hidden_aliases
from seedbed.errors import StudyError

Study = tuple[dict[str, Any], list[dict[str, Any]]]


def test_every_planned_trial_has_its_row_in_the_design_s_order(depth_study: Study) -> None:
    design, rows = depth_study
    found = trials_table(design, reversed(rows))
    assert list(found["key"]) == [trial["key"] for trial in design["trials"]]
    assert list(found["depth"].cat.categories) == ["1", "3", "6", "12"]
    assert list(found.columns[:6]) == ["key", "depth", "seed", "cohort", "status", "reason"]
    assert found["zeroshot/top1"].notna().sum() == 11


def test_a_trial_without_a_record_never_started(depth_by_supervision: Study) -> None:
    design, rows = depth_by_supervision
    found = trials_table(design, rows)
    assert found["status"].value_counts().to_dict() == {
        "completed": 22,
        "failed": 1,
        "never_started": 1,
    }
    lost = found[found["status"] == "never_started"].iloc[0]
    assert (lost["depth"], lost["supervision"], lost["seed"]) == ("6", "clip", 2)
    assert np.isnan(lost["zeroshot/top1"])


def test_metrics_of_a_trial_that_did_not_complete_stay_out(depth_study: Study) -> None:
    design, rows = depth_study
    rows = copy.deepcopy(rows)
    rows[0].update(status="interrupted", metrics={"zeroshot/top1": 0.99})
    found = trials_table(design, rows)
    assert np.isnan(found.loc[0, "zeroshot/top1"])


def change(rows: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    return [{**rows[0], **fields}, *rows[1:]]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: [*rows, rows[3]], "two records"),
        (lambda rows: change(rows, key="0123456789abcdef"), "not of this design"),
        (lambda rows: change(rows, status="finished"), "has status 'finished'"),
        (lambda rows: change(rows, cell={"depth": "6"}), "planned at depth 1 but"),
        (lambda rows: change(rows, seed=9), "planned with seed 0 but"),
        (lambda rows: change(rows, metrics={"zeroshot/top1": "n/a"}), "which is no number"),
    ],
)
def test_records_that_do_not_fit_the_plan_are_refused(
    depth_study: Study, spoil: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], words: str
) -> None:
    design, rows = depth_study
    with pytest.raises(AnalysisError, match=words) as caught:
        trials_table(design, spoil(rows))
    assert isinstance(caught.value, StudyError)


def test_labels_given_as_numbers_meet_labels_given_as_text(depth_study: Study) -> None:
    design, rows = copy.deepcopy(depth_study)
    design["factors"]["depth"].update(levels=[1, 3, 6, 12], baseline=12)
    found = trials_table(design, rows)
    assert list(found["depth"].cat.categories) == [1, 3, 6, 12]
    assert found["depth"].notna().all()


def test_a_setting_that_changes_with_a_factor_is_its_alias(depth_by_supervision: Study) -> None:
    design, rows = copy.deepcopy(depth_by_supervision)
    for row in rows:
        richer, deep = row["cell"]["supervision"] == "declip", row["cell"]["depth"] == "12"
        row["recipe"] = {
            "optimizer.weight_decay": 0.1 if richer else 0.5,
            "optimizer.warmup": 200 if richer and deep else 100,
            "optimizer.betas": [0.9, 0.98],
            "text.depth": row["cell"]["depth"],
            "text.supervision.weight": 1.0 if richer else 0.0,
            "seed": row["seed"],
        }
    at = {name: (factor["at"],) for name, factor in design["factors"].items()}
    found = hidden_aliases(trials_table(design, rows), at)
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
