"""Reports of bad tables. Oracle: the words that a reader needs, and no number that is not one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seedbed.analyze import AnalysisError, contrasts, trials_table, write_report
from seedbed.plan.design import Design, Look, StatedClaim, StatedError
from seedbed.study.claim import Claim
from seedbed.study.record import TrialRecord

Study = tuple[Design, list[TrialRecord]]
TOP1 = "zeroshot/top1"
FACTORS = {"depth": ["12", "3"], "supervision": ["clip", "declip"]}
BASELINES = {"depth": "12", "supervision": "clip"}
CLAIM = StatedClaim.from_json({
    "id": "C1", "statement": "Shallow is as good.", "response": "", "alpha": 0.05, "source": "",
    "contrasts": [
        {"of": "depth", "level": "3", "over": "12", "at": {}, "less_at": {},
         "direction": "above", "margin": -0.01}
    ],
})  # fmt: skip


def effect(cell: dict[str, str]) -> float:
    return 0.03 * (cell["supervision"] == "declip")


def report(design: Design, table: pd.DataFrame, folder: Path) -> tuple[str, str]:
    """The page's words and the summary, with no number in them that is none."""
    written = write_report(design, table, folder, {})
    page = written.paths["report.md"].read_text(encoding="utf-8")
    for text in (page, written.summary):
        told = re.sub(r"is -?inf in row \d+", "", text)  # the fault itself may be named
        assert not re.search(r"\bnan\b|\binf\b|NaN|Traceback", told), text
    assert written.page.exists()
    return page, written.summary


@pytest.fixture
def made(study: Callable[..., Study]) -> Study:
    design, records = study(FACTORS, BASELINES, effect)
    return replace(design, claims=(CLAIM,)), records


def test_a_repeated_record_is_refused_by_name(made: Study) -> None:
    design, records = made
    with pytest.raises(AnalysisError, match="has two records"):
        trials_table(design, [*records, records[0]])


def test_a_repeated_row_is_no_answer(made: Study, tmp_path: Path) -> None:
    design, records = made
    table = trials_table(design, records)
    twice = pd.concat([table, table.iloc[:1]], ignore_index=True)
    page, summary = report(design, twice, tmp_path)
    assert "There is no answer yet." in summary and "repeats a trial" in page


@pytest.mark.slow
def test_a_factor_with_one_level_is_named(study: Callable[..., Study], tmp_path: Path) -> None:
    design, records = study(
        {"depth": ["12"], "supervision": ["clip", "declip"]}, BASELINES, effect
    )  # fmt: skip
    page, _ = report(design, trials_table(design, records), tmp_path)
    assert "Factor 'depth' has one level" in page


LATER = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [np.inf, pytest.param(-np.inf, marks=LATER), "broken", pytest.param(object(), marks=LATER)],
)
def test_a_value_that_is_no_number_is_no_answer(made: Study, tmp_path: Path, value: Any) -> None:
    design, records = made
    table = trials_table(design, records)
    table[TOP1] = table[TOP1].astype(object)
    table.loc[3, TOP1] = value
    page, summary = report(design, table, tmp_path)
    assert "There is no answer yet." in summary
    assert TOP1 in page.split("There is no answer yet.")[1][:200]
    assert "Not estimable" in page or "not estimable" in page


@pytest.mark.slow
def test_a_missing_cell_is_answered_around(study: Callable[..., Study], tmp_path: Path) -> None:
    gone = {("3", "declip", str(seed)): ("failed", "node lost") for seed in range(3)}
    design, records = study(FACTORS, BASELINES, effect, missing=gone)
    design = replace(design, claims=(CLAIM,))
    page, summary = report(design, trials_table(design, records), tmp_path)
    assert "cannot be estimated" in summary and "node lost" in page
    assert "no completed trial at depth 3, supervision declip" in page
    assert "| C1 | not estimable |" in page


@pytest.mark.parametrize("num_seeds", [1, 2])
@pytest.mark.slow
def test_few_seeds_say_what_they_cannot(
    study: Callable[..., Study], tmp_path: Path, num_seeds: int
) -> None:
    design, records = study(FACTORS, BASELINES, effect, num_seeds=num_seeds)
    design = replace(design, claims=(CLAIM,))
    page, _ = report(design, trials_table(design, records), tmp_path)
    assert ("One seed" if num_seeds == 1 else "two seeds: the pooled error") in page
    assert "Two seeds: intervals rest on" not in page
    assert "| C1 | inconclusive |" in page and "--seeds 3" in page


@pytest.mark.slow
def test_a_constant_response_is_said(study: Callable[..., Study], tmp_path: Path) -> None:
    design, records = study(FACTORS, BASELINES, lambda cell: 0.0, noise=0.0, seed_spread=0.0)
    design = replace(design, claims=(CLAIM,))
    page, summary = report(design, trials_table(design, records), tmp_path)
    assert "the response is the same in every completed trial" in page
    assert "supported" not in summary


