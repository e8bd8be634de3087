"""Fractions folded over. Oracle: pydoe's `fold`, the contrasts' inner products, planted effects."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pydoe
import pytest

from seedbed import Factor, Recipe, Study
from seedbed.analyze.findings.response import find_response
from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.trials.table import HALF, trials_table
from seedbed.commands.study.lines import design_lines
from seedbed.commands.study.options import options_of
from seedbed.commands.study.price import Price
from seedbed.errors import StudyError
from seedbed.plan.design import Design
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SCALES
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study as AnyStudy
from seedbed.track.finished import note_finished
from seedbed.variants import CLIP

# Each at -1 and +1.
FACTORS = {
    "a": Factor("a", at="text.layers", levels=(3, 6)),
    "b": Factor("b", at="text.width", levels=(64, 128)),
    "c": Factor("c", at="optimizer.lr", levels=(1e-3, 2e-3)),
    "d": Factor("d", at="optimizer.weight_decay", levels=(0.1, 0.2)),
    "e": Factor("e", at="embed_dim", levels=(64, 128)),
    "f": Factor("f", at="optimizer.beta1", levels=(0.9, 0.95)),
    "g": Factor("g", at="optimizer.beta2", levels=(0.95, 0.98)),
}
RESPONSE = "zeroshot/top1_of_100"


def study(names: str, *words: str) -> Study:
    return Study(
        name="part",
        question="Which?",
        base=Recipe.paper(objective=CLIP),
        factors=tuple(FACTORS[name] for name in names),
        fraction=words,
        responses=(RESPONSE,),
    )


def coded(one: AnyStudy) -> np.ndarray:
    """A row a cell, in the plan's order."""
    first = {factor.name: next(iter(factor.levels)) for factor in one.factors}
    return np.array([
        [-1 if cell[name] == first[name] else 1 for name in first] for cell in one.cells()
    ])  # fmt: skip


def rows(matrix: np.ndarray) -> list[tuple[int, ...]]:
    return sorted(map(tuple, matrix.astype(int).tolist()))


@pytest.mark.parametrize("over", ["", "a", "d"])
@pytest.mark.parametrize(
    ("names", "words"),
    [("abc", ["a*b*c"]), ("abcd", ["a*b*d"]), ("abcde", ["a*b*d", "a*c*e"])],
)
def test_the_cells_are_those_of_pydoe(names: str, words: list[str], over: str) -> None:
    one = study(names, *words)
    if over and over not in "".join(words):
        with pytest.raises(StudyError, match="no such factor"):
            one.folded_over(over)
        return
    both = one.folded_over(over)
    columns = [names.index(over)] if over else None
    assert rows(coded(both)) == rows(pydoe.fold(coded(one), columns))
    assert both.cells()[: len(one.cells())] == one.cells()
    assert len(set(both.cells())) == 2 * len(one.cells())


def test_seven_factors_in_eight_cells_come_to_resolution_four_in_sixteen() -> None:
    one = study("abcdefg", "a*b*d", "a*c*e", "b*c*f", "a*b*c*g")
    matrix = coded(one.folded_over())
    assert matrix.shape == (16, 7)
    pairs = [matrix[:, i] * matrix[:, j] for i, j in itertools.combinations(range(7), 2)]
    assert not (matrix.T @ np.array(pairs).T).any()  # no main effect is one of two factors
    assert (matrix.T @ matrix == 16 * np.eye(7)).all()


def test_folded_over_one_factor_it_and_its_interactions_are_free() -> None:
    one = study("abcdefg", "a*b*d", "a*c*e", "b*c*f", "a*b*c*g")
    matrix = coded(one.folded_over("a"))
    of_a = np.array([matrix[:, 0], *(matrix[:, 0] * matrix[:, i] for i in range(1, 7))])
    others = [matrix[:, i] for i in range(1, 7)]
    others += [matrix[:, i] * matrix[:, j] for i, j in itertools.combinations(range(1, 7), 2)]
    assert not (of_a @ np.array(others).T).any()


