"""What a plan says of budgets. Oracle: the steps of each rung, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from studies.supervision_budget import study

from seedbed.commands.study.rungs import rung_lines
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.scale import SCALES

# Of 16, 50 and 160 steps the last 3, 9 and 32 decay: 3 + 9 + 160 of 226 are trained.
SAVED = 1 - (3 + 9 + 160) / 226


@pytest.fixture
def planned() -> Callable[..., Plan]:
    def made(**overrides: Any) -> Plan:
        named = {path.replace("__", "."): value for path, value in overrides.items()}
        return plan(study, SCALES["demo"], overrides=named, seeds=(0, 1))

    return made


def test_rungs_of_one_run_are_said_with_what_they_save(planned: Callable[..., Plan]) -> None:
    chosen = planned()
    steps = sorted({trial.recipe.budget.steps for trial in chosen.trials})
    assert steps == [16, 50, 160]
    first, second = rung_lines(chosen)
    assert "rungs of one run" in first and "its last 20 %" in first
    alone = sum(cost.train_flops for cost in chosen.costs().values()) / 1e15
    assert f"separate runs would take {alone:.4g}: {100 * SAVED:.0f} % is saved" in second


def test_under_a_cosine_budgets_are_separate_runs_and_the_other_way_is_priced(
    planned: Callable[..., Plan],
) -> None:
    chosen = planned(optimizer__schedule="cosine")
    first, second = rung_lines(chosen)
    alone = sum(cost.train_flops for cost in chosen.costs().values()) / 1e15
    assert "separate runs" in first and f"{alone:.4g} PFLOP" in first
    assert f"would take {alone * (1 - SAVED):.4g}" in second


def test_without_a_budget_among_the_factors_nothing_is_said() -> None:
    from studies.text_encoder_depth import study as other

    assert rung_lines(plan(other, SCALES["demo"], seeds=(0,))) == []
