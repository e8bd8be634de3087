"""Folded fractions: what the halves differ by enters nothing. Oracle: least squares by numpy and
statsmodels with the block's columns in them, and the same trials without a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from seedbed import Factor, Recipe, Study
from seedbed.analyze import trials_table
from seedbed.analyze.figures.contrasts import seed_differences
from seedbed.analyze.findings.compare import compare
from seedbed.analyze.findings.drawn import draw, main_effect, tables
from seedbed.analyze.findings.study import Findings, find
from seedbed.analyze.stats.halves import levelled
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.plan.surface import Surface
from seedbed.recipe.scale import SCALES
from seedbed.study.record import TrialRecord
from seedbed.variants import CLIP

pytestmark = pytest.mark.slow

FACTORS = {
    "a": Factor("a", at="text.layers", levels=(3, 6)),
    "b": Factor("b", at="text.width", levels=(64, 128)),
    "c": Factor("c", at="optimizer.lr", levels=(1e-3, 2e-3)),
}
Y = "zeroshot/top1_of_100"
SEEDS = (0, 1, 2)
TERMS = "(a + b + c) ** 2"


def folded(seeds: tuple[int, ...] = SEEDS, budget: str = "") -> Design:
    """A half of three factors and its other one, the factor `budget` being the samples seen."""
    study = Study(
        name="part",
        question="Which?",
        base=Recipe.paper(objective=CLIP),
        factors=tuple(FACTORS.values()),
        fraction=("a*b*c",),
        responses=(Y,),
    )
    design = plan(study.folded_over(), SCALES["smoke"], seeds=seeds).design()
    if not budget:
        return design
    levels = design.factors[budget].levels
    samples = {label: 1_000.0 * 10**n for n, label in enumerate(levels)}
    seen = tuple(
        replace(t, recipe={"budget.samples": samples[t.cell[budget]]}) for t in design.trials
    )
    known = replace(design.factors[budget], at="budget.samples")
    return replace(design, trials=seen, factors={**design.factors, budget: known})


def table_of(design: Design, shift: float, lost: tuple[int, ...] = ()) -> pd.DataFrame:
    """Effects, seeds' shifts, noise, and `shift` of the second half; the trials `lost` failed."""
    rng = np.random.default_rng(3)
    records = []
    for number, t in enumerate(design.trials):
        a, b, c = (-1 if t.cell[n] == f.levels[0] else 1 for n, f in design.factors.items())
        y = 0.4 + 0.01 * a + 0.004 * b * c + 0.02 * t.seed + 0.003 * rng.normal()
        y += (t.half == 2) * shift * (1 + 0.1 * t.seed)
        records.append(TrialRecord(
            key=t.key, study="part", scale="smoke", cell=t.cell, seed=t.seed, cohort="c",
            status="failed" if number in lost else "completed",
            metrics={} if number in lost else {Y: y, "cost/device_hours": 2.0 + a + 0.5 * b},
        ))  # fmt: skip
    return trials_table(design, records)


def found(shift: float, lost: tuple[int, ...] = (), budget: str = "") -> Findings:
    design = folded(budget=budget)
    return find(design, table_of(design, shift, lost))


@pytest.mark.parametrize("lost", [(), (5,), (5, 13)], ids=["complete", "one lost", "two lost"])
def test_values_are_levelled_as_least_squares_with_the_blocks_in_them_has_it(
    lost: tuple[int, ...],
) -> None:
    design = folded()
    trials = table_of(design, 0.3, lost)
    own = levelled(design, trials, Y)[Y]
    done = trials[trials["status"] == "completed"].reset_index()
    signs = {n: np.where(done[n] == f.levels[0], -1, 1) for n, f in design.factors.items()}
    a, b, c = signs.values()
    blocks = sorted(done["seed_half"].unique())
    dummies = np.array([done["seed_half"] == block for block in blocks], dtype=float).T
    x = np.column_stack([dummies, a, b, c, a * b, a * c, b * c])
    fitted = np.linalg.lstsq(x, done[Y].to_numpy(float), rcond=None)[0]
    part = dict(zip(blocks, fitted, strict=False))
    for n, row in done.iterrows():
        both = [part[f"{row['seed']}/{half}"] for half in (1, 2)]
        expected = done[Y][n] - (part[row["seed_half"]] - np.mean(both))
        assert own[row["index"]] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("lost", [(), (5, 13)], ids=["complete", "two lost"])
@pytest.mark.parametrize("budget", ["", "c"])
def test_what_the_halves_differ_by_changes_no_comparison(
    lost: tuple[int, ...], budget: str
) -> None:
    level, shifted = found(0.0, lost, budget), found(0.3, lost, budget)
    # The shift grows from seed to seed: the noise of whole seeds, not of comparisons.
    pd.testing.assert_series_equal(level.cells["on_front"], shifted.cells["on_front"])
    pd.testing.assert_series_equal(level.cells["probability"], shifted.cells["probability"])
    apart = [np.diff(one.cells[Y]) for one in (level, shifted)]
    assert apart[0] == pytest.approx(apart[1], abs=1e-9)
    assert level.outlook is not None and shifted.outlook is not None
    pd.testing.assert_frame_equal(level.outlook.table, shifted.outlook.table)
    dots = [sorted(seed_differences(one, "a", 6)) for one in (level, shifted)]
    assert dots[0] == pytest.approx(dots[1], abs=1e-9) and len(dots[0]) >= 10
    if not budget:
        return
    assert level.budget is not None and shifted.budget is not None
    assert len(level.budget.effects) == 3
    for one, other in zip(level.budget.effects, shifted.budget.effects, strict=True):
        for first, second in zip(
            (*one.at, one.ahead, one.slope), (*other.at, other.ahead, other.slope), strict=True
        ):
            assert first.estimate == pytest.approx(second.estimate, abs=1e-9)
            assert first.std_error == pytest.approx(second.std_error, abs=1e-9, nan_ok=True)