def test_the_plan_has_the_aliases_before_and_after(home: Path) -> None:
    lines = "\n".join(design_lines(study("abc", "a*b*c").folded_over()))
    assert "a = -b * c  (before the fold-over)" in lines
    assert "none is left after the fold-over" in lines and "all combinations" in lines
    lines = "\n".join(design_lines(study("abcde", "a*b*d", "a*c*e").folded_over()))
    assert "alias   a = -b * d = -c * e  (before the fold-over)" in lines
    # Both halves together: I = (a b d)(a c e) = b c d e.
    assert [line for line in lines.splitlines() if line.endswith("(after it)")] == [
        "alias   b * c = d * e  (after it)",
        "alias   b * d = c * e  (after it)",
        "alias   b * e = c * d  (after it)",
    ]


@pytest.mark.parametrize(
    ("one", "factor", "words"),
    [
        (study("abcd", "a*b*c*d"), "", "--fold-over a"),
        (study("abc", "a*b*c"), "z", "Known: a, b, c"),
        (study("ab"), "", "every combination"),
    ],
    ids=["even words", "no such factor", "no fraction"],
)
def test_what_cannot_be_folded_over_is_refused(one: Study, factor: str, words: str) -> None:
    with pytest.raises(StudyError) as refused:
        one.folded_over(factor)
    assert words in str(refused.value)


def test_only_the_new_half_is_priced(home: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "results")
    given = ["--scale", "smoke", "--seeds", "2", "--storage", storage]
    one = study("abc", "a*b*c")
    before = options_of(one, given).plan
    for trial in before.trials:
        done = TrialRecord(
            key=trial.key, study="part", scale="smoke", cell=trial.cell, seed=trial.seed,
            cohort="c", status="completed",
        )  # fmt: skip
        Folder(storage).sub("part").write_json(done.to_json(), "trials", trial.key, "record.json")
    note_finished(Folder(storage), "part", [trial.key for trial in before.trials])
    price = Price(options_of(one, [*given, "--fold-over"]), [])
    assert len(price.plan.trials) == 16 and len(price.left) == 8
    assert not {trial.key for trial in price.left} & {trial.key for trial in before.trials}


def test_the_halves_are_in_the_design_that_mlflow_keeps() -> None:
    design = plan(study("abc", "a*b*c").folded_over(), SCALES["smoke"], seeds=(0,)).design()
    read = Design.from_json(json.loads(json.dumps(design.to_json())))
    assert [trial.half for trial in read.trials] == [1] * 4 + [2] * 4
    assert "half" not in plan(study("ab"), SCALES["smoke"]).design().to_json()["trials"][0]


def test_an_aliased_effect_and_a_shift_of_the_second_half_bias_nothing() -> None:
    one = study("abc", "a*b*c")
    rng = np.random.default_rng(0)

    def found(design: Design) -> dict[str, float]:
        records = []
        for trial in design.trials:
            sign = {n: -1 if trial.cell[n] == f.levels[0] else 1 for n, f in design.factors.items()}
            y = 0.4 + 0.01 * sign["a"] + 0.03 * sign["b"] * sign["c"] + 0.02 * trial.seed
            y += 0.1 * (trial.half == 2) + 1e-4 * rng.normal()
            records.append(TrialRecord(
                key=trial.key, study="part", scale="smoke", cell=trial.cell, seed=trial.seed,
                cohort="c", status="completed", metrics={RESPONSE: y},
            ))  # fmt: skip
        table = trials_table(design, records)
        baselines = {name: factor.baseline for name, factor in design.factors.items()}
        response = find_response(design, table, RESPONSE, baselines)
        assert not response.fault
        assert (HALF in table.columns) == (block_of(design) == HALF)
        return {one.factor: one.estimate for one in response.contrasts}

    before = found(plan(one, SCALES["smoke"], seeds=(0, 1, 2)).design())
    after = found(plan(one.folded_over(), SCALES["smoke"], seeds=(0, 1, 2)).design())
    truth, aliased = 0.02, 2 * 0.03
    if not np.isnan(before["a"]):
        assert abs(before["a"] - truth) > aliased / 2  # b x c stands in it
    sign = 1 if after["a"] > 0 else -1  # which level is the baseline
    assert sign * after["a"] == pytest.approx(truth, abs=1e-3)
    assert after["b"] == pytest.approx(0, abs=1e-3)
