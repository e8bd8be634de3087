"""What further seeds bring. Oracles: the plan of a complete design, and studies run with more."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from seedbed.analyze import anova, contrasts
from seedbed.analyze.findings.outlook import Outlook, look_ahead, next_steps
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import crossed_contrasts, level_contrasts
from seedbed.analyze.trials.observations import observe

FACTORS = {"a": ["0", "1", "2"], "b": ["0", "1"]}


def table(num_seeds: int, *, noise: float = 0.01, state: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(state)
    shifts = random.normal(0, 0.03, num_seeds)
    rows = [
        {
            "a": a, "b": b, "seed": seed, "status": "completed",
            "top1": 0.3 + 0.02 * int(a) + shifts[seed] + random.normal(0, noise),
            "cost/device_hours": 1.0 + int(a),
        }
        for a, b in itertools.product(*FACTORS.values())
        for seed in range(num_seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def ahead(trials: pd.DataFrame, **more: str) -> Outlook:
    names = list(FACTORS)
    error = more.pop("error", "pooled")
    fit = Fit(observe(trials, "top1", names, "seed"), 2, error)
    comparisons = [one for name in names for one in level_contrasts(fit, name, "0")]
    interactions, _ = crossed_contrasts(fit.seen, "a", "b", error)
    return look_ahead(
        trials, "top1", names, [*comparisons, *interactions], cost="cost/device_hours", **more
    )


def test_a_complete_design_is_foreseen_as_its_plan_has_it() -> None:
    trials = table(3)
    found = ahead(trials).table
    variance = anova(trials, "top1", list(FACTORS), block="seed").loc["Residual", "mean_sq"]
    num_levels = {"a": 3, "b": 2}
    for _, row in found.iterrows():
        names, seeds = row["effect"].split(":"), row["num_seeds"]
        assert row["df"] == 6 * seeds - 6 - (seeds - 1)  # 6 cells, and the seeds' shifts
        # A difference of two means, or of two such differences, each of so many trials.
        per_mean = seeds * 6 / math.prod(num_levels[name] for name in names)
        assert row["se"] == pytest.approx(math.sqrt(2 ** len(names) * variance / per_mean))
    assert set(found["effect"]) == {"a", "b", "a:b"}
    assert list(found["num_seeds"].unique()) == list(range(3, 11))


@pytest.mark.slow
@pytest.mark.parametrize("error", ["pooled", "unequal"])
def test_with_more_seeds_intervals_are_about_as_wide_as_foreseen(error: str) -> None:
    ratios = []
    for state in range(30):
        foreseen = ahead(table(4, state=state), error=error).table
        line = foreseen[(foreseen["effect"] == "b") & (foreseen["num_seeds"] == 8)].iloc[0]
        later = contrasts(
            table(8, state=1000 + state), "top1", list(FACTORS), of="b", baseline="0",
            block="seed", error=error,
        ).iloc[0]  # fmt: skip
        ratios.append(2 * line["half_width"] / (later["ci_high"] - later["ci_low"]))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.2)


def test_prices_are_what_the_cells_took() -> None:
    trials = table(3)
    gone = [0, 7, 16]  # a 0, a 1, a 2: 1, 2 and 3 hours
    trials.loc[gone, ["status", "top1", "cost/device_hours"]] = ["failed", math.nan, math.nan]
    found = ahead(trials)
    assert found.hours_per_seed == pytest.approx(2 * (1 + 2 + 3))
    assert found.hours_missing == pytest.approx(1 + 2 + 3)
    five = found.table[found.table["num_seeds"] == 5]
    assert np.allclose(five["further_device_hours"], 2 * 12)


def test_one_seed_gives_no_forecast_and_says_so() -> None:
    found = ahead(table(1))
    assert found.table["half_width"].isna().all()
    assert set(found.table["note"]) == {"one seed: no error to plan with"}


def test_steps_come_in_the_order_of_need() -> None:
    outlook = ahead(table(2))
    steps = next_steps(
        outlook,
        2,
        6,
        {"C1": "from 0.5 to 0.3 points", "C2": "from 2 to 1 points"},
        ["a 2, b 1", "a 2, b 0"],
    )
    assert [step.what for step in steps] == [
        "The same command again",
        "--seeds 3",
        "--seeds 4",
        "The best two cells on 3 fresh seeds",
    ]
    assert "C1 from 0.5 to 0.3 points, C2 from 2 to 1 points" in steps[2].why
    assert [step.num_trials for step in steps] == [2, 6, 12, 6]
    assert steps[2].hours == pytest.approx(2 * 12)
    assert next_steps(ahead(table(3)), 0, 6, {}, []) == []
