"""Test-set error beside seed error, several tasks, and what accuracy costs.

Oracles: scipy's friedmanchisquare; Demsar 2006, table 5;
Fieller's set by brute force over ratios; simulated test sets and seeds; loops.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedbed.analyze import AnalysisError, contrasts
from seedbed.analyze.stats.examples import two_errors
from seedbed.analyze.stats.pareto import fieller, pareto_membership, per_device_hour
from seedbed.analyze.stats.ranks import critical_difference, rank_levels


def judged(num_seeds: int = 4, num_examples: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """Two levels by two; examples differ in difficulty, which all trials share."""
    random = np.random.default_rng(2)
    hard = random.normal(0, 1.5, num_examples)
    rows = list(itertools.product("ab", "pq", range(num_seeds)))
    trials = pd.DataFrame(rows, columns=["A", "B", "seed"]).assign(status="completed")
    skill = 0.5 * (trials["A"] == "b") + 0.2 * random.normal(size=len(trials))
    noise = random.logistic(0, 0.6, (len(trials), num_examples))
    return trials, skill.to_numpy()[:, None] + noise > hard[None, :]


def test_both_errors_of_one_difference_stand_apart() -> None:
    trials, correct = judged()
    found = two_errors(trials, correct, ["A", "B"], of="A", baseline="a", block="seed").iloc[0]
    scored = trials.assign(top1=correct.mean(axis=1))
    seeds = contrasts(scored, "top1", ["A", "B"], of="A", baseline="a", block="seed").iloc[0]
    for ours, theirs in {"difference": "difference", "seed_se": "se", "seed_df": "df",
                         "seed_ci_low": "ci_low", "seed_ci_high": "ci_high"}.items():  # fmt: skip
        assert found[ours] == pytest.approx(seeds[theirs])
    # By hand: every example's mean under b less its mean under a.
    is_b = (trials["A"] == "b").to_numpy()
    d = correct[is_b].mean(axis=0) - correct[~is_b].mean(axis=0)
    assert found["difference"] == pytest.approx(d.mean())
    assert found["test_se"] == pytest.approx(d.std(ddof=1) / 20)
    assert found["test_se"] != pytest.approx(found["seed_se"], rel=0.2)
    unpaired = math.sqrt(sum(p * (1 - p) / 400 for p in (0.5, 0.5)))
    assert found["test_se"] < unpaired / 2  # shared examples cancel


def test_more_examples_shrink_the_test_error_and_more_seeds_do_not() -> None:
    def errors(num_seeds: int, num_examples: int) -> pd.Series:
        trials, correct = judged(num_seeds, num_examples)
        return two_errors(trials, correct, ["A", "B"], of="A", baseline="a", block="seed").iloc[0]

    few, many = errors(6, 200), errors(6, 20_000)
    assert many["test_se"] < few["test_se"] / 7
    assert many["seed_se"] > few["seed_se"] / 3


def test_the_test_error_is_that_of_drawing_the_test_set_again() -> None:
    trials, correct = judged(3, 3000)
    is_b = (trials["A"] == "b").to_numpy()
    random = np.random.default_rng(0)
    drawn = [
        (lambda c: c[is_b].mean() - c[~is_b].mean())(correct[:, random.choice(3000, 200)])
        for _ in range(600)
    ]
    part = correct[:, :200]
    found = two_errors(trials, part, ["A", "B"], of="A", baseline="a").iloc[0]
    assert found["test_se"] == pytest.approx(np.std(drawn), rel=0.15)


def test_one_seed_has_a_test_error_and_no_seed_error() -> None:
    trials, correct = judged(1)
    found = two_errors(trials, correct, ["A", "B"], of="A", baseline="a").iloc[0]
    assert math.isnan(found["seed_se"]) and "one run a cell" in found["note"]
    assert found["test_ci_low"] < found["difference"] < found["test_ci_high"]
    found = two_errors(trials, correct[:, :9], ["A", "B"], of="A", baseline="a").iloc[0]
    assert math.isnan(found["test_ci_low"]) and "9 examples are too few" in found["note"]


def test_trials_that_did_not_complete_are_not_read() -> None:
    trials, correct = judged(5)
    trials.loc[[1, 7], "status"] = ["failed", "diverged"]
    options: dict[str, Any] = {"of": "A", "baseline": "a", "block": "seed"}
    found = two_errors(trials, correct, ["A", "B"], **options)
    turned = correct.copy()
    turned[[1, 7]] = ~turned[[1, 7]]
    pd.testing.assert_frame_equal(found, two_errors(trials, turned, ["A", "B"], **options))


@pytest.mark.parametrize(
    "wrong", [np.ones((3, 5)), np.full((16, 4), 0.5), np.ones((16, 0), dtype=bool), [[1], [1, 2]]]
)
def test_correctness_of_another_shape_or_kind_is_refused(wrong: Any) -> None:
    with pytest.raises(AnalysisError, match="Correctness"):
        two_errors(judged()[0], wrong, ["A", "B"], of="A", baseline="a")


TASKS = ["eval/a", "eval/b", "eval/c", "eval/d", "eval/e", "eval/f"]


def on_tasks(num_seeds: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(6)
    rows = list(itertools.product("wxyz", range(num_seeds)))
    trials = pd.DataFrame(rows, columns=["A", "seed"]).assign(status="completed")
    trials["key"] = [f"k{i}" for i in range(len(trials))]
    for i, name in enumerate(TASKS):
        gain = trials["A"].map({"w": 0.0, "x": 0.3, "y": 0.6, "z": 0.2})
        trials[name] = 10**i * (1 + gain + random.normal(0, 0.25, len(trials)))
    return trials


def test_friedman_is_scipy_s_with_and_without_ties() -> None:
    trials = on_tasks()
    for change in (
        lambda t: t,
        lambda t: t.assign(**{"eval/a": 1.0, "eval/b": t["eval/b"].round(0)}),
    ):
        table = change(trials)
        found = rank_levels(table, TASKS, of="A")
        means = table.groupby("A")[TASKS].mean()
        theirs = stats.friedmanchisquare(*means.to_numpy())
        assert (found.statistic, found.p) == pytest.approx(tuple(theirs))
        ranks = (-means).rank(axis=0).mean(axis=1)
        assert list(found.ranks["mean_rank"]) == pytest.approx(list(ranks))
    less = rank_levels(trials, TASKS, of="A", higher_is_better=False)
    more = rank_levels(trials, TASKS, of="A")
    assert list(less.ranks["mean_rank"] + more.ranks["mean_rank"]) == [5.0] * 4
    assert more.f == pytest.approx(5 * more.statistic / (6 * 3 - more.statistic))


def test_critical_differences_are_demsar_s() -> None:
    table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102,
             10: 3.164}  # fmt: skip
    for k, q in table.items():
        assert critical_difference(k, 14) == pytest.approx(
            q * math.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4
        )
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=6e-3)  # his example


def test_ranks_need_every_level_on_every_task() -> None:
    trials = on_tasks()
    trials.loc[trials["A"] == "y", "status"] = "failed"
    found = rank_levels(trials, TASKS, of="A")
    assert math.isnan(found.statistic) and "A y has no completed trial" in found.note
    flat = on_tasks().assign(**dict.fromkeys(TASKS, 1.0))
    assert "all levels tie" in rank_levels(flat, TASKS, of="A").note
    with pytest.raises(AnalysisError, match="two tasks"):
        rank_levels(on_tasks(), TASKS[:1], of="A")
    with pytest.raises(AnalysisError, match="is infinite"):
        rank_levels(on_tasks().assign(**{"eval/a": math.inf}), TASKS, of="A")


def priced(num_seeds: int = 5) -> pd.DataFrame:
    random = np.random.default_rng(4)
    rows = list(itertools.product("wxyz", range(num_seeds)))
    trials = pd.DataFrame(rows, columns=["A", "seed"]).assign(status="completed")
    hours = trials["A"].map({"w": 1.0, "x": 2.0, "y": 2.1, "z": 4.0})
    trials["hours"] = hours * random.normal(1, 0.02, len(trials))
    trials["top1"] = 0.3 + trials["A"].map({"w": 0.0, "x": 0.05, "y": 0.049, "z": 0.02})
    trials["top1"] += random.normal(0, 0.004, len(trials))
    return trials


@pytest.mark.slow
def test_membership_of_the_front_is_the_share_of_seed_draws() -> None:
    trials = priced()
    found = pareto_membership(trials, ["A"], maximise=["top1"], minimise=["hours"])
    found = found.set_index("A")
    assert found.loc["w", "probability"] == 1.0 and found.loc["z", "probability"] == 0.0
    assert 0.1 < found.loc["y", "probability"] < 1.0
    # All 5^5 draws, counted one by one.
    wide = {
        name: trials.pivot(index="A", columns="seed", values=name) for name in ("top1", "hours")
    }
    count = total = 0
    for pick in itertools.product(range(5), repeat=5):
        top, hours = (wide[name][list(pick)].mean(axis=1) for name in ("top1", "hours"))
        beaten = any(
            top[other] >= top["y"] and hours[other] <= hours["y"] for other in ("w", "x", "z")
        )
        count, total = count + (not beaten), total + 1
    error = math.sqrt(count / total * (1 - count / total) / 2000)
    assert abs(found.loc["y", "probability"] - count / total) < 4 * error
    again = pareto_membership(trials, ["A"], maximise=["top1"], minimise=["hours"])
    pd.testing.assert_frame_equal(found.reset_index(), again)


def test_one_seed_has_a_front_and_no_probability() -> None:
    found = pareto_membership(priced(1), ["A"], maximise=["top1"], minimise=["hours"])
    assert found["probability"].isna().all() and found["on_front"].any()
    assert (found["note"] == "one seed: no probability").all()
    with pytest.raises(AnalysisError, match="Nothing to"):
        pareto_membership(priced(), ["A"])


@pytest.mark.parametrize(
    ("bottom_mean", "top_mean", "shape"),
    [(5.0, 2.0, "interval"), (0.05, 3.0, "outside"), (0.05, 0.02, "everything")],
)
def test_fieller_s_set_is_what_the_t_test_does_not_reject(
    bottom_mean: float, top_mean: float, shape: str
) -> None:
    random = np.random.default_rng(7)
    noise = stats.zscore(random.normal(size=(2, 6)), axis=1)
    top, bottom = top_mean + 0.5 * noise[0], bottom_mean + 0.5 * noise[1]
    found = fieller(top, bottom)
    assert found.shape == shape
    assert ("unbounded" in found.words) == (shape != "interval")
    for ratio in np.concatenate([np.linspace(-60, 60, 481), [found.value]]):
        kept = stats.ttest_1samp(top - ratio * bottom, 0).pvalue >= 0.05
        within = found.ci_low <= ratio <= found.ci_high
        assert kept == (not within if shape == "outside" else within), ratio


def test_accuracy_per_device_hour_by_cell() -> None:
    trials = priced()
    found = per_device_hour(trials, "top1", "hours", ["A"]).set_index("A")
    own = trials[trials["A"] == "x"]
    assert found.loc["x", "ratio"] == pytest.approx(own["top1"].mean() / own["hours"].mean())
    assert (found["ci_low"] < found["ratio"]).all() and (found["ratio"] < found["ci_high"]).all()
    for num_seeds, words in ((1, "one seed"), (2, "two seeds")):
        few = per_device_hour(priced(num_seeds), "top1", "hours", ["A"])
        assert few["ci_low"].isna().all() and few["note"].str.contains(words).all()
    wild = trials.assign(hours=np.random.default_rng(1).normal(0, 1, len(trials)))
    found = per_device_hour(wild, "top1", "hours", ["A"])
    assert found.loc[found["ci_low"].isna(), "note"].str.contains("unbounded").all()
    assert found["ci_low"].isna().any()
