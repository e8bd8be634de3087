"""Verdicts on claims. Oracles: scipy's paired t tests, statsmodels' ttost_paired, error rates
over planted studies, and power by simulation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from seedbed.analyze.findings.judged import VERDICTS, Judged
from seedbed.analyze.findings.verdicts import judge
from seedbed.analyze.numbers import unit_of
from seedbed.analyze.report.sections.claim_words import claim_sentence
from seedbed.analyze.trials.confounds import Alias
from seedbed.evaluate.tasks.held_out_captions import TOP1 as TOP1_METRIC
from seedbed.plan.design import StatedClaim
from seedbed.study.claim import Claim
from seedbed.study.contrast import Contrast

TOP1 = unit_of(TOP1_METRIC, [0.3])


def claim(*contrasts: Contrast, alpha: float = 0.05) -> StatedClaim:
    return StatedClaim(claim=Claim("C1", "It helps.", *contrasts, alpha=alpha))


def table(
    levels: Mapping[str, list[str]], effect: Any, *, seeds: int = 4, noise: float = 0.01,
    state: int = 0,
) -> pd.DataFrame:  # fmt: skip
    random = np.random.default_rng(state)
    shifts = random.normal(0, 0.02, seeds)
    rows = []
    for labels in itertools.product(*levels.values()):
        cell = dict(zip(levels, labels, strict=True))
        for seed in range(seeds):
            value = 0.3 + effect(cell) + shifts[seed] + random.normal(0, noise)
            rows.append({**cell, "seed": seed, "status": "completed", "zeroshot/top1": value})
    return pd.DataFrame(rows)


def judged(stated: StatedClaim, trials: pd.DataFrame, **more: Any) -> Judged:
    factors = [name for name in trials.columns if name in ("a", "b", "c", "d")]
    return judge(stated, trials, factors, TOP1, **more)


def said(found: Judged) -> str:
    return claim_sentence(found, TOP1)


def two(effect: float, **more: Any) -> pd.DataFrame:
    return table({"a": ["x", "y"]}, lambda cell: effect * (cell["a"] == "y"), **more)


@pytest.mark.parametrize("direction", ["above", "below"])
@pytest.mark.parametrize("margin", [0.0, 0.012, -0.02])
def test_one_comparison_is_scipy_s_paired_t_test(direction: str, margin: float) -> None:
    trials = two(0.02, seeds=7)
    wide = trials.pivot(index="seed", columns="a", values="zeroshot/top1")
    side = "greater" if direction == "above" else "less"
    expected = stats.ttest_rel(wide["y"] - margin, wide["x"], alternative=side)
    both = stats.ttest_rel(wide["y"], wide["x"]).confidence_interval(0.95)
    found = judged(claim(Contrast("a", "y", "x", direction=direction, margin=margin)), trials)
    one = found.contrasts[0]
    assert one.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (one.ci_low, one.ci_high) == pytest.approx((both.low, both.high), rel=1e-9)
    inside = both.low > margin if direction == "above" else both.high < margin
    outside = both.high < margin if direction == "above" else both.low > margin
    assert found.verdict == ("supported" if inside else "refuted" if outside else "inconclusive")


@pytest.mark.parametrize("margin", [0.002, 0.01, 0.03])
@pytest.mark.parametrize("state", range(4))
def test_within_is_the_equivalence_test(margin: float, state: int) -> None:
    trials = two(0.004, state=state, seeds=8)
    found = judged(claim(Contrast("a", "y", "x", direction="within", margin=margin)), trials)
    wide = trials.pivot(index="seed", columns="a", values="zeroshot/top1")
    p = ttost_paired(wide["y"].to_numpy(), wide["x"].to_numpy(), -margin, margin)[0]
    # Two one-sided tests at 5 % belong to the interval of 90 %.
    interval = stats.ttest_rel(wide["y"], wide["x"]).confidence_interval(0.90)
    assert found.contrasts[0].p == pytest.approx(p, rel=1e-9)
    assert found.contrasts[0].ci_low == pytest.approx(interval.low, rel=1e-9)
    assert (found.verdict == "supported") == (p < 0.05)


def test_less_than_a_margin_is_the_non_inferiority_test() -> None:
    trials = two(-0.004, seeds=6)
    found = judged(claim(Contrast("a", "y", "x", margin=-0.02), alpha=0.05), trials)
    wide = trials.pivot(index="seed", columns="a", values="zeroshot/top1")
    expected = stats.ttest_rel(wide["y"] + 0.02, wide["x"], alternative="greater").pvalue
    assert found.contrasts[0].p == pytest.approx(expected, rel=1e-9)
    assert (found.verdict == "supported") == (expected < 0.025)


def test_an_interaction_is_the_paired_test_of_differences_of_differences() -> None:
    trials = table(
        {"a": ["x", "y"], "b": ["u", "v"]},
        lambda cell: 0.03 * (cell["a"] == "y") * (cell["b"] == "v"),
        seeds=6,
    )
    wide = trials.pivot(index="seed", columns=["a", "b"], values="zeroshot/top1")
    value = (wide["y", "v"] - wide["x", "v"] - wide["y", "u"] + wide["x", "u"]).mean()
    found = judged(claim(Contrast("a", "y", "x", at={"b": "v"}, less_at={"b": "u"})), trials)
    assert found.contrasts[0].difference == pytest.approx(value, rel=1e-9)
    assert found.verdict == "supported"


def test_one_wrong_part_refutes_and_one_open_part_leaves_open() -> None:
    levels = {"a": ["x", "y"], "b": ["u", "v"]}
    crossing = table(levels, lambda c: 0.1 * (c["a"] == "y") * (1 if c["b"] == "u" else -1))
    help_both = claim(
        Contrast("a", "y", "x", at={"b": "u"}), Contrast("a", "y", "x", at={"b": "v"})
    )
    crossed = claim(
        Contrast("a", "y", "x", at={"b": "u"}),
        Contrast("a", "y", "x", at={"b": "v"}, direction="below"),
    )
    assert judged(help_both, crossing).verdict == "refuted"
    assert judged(crossed, crossing).verdict == "supported"
    flat = table(levels, lambda c: 0.1 * (c["a"] == "y") * (c["b"] == "u"))
    assert judged(help_both, flat).verdict == "inconclusive"


@pytest.mark.slow
def test_wrong_verdicts_are_as_rare_as_alpha_says() -> None:
    """A claim of two parts, of which one is false by nothing at all and the other true."""
    both = claim(
        Contrast("a", "y", "x", at={"b": "u"}), Contrast("a", "y", "x", at={"b": "v"}), alpha=0.1
    )
    verdicts = []
    for state in range(400):
        trials = table(
            {"a": ["x", "y"], "b": ["u", "v"]},
            lambda c: 0.1 * (c["a"] == "y") * (c["b"] == "u"),
            seeds=3,
            state=state,
        )
        verdicts.append(judged(both, trials).verdict)
    # One-sided at alpha / 2 by the interval of 1 - alpha: 5 %, within three standard errors.
    assert verdicts.count("supported") / 400 == pytest.approx(0.05, abs=3 * math.sqrt(0.05 / 400))
    assert verdicts.count("refuted") / 400 <= 0.05 + 3 * math.sqrt(0.05 / 400)


@pytest.mark.slow
def test_a_truth_as_far_from_the_margin_as_is_said_is_found_as_often_as_is_said() -> None:
    noise = 0.015
    stated = claim(Contrast("a", "y", "x"))
    # Trials whose estimated noise is the true one.
    start = two(0.0, seeds=3, noise=0.0)
    wiggle = noise * math.sqrt(2) * np.array([1, -1, 0]) * math.sqrt(3 / 2) / math.sqrt(1.5)
    start.loc[start["a"] == "y", "zeroshot/top1"] += wiggle
    found = judged(stated, start)
    assert [one.num_seeds for one in found.precision] == [3, 6, 12]
    last = found.precision[-1]
    tried = [
        judged(stated, two(last.detectable, seeds=12, noise=noise, state=state))
        for state in range(300)
    ]
    hits = sum(one.verdict == "supported" for one in tried)
    assert hits / 300 == pytest.approx(0.8, abs=0.1)
    halves = [(one.contrasts[0].ci_high - one.contrasts[0].ci_low) / 2 for one in tried]
    assert np.mean(halves) == pytest.approx(last.half_width, rel=0.1)


def test_what_more_seeds_show_does_not_depend_on_what_was_measured() -> None:
    one = judged(claim(Contrast("a", "y", "x")), two(0.01)).contrasts[0]
    quarter = (one.ci_high - one.ci_low) / 8
    near, far = one.difference - quarter / 100, one.difference - quarter
    small, large = (
        judged(claim(Contrast("a", "y", "x", margin=margin)), two(0.01)) for margin in (near, far)
    )
    assert small.verdict == large.verdict == "inconclusive"
    assert small.precision == large.precision and len(small.precision) == 3
    widths = [one.half_width for one in small.precision]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == pytest.approx((one.ci_high - one.ci_low) / 2)
    for words in (said(small), said(large)):
        assert "would decide" not in words and "with a power of 80 %" in words
    assert said(small).split("Its interval")[1] == said(large).split("Its interval")[1]


def test_one_seed_is_inconclusive_and_says_why() -> None:
    found = judged(claim(Contrast("a", "y", "x")), two(0.5, seeds=1))
    assert found.verdict == "inconclusive" and found.precision == ()
    assert "one seed" in said(found) and "+50" in said(found)


def test_a_missing_cell_makes_a_claim_on_it_not_estimable() -> None:
    trials = table({"a": ["x", "y"], "b": ["u", "v"]}, lambda c: 0.1 * (c["a"] == "y"))
    gone = (trials["a"] == "y") & (trials["b"] == "v")
    trials.loc[gone, ["status", "zeroshot/top1"]] = ["failed", math.nan]
    at_v = judged(claim(Contrast("a", "y", "x", at={"b": "v"})), trials)
    assert at_v.verdict == "not estimable" and "no completed trial at a y, b v" in claim_sentence(
        at_v, TOP1
    )
    assert judged(claim(Contrast("a", "y", "x", at={"b": "u"})), trials).verdict == "supported"


def test_a_fraction_that_cannot_tell_effects_apart_aliases_the_claim() -> None:
    trials = table({"a": ["-", "+"], "b": ["-", "+"], "c": ["-", "+"]}, lambda c: 0.0)
    sign = np.prod([np.where(trials[name] == "+", 1, -1) for name in ("a", "b", "c")], axis=0)
    half = trials[sign == 1].reset_index(drop=True)
    found = judged(claim(Contrast("a", "+", "-")), half)
    assert found.verdict == "aliased" and "planned cells" in said(found)
    assert judged(claim(Contrast("a", "+", "-")), trials).verdict != "aliased"


def test_a_setting_that_moved_along_aliases_the_claim() -> None:
    alias = Alias("optimizer.weight_decay", ("a",))
    found = judged(claim(Contrast("a", "y", "x")), two(0.1), aliases=[alias])
    assert found.verdict == "aliased" and "optimizer.weight_decay" in said(found)
    other = Alias("optimizer.weight_decay", ("b",))
    assert judged(claim(Contrast("a", "y", "x")), two(0.1), aliases=[other]).verdict == "supported"


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (Contrast("a", "z", "x"), "no level 'z'"),
        (Contrast("q", "y", "x"), "no factor 'q'"),
        (Contrast("a", "y", "x", at={"b": "u"}), "no factor 'b'"),
    ],
)
def test_a_level_that_does_not_exist_is_said_in_words(stated: dict[str, Any], words: str) -> None:
    found = judged(claim(stated), two(0.1))
    assert found.verdict == "not estimable" and words in said(found)


@pytest.mark.parametrize("value", [0.25, math.nan])
def test_a_response_without_information_gives_no_verdict(value: float) -> None:
    trials = two(0.1)
    trials["zeroshot/top1"] = value
    found = judged(claim(Contrast("a", "y", "x")), trials)
    assert found.verdict in ("not estimable", "inconclusive")
    assert found.precision == () and said(found).endswith(".")


def test_a_verdict_is_one_of_five_and_plain_json() -> None:
    import json

    found = judged(claim(Contrast("a", "y", "x")), two(0.1, seeds=1))
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["verdict"] in VERDICTS