@pytest.mark.slow
def test_a_claim_on_a_level_that_does_not_exist_is_said(made: Study, tmp_path: Path) -> None:
    design, records = made
    wrong = replace(CLAIM.claim.contrasts[0], level="30")
    claim = Claim(CLAIM.claim.id, CLAIM.claim.statement, wrong)
    design = replace(design, claims=(StatedClaim(claim=claim),))
    page, _ = report(design, trials_table(design, records), tmp_path)
    assert "| C1 | not estimable |" in page and "no level '30'" in page


def test_nothing_completed_is_a_page_with_its_plan(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    gone = {
        (depth, supervision, str(seed)): ("never_started", "")
        for depth in FACTORS["depth"] for supervision in FACTORS["supervision"] for seed in range(3)
    }  # fmt: skip
    design, records = study(FACTORS, BASELINES, effect, missing=gone)
    design = replace(design, claims=(CLAIM,))
    page, summary = report(design, trials_table(design, records), tmp_path)
    assert "No trial has completed yet" in summary and "## Design" in page


@pytest.mark.slow
def test_intervals_printed_first_let_every_cell_vary_in_its_own_way(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    """Whatever a test of equal variances says of these trials: it misses much in three seeds."""
    design, records = study(FACTORS, BASELINES, effect, num_seeds=4, noise=0.001, seed_spread=0.002)
    table = trials_table(design, records)
    page, _ = report(design, table, tmp_path)
    assert "every cell with a variance of its own" in page
    own = first_contrast(tmp_path)
    assert own["ci_low"] == pytest.approx(by_hand(table, error="cells")["ci_low"], rel=1e-8)
    by_seed = by_hand(table, error="unequal")
    assert own["by_seed_low"] == pytest.approx(by_seed["ci_low"], rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("stated", ["before the first trial", "after 5 of the trials had ended"])
def test_a_pooled_interval_is_printed_first_only_where_it_was_stated_in_time(
    study: Callable[..., Study], tmp_path: Path, stated: str
) -> None:
    design, records = study(FACTORS, BASELINES, effect, num_seeds=4, noise=0.001, seed_spread=0.002)
    error = StatedError(kind="pooled", stated=stated)
    design = replace(design, error=error, claims=(CLAIM,))
    table = trials_table(design, records)
    summary = report(design, table, tmp_path)[1]
    is_pooled = stated.startswith("before")
    expected = by_hand(table, error="pooled" if is_pooled else "cells")
    assert first_contrast(tmp_path)["ci_low"] == pytest.approx(expected["ci_low"], rel=1e-8)
    said = "pooled over all cells, as the study stated before its first trial"
    assert (said in summary) == is_pooled and ("so it is not used" in summary) != is_pooled
    claim = json.loads((tmp_path / "claims.json").read_text())[0]["contrasts"][0]
    assert claim["df"] == pytest.approx(expected["df"], rel=1e-8)
    outlook = pd.read_csv(tmp_path / "power.csv")
    now = outlook[(outlook["effect"] == "depth") & (outlook["num_seeds"] == 4)].iloc[0]
    assert now["df"] == pytest.approx(expected["df"], rel=1e-8)


def by_hand(table: pd.DataFrame, error: str) -> pd.Series[Any]:
    return contrasts(
        table, TOP1, list(FACTORS), of="depth", baseline="12", block="seed", error=error
    ).iloc[0]


def first_contrast(folder: Path) -> pd.Series[Any]:
    written = pd.read_csv(folder / "contrasts.csv")
    return written[(written["response"] == TOP1) & (written["factor"] == "depth")].iloc[0]


@pytest.mark.slow
def test_data_orders_that_trials_share_are_whole_plots(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    """Of a data factor the report must not count trials of one order as so many draws of it."""
    design, records = study(
        {"pairs": ["all", "few"], "supervision": ["clip", "declip"]},
        {"pairs": "all", "supervision": "clip"}, lambda cell: 0.0, num_seeds=4, noise=0.001,
    )  # fmt: skip
    random = np.random.default_rng(3)
    shift: dict[str, float] = {}
    for place, record in enumerate(records):
        order = f"{record.seed}-{record.cell['pairs']}"
        moved = record.metrics[TOP1] + shift.setdefault(order, random.normal(0, 0.02))
        metrics = {**record.metrics, TOP1: moved}
        records[place] = replace(record, order_hash=order, metrics=metrics)
    page, _ = report(design, trials_table(design, records), tmp_path)
    assert "share their order of samples" in page and "whole plot" in page
    anova = pd.read_csv(tmp_path / "anova.csv")
    own = anova[anova["response"] == TOP1].set_index("term")
    pooled = float(own["mean_sq"]["Residual"])
    assert float(own["mean_sq"]["Residual (whole plot)"]) > 20 * pooled


@pytest.mark.slow
def test_looks_at_fewer_seeds_are_said(made: Study, tmp_path: Path) -> None:
    design, records = made
    table = trials_table(design, records)
    page, _ = report(design, table, tmp_path)
    assert "Each look" not in page
    same = Look(num_seeds=3, num_completed=12)  # of these very trials
    assert "Each look" not in report(replace(design, looks=(same,)), table, tmp_path)[0]
    design = replace(design, looks=(Look(num_seeds=2, num_completed=8),))
    assert "of 2 seeds. Each look" in report(design, table, tmp_path)[0]