def test_seeds_are_foreseen_with_the_error_of_least_squares_that_has_the_halves_in_it() -> None:
    """Of as many complete seeds: statsmodels' residual degrees of freedom."""
    outlook = found(0.3).outlook
    assert outlook is not None
    pooled = replace(folded(), error=replace(folded().error, kind="pooled", stated="before"))
    stated = find(pooled, table_of(pooled, 0.3)).outlook
    assert stated is not None
    for seeds in (3, 5):
        design = folded(tuple(range(seeds)))
        trials = table_of(design, 0.3).rename(columns={Y: "y"})
        fit = smf.ols(f"y ~ C(seed_half) + {TERMS.replace('a', 'C(a)', 1)}", _plain(trials)).fit()
        line = stated.table[stated.table["num_seeds"] == seeds].iloc[0]
        assert line["df"] == fit.df_resid
        if seeds == 3:
            assert line["se"] == pytest.approx(np.sqrt(fit.mse_resid * 4 / (8 * seeds)))


def _plain(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.assign(**{name: trials[name].astype(str) for name in FACTORS})


def test_a_budget_in_the_word_costs_the_trend_a_degree_of_freedom() -> None:
    """Oracle: numpy's least squares of the cells' means with a column for the second half."""
    design = folded(budget="c")
    trials = table_of(design, 0.3)
    budget = find(design, trials).budget
    assert budget is not None
    low, high = design.factors["c"].levels
    means = trials.groupby(["a", "b", "c"], observed=True)[Y].mean()
    rows, values = [], []
    for (a, b, c), mean in means.items():
        cell = [float((a, b) == (x, y)) for x in (3, 6) for y in (64, 128)]
        at_high = float(c == high)
        second = trials[(trials["a"] == a) & (trials["b"] == b) & (trials["c"] == c)]
        half = float(second["seed_half"].iloc[0].endswith("/2"))
        slopes = [at_high * (a == 6), at_high * (b == 128)]
        rows.append([*cell, at_high, *slopes, half])
        values.append(mean)
    x = np.array(rows)
    fitted, _, rank, _ = np.linalg.lstsq(x, np.array(values), rcond=None)
    assert budget.df == len(values) - rank == 0
    sign = 1 if design.factors["a"].baseline == 3 else -1
    (effect,) = [one for one in budget.effects if one.factor == "a" and not one.within]
    per_budget = effect.slope.estimate * np.log(budget.numbers[1] / budget.numbers[0])
    up = 1 if budget.labels == (low, high) else -1
    assert per_budget == pytest.approx(sign * up * fitted[5], abs=1e-9)


def test_folded_studies_of_one_seed_each_are_compared_within_the_halves() -> None:
    design = replace(folded((0,)), order=1)
    same, shifted = table_of(design, 0.0), table_of(design, 0.3, (3,))
    level = table_of(design, 0.0, (3,))
    lines = compare((design, same), (design, shifted)), compare((design, same), (design, level))
    assert lines[0]["difference"].notna().any()
    assert list(lines[0]["difference"]) == pytest.approx(
        list(lines[1]["difference"]), abs=1e-9, nan_ok=True
    )


def test_drawn_studies_are_judged_with_the_degrees_of_freedom_of_the_halves() -> None:
    design = folded((0, 1))
    surface = Surface(effects={}, noise=0.01)
    asked = [main_effect("a", "6", "3", 2)]
    drawn = draw(design, surface, asked, draws=2)
    seen = next(iter(tables(design, surface, draws=1)))
    assert seen is not None and seen.block is not None
    frame = pd.DataFrame({name: seen.codes[name] for name in (*FACTORS, seen.block)})
    fit = smf.ols(f"y ~ C({seen.block}) + {TERMS}", frame.assign(y=seen.y)).fit()
    assert drawn.dfs[0, 0] == fit.df_resid


def test_halves_that_cannot_be_told_from_effects_are_not_compared() -> None:
    """One cell of the second half alone: what it differs by may be the half's."""
    design = folded()
    lost = tuple(n for n, t in enumerate(design.trials) if t.half == 2 and n % 4)
    own = levelled(design, table_of(design, 0.3, lost), Y)
    assert own.loc[own["seed_half"].str.endswith("/2"), Y].isna().all()
    assert own.loc[own["seed_half"].str.endswith("/1"), Y].notna().all()


@pytest.mark.parametrize("seeds", [(0,), SEEDS], ids=["one seed", "three seeds"])
def test_what_the_halves_differ_by_is_no_effect_and_judges_none(seeds: tuple[int, ...]) -> None:
    """a x b x c is 1 in one half and -1 in the other. Lenth's error is that of the other six."""
    design = folded(seeds)
    tables = [find(design, table_of(design, shift)).two_level for shift in (0.0, 0.3)]
    level, shifted = tables
    assert level is not None and shifted is not None
    assert np.isnan(shifted["effect"]["a:b:c"]) and "blocks" in shifted["note"]["a:b:c"]
    assert shifted["significant_me"].isna()["a:b:c"]
    pd.testing.assert_frame_equal(level, shifted)
    sizes = np.abs(shifted["effect"].dropna().to_numpy())
    assert len(sizes) == 6
    near = sizes[sizes < 2.5 * 1.5 * np.median(sizes)]
    for one in tables:
        assert one is not None and one.attrs["PSE"] == pytest.approx(1.5 * np.median(near))
