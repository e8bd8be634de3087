"""Effects against the budget. Oracle: straight lines that were planted, and their noise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seedbed import Factor, Recipe, Study
from seedbed.analyze import trials_table, write_report
from seedbed.analyze.findings.budget import budgets_of
from seedbed.analyze.findings.budget_effects import AgainstBudget
from seedbed.analyze.findings.study import Findings, find
from seedbed.commands.seedbed import main
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SMOKE
from seedbed.variants import CLIP, SLIP

SAMPLES = {"small": 1_000, "middle": 3_162, "large": 10_000}
LAION = Path(__file__).parents[3] / "studies" / "published" / "laion.csv"
# At the smallest budget, and for each ten times as many samples.
LINES = {"clip": (0.0, 0.10), "slip": (-0.02, 0.14), "filip": (0.03, 0.10), "declip": (0.001, 0.10)}
NEXT = math.log10(SAMPLES["large"] ** 2 / SAMPLES["middle"] / SAMPLES["small"])


def planted(cell: dict[str, str]) -> float:
    start, slope = LINES[cell["supervision"]]
    return start + slope * math.log10(SAMPLES[cell["budget"]] / SAMPLES["small"])


def made(
    study: Callable[..., Any], with_recipes: Callable[..., Design], **options: Any
) -> tuple[Design, pd.DataFrame]:
    factors = {"supervision": list(LINES), "budget": list(SAMPLES)}
    baselines = {"supervision": "clip", "budget": "small"}
    design, records = study(factors, baselines, planted, **options)
    planned = with_recipes(design, lambda t: {"budget.samples": SAMPLES[t.cell["budget"]]})
    budget = replace(planned.factors["budget"], at="budget.samples")
    planned = replace(planned, factors={**planned.factors, "budget": budget})
    return planned, trials_table(planned, records)


def against(findings: Findings) -> AgainstBudget:
    assert findings.budget is not None
    return findings.budget


@pytest.fixture
def found(study: Callable[..., Any], with_recipes: Callable[..., Design]) -> AgainstBudget:
    return against(find(*made(study, with_recipes, noise=0.001)))


@pytest.mark.slow
def test_effects_at_every_budget_and_at_the_next_are_those_that_were_planted(
    found: AgainstBudget,
) -> None:
    assert found.numbers == (1_000, 3_162, 10_000) and found.labels == tuple(SAMPLES)
    assert found.ahead == pytest.approx(31_626, rel=1e-3)
    by_level = {effect.level: effect for effect in found.effects}
    held = []
    for level, (start, slope) in list(LINES.items())[1:]:
        effect = by_level[level]
        for samples, one in zip(SAMPLES.values(), effect.at, strict=True):
            true = start + (slope - 0.10) * math.log10(samples / 1_000)
            assert one.estimate == pytest.approx(true, abs=0.004)
            held.append(one.conf_low < true < one.conf_high)
        ahead = start + (slope - 0.10) * NEXT
        assert effect.ahead.conf_low < ahead < effect.ahead.conf_high
    assert sum(held) >= 8 and len(held) == 9  # of 95 %
    assert found.own_error


@pytest.mark.slow
def test_only_an_effect_whose_interval_holds_0_ahead_is_not_known(found: AgainstBudget) -> None:
    known = {effect.level: effect.is_known_ahead for effect in found.effects}
    assert known == {"slip": True, "filip": True, "declip": False}


@pytest.mark.slow
def test_levels_that_change_places_are_named_with_a_probability(found: AgainstBudget) -> None:
    """Slip is 2 points below clip at 1,000 samples, equal at 3,162, and 2 above at 10,000."""
    pairs = {(one.first, one.second): one for one in found.crossings}
    assert ("clip", "slip") in pairs
    assert pairs["clip", "slip"].probability > 0.5
    assert not any({"filip", "clip"} == set(pair) for pair in pairs)
    assert all(0 <= one.probability <= 1 for one in found.crossings)


@pytest.mark.slow
def test_one_seed_has_intervals_by_what_the_trend_leaves(
    study: Callable[..., Any], with_recipes: Callable[..., Design]
) -> None:
    one = against(find(*made(study, with_recipes, noise=0.001, num_seeds=1)))
    assert not one.own_error and one.df == 12 - 4 - 2 - 3
    assert all(math.isfinite(e.ahead.conf_low) for e in one.effects)


@pytest.mark.slow
def test_the_report_has_the_words_and_the_figure_and_the_table(
    study: Callable[..., Any], with_recipes: Callable[..., Design], tmp_path: Path
) -> None:
    report = write_report(*made(study, with_recipes, noise=0.001), tmp_path, {})
    text = report.paths["report.md"].read_text()
    section = text.partition("## Effects against the budget")[2].partition("\n## ")[0]
    rows = {line.split("|")[1].strip(): line for line in section.splitlines()
            if line.startswith("|") and "minus" in line}  # fmt: skip
    words = "not known at the paper's scale"
    assert [words in rows[f"{level} minus clip"] for level in ("slip", "filip", "declip")] == [
        False, False, True
    ]  # fmt: skip
    assert "| supervision | clip | slip |" in section
    assert "figures/effects_by_budget_supervision.svg" in report.paths
    table = pd.read_csv(report.paths["budget.csv"])
    assert len(table) == 3 * 4 and set(table["by"]) == {"trials", "trend"}


@pytest.mark.slow
def test_laions_table_is_told_against_the_samples_seen_and_its_gaps_are_named(
    tmp_path: Path,
) -> None:
    line = ["analyze", str(LAION), "--response", "acc1", "--unit", "share", "--factors", "model"]
    line += ["data", "samples", "--budget", "samples", "--out", str(tmp_path / "report")]
    assert main(line) == 0
    table = pd.read_csv(tmp_path / "report" / "budget.csv")
    data = table[(table["comparison"] == "2B minus 80M") & (table["by"] == "trials")]
    measured = pd.read_csv(LAION)
    small = measured[measured["model"].isin(["ViT-B-32", "ViT-B-16", "ViT-L-14"])]
    means = small.groupby(["samples", "data"])["acc1"].mean()
    assert list(data["estimate"]) == pytest.approx(
        [means[n, "2B"] - means[n, "80M"] for n in ("3B", "13B", "34B")]
    )
    alone = table[(table["comparison"] == "ViT-H-14 minus ViT-B-32")]
    assert alone.set_index("budget")["estimate"].notna().to_dict() == {
        "3B": False, "13B": False, "34B": True, "next": False
    }  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "numbers"),
    [
        (({"budget.samples": 640, "budget.warmup_samples": 64},), {"a": 640.0, "b": 1_280.0}),
        (({"budget.samples": 640, "optimizer.lr": 1e-3},), {"a": 640.0, "b": 1_280.0}),
        # One batch more of the same samples, and objectives that have budgets of their own.
        (({"budget.samples": 640, "budget.batch": 64}, {"budget.samples": 640}), {}),
        (({"budget.samples": 640, "objective": CLIP}, {"objective": SLIP}), {}),
    ],
)
def test_a_budget_with_its_warm_up_is_the_budget(
    levels: tuple[dict[str, Any], ...], numbers: dict[str, float]
) -> None:
    first = levels[0]
    doubled = {path: 2 * value for path, value in first.items() if isinstance(value, int | float)}
    budget = Factor("rungs", levels={"a": first, "b": first | doubled | dict(*levels[1:])})
    depth = Factor("depth", at="text.layers", levels=(1, 2))
    base = Recipe.paper(objective=CLIP)
    one = Study(name="s", question="?", base=base, factors=(budget, depth), seeds=2)
    design = Design.from_json(json.loads(json.dumps(plan(one, SMOKE).design().to_json())))
    assert budgets_of(design) == ("rungs" if numbers else "", numbers)


def test_a_budget_that_is_no_number_is_refused(tmp_path: Path, capsys: Any) -> None:
    line = ["analyze", str(LAION), "--response", "acc1", "--factors", "model", "data"]
    assert main([*line, "--budget", "model", "--out", str(tmp_path)]) != 0
    assert "The budget 'model' has the level 'ViT-B-32'" in capsys.readouterr().err
