"""Replicates are the error that effects are judged by, and seeds that are not blocked are said.

Oracles: statsmodels' OLS on -1 and 1 (an effect is twice its coefficient), scipy's Sidak level by
hand, and the words of the report.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from seedbed.analyze import contrasts, effects_two_level, trials_table, write_report
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord

NAMES = ["A", "B", "D"]
FIXED = ["effect", "alias", "half_normal_quantile", "significant_me", "significant_sme"]
Study = tuple[Design, list[TrialRecord]]


def replicated(num_seeds: int = 3, spread: float = 2.0) -> pd.DataFrame:
    """Every effect but A:B:D is 1 or more, where the noise of a trial is 0.2."""
    random = np.random.default_rng(5)
    shifts = random.normal(0, spread, num_seeds)
    rows = []
    for (a, b, c), seed in itertools.product(
        itertools.product((-1, 1), repeat=3), range(num_seeds)
    ):
        mean = 0.5 * (a + b + c + a * b + a * c + b * c)
        rows.append((a, b, c, seed, mean + shifts[seed] + random.normal(0, 0.2)))
    return pd.DataFrame(rows, columns=[*NAMES, "seed", "y"])


@pytest.mark.parametrize("block", [None, "seed"])
def test_effects_of_replicated_runs_have_the_replicates_error(block: str | None) -> None:
    trials = replicated()
    found = effects_two_level(trials, "y", NAMES, block=block)
    formula = f"y ~ A * B * D{' + C(seed)' if block else ''}"
    theirs = smf.ols(formula, trials).fit()
    assert list(found.columns[:5]) == FIXED
    assert found.attrs["judged_by"] == "replicates" and set(found["judged_by"]) == {"replicates"}
    for term, row in found.iterrows():
        assert row["effect"] == pytest.approx(2 * theirs.params[term], rel=1e-9)
        assert row["se"] == pytest.approx(2 * theirs.bse[term], rel=1e-9)
        assert [row["df"], row["p"]] == pytest.approx(
            [theirs.df_resid, theirs.pvalues[term]], rel=1e-7
        )
        one = stats.t.ppf(0.975, theirs.df_resid) * row["se"]
        both = stats.t.ppf((1 + 0.95 ** (1 / 7)) / 2, theirs.df_resid) * row["se"]
        assert row["significant_me"] == (abs(row["effect"]) > one)
        assert row["significant_sme"] == (abs(row["effect"]) > both)


def test_many_true_effects_are_found_by_replicates_and_missed_by_lenth() -> None:
    trials = replicated()
    found = effects_two_level(trials, "y", NAMES, block="seed")
    assert set(found.index[found["significant_sme"]]) == set(found.index) - {"A:B:D"}
    # Lenth takes most effects to be none, and makes six true ones his measure of noise.
    alone = effects_two_level(trials[trials["seed"] == 0], "y", NAMES)
    assert alone.attrs["judged_by"] == "Lenth" and not alone["significant_me"].any()
    assert (found["effect"].abs() < found.attrs["ME"]).all()


def test_effects_without_replicates_are_lenth_s_and_have_no_interval() -> None:
    found = effects_two_level(replicated(1), "y", NAMES, block="seed")
    assert found.attrs["judged_by"] == "Lenth" and found["se"].isna().all()
    assert found["note"].str.contains("one seed").all()
    assert found["significant_me"].equals(found["effect"].abs() > found.attrs["ME"])


def test_a_lost_trial_shifts_no_effect_by_its_seed() -> None:
    trials = replicated(spread=50.0)
    lost = trials.drop(index=[0])
    found = effects_two_level(lost, "y", NAMES, block="seed")
    theirs = smf.ols("y ~ A * B * D + C(seed)", lost).fit()
    for term, row in found.iterrows():
        assert row["effect"] == pytest.approx(2 * theirs.params[term], rel=1e-8)
    assert (found["effect"] - effects_two_level(trials, "y", NAMES)["effect"]).abs().max() < 0.2


def test_contrasts_without_a_block_say_that_seeds_are_in_the_error() -> None:
    trials = replicated()
    options = {"of": "A", "baseline": -1}
    bare = contrasts(trials, "y", NAMES, **options)
    assert bare["note"].str.contains('block="seed" takes them out').all()
    blocked = contrasts(trials, "y", NAMES, block="seed", **options)
    assert (blocked["note"] == "").all()
    assert blocked.loc[0, "se"] < bare.loc[0, "se"]
    # Seeds of each cell's own are no block: nothing would be taken out.
    own = trials.assign(seed=range(len(trials)))
    assert (contrasts(own, "y", NAMES, **options)["note"] == "").all()
    assert (contrasts(trials.drop(columns="seed"), "y", NAMES, **options)["note"] == "").all()


@pytest.mark.slow
def test_the_report_says_what_effects_of_two_levels_are_judged_by(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    factors = {"depth": ["12", "3"], "supervision": ["clip", "declip"]}
    baselines = {"depth": "12", "supervision": "clip"}
    for num_seeds, said in ((4, "judged by what these say"), (1, "Lenth's pseudo standard error")):
        design, records = study(
            factors, baselines, lambda cell: 0.03 * (cell["depth"] == "3"), num_seeds=num_seeds
        )
        folder = tmp_path / str(num_seeds)
        write_report(design, trials_table(design, records), folder, {})
        page = (folder / "report.md").read_text()
        assert said in page and ("Lenth" in page) == (num_seeds == 1)
