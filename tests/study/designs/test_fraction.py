"""Fractions of two-level designs. Oracle: the contrasts' own inner products."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from seedbed import Factor, Recipe, Study
from seedbed.errors import StudyError
from seedbed.recipe.scale import DEMO
from seedbed.study.cell import Cell
from seedbed.study.crossing import crossed
from seedbed.study.designs.fraction import Fraction
from seedbed.variants import CLIP, SWITCHES

NAMES = ("layers", "width", "lr", "decay", "dim")


def factors() -> tuple[Factor, ...]:
    return (
        Factor("layers", at="text.layers", levels=(3, 6)),
        Factor("width", at="text.width", levels=(64, 128)),
        Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3)),
        Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2)),
        Factor("dim", at="embed_dim", levels=(64, 128)),
    )


def study(*words: str) -> Study:
    return Study(
        name="part",
        question="Which?",
        base=Recipe.paper(objective=CLIP),
        factors=factors(),
        fraction=words,
    )


def coded(one: Study) -> dict[str, np.ndarray]:
    first = {factor.name: next(iter(factor.levels)) for factor in one.factors}
    return {
        name: np.array([-1 if cell[name] == first[name] else 1 for cell in one.cells()])
        for name in NAMES
    }


def test_half_of_five_keeps_mains_and_pairs_apart_from_each_other() -> None:
    one = study("layers*width*lr*decay*dim")
    assert len(one.cells()) == 16
    column = coded(one)
    effects = [column[name] for name in NAMES]
    effects += [column[a] * column[b] for a, b in itertools.combinations(NAMES, 2)]
    inner = np.array(effects) @ np.array(effects).T
    assert (inner == 16 * np.eye(15)).all()


def test_a_fraction_keeps_the_cell_of_first_levels() -> None:
    first = Cell({f.name: next(iter(f.levels)) for f in factors()})
    assert first in study("layers*width*lr*decay*dim").cells()
    assert first in study("layers * width * lr", "lr * decay * dim").cells()


def test_a_quarter_names_its_resolution() -> None:
    quarter = study("layers*width*lr", "lr*decay*dim")
    assert len(quarter.cells()) == 8
    assert str(quarter.design) == (
        "1/4 fraction of resolution III (I = -layers * lr * width, I = -decay * dim * lr)"
    )


def some_factors(*levels: int) -> tuple[Factor, ...]:
    return tuple(
        Factor(f"f{n}", at="text.layers", levels=range(1, number + 1))
        for n, number in enumerate(levels)
    )


def products_of(words: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """All products of one word or more, one by one."""
    some = [c for n in range(1, len(words) + 1) for c in itertools.combinations(words, n)]
    return [functools.reduce(lambda a, b: a ^ b, chosen) for chosen in some]


def test_cells_are_those_of_all_combinations_that_keep_every_word_in_their_order() -> None:
    rng = random.Random(5)
    own = some_factors(2, 2, 3, 2, 2, 2, 2)
    two = [factor.name for factor in own if len(factor.levels) == 2]
    seen = 0
    for _ in range(60):
        words = tuple(frozenset(rng.sample(two, rng.randint(3, 6))) for _ in range(2))
        fraction = Fraction(words)
        assert fraction.resolution == min(map(len, products_of(words)))
        if fraction.resolution < 3:
            continue
        seen += 1
        assert fraction.cells(own, lambda cell: True) == [
            cell
            for cell in crossed(own)
            if all(sum(cell[name] == 2 for name in word) % 2 == 0 for word in words)
        ]
    assert seen > 20


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("number", "cells"), [(24, 64), (40, 128)])
def test_a_fraction_of_many_factors_costs_what_it_trains(number: int, cells: int) -> None:
    own = some_factors(*[2] * number)
    fraction = Fraction.parse(4, own, Cell())
    assert fraction is not None and fraction.resolution == 4  # of 18 and of 33 words
    assert str(fraction).startswith(f"1/{2**number // cells} fraction of resolution IV")
    column = np.array(
        [[1 if cell[f.name] == 2 else -1 for f in own] for cell in fraction.cells(own, bool)]
    )
    assert len(column) == cells and (column.T @ column == cells * np.eye(number)).all()
    alike: dict[bytes, list[str]] = {}  # pairs by their columns: none is a main effect's
    for a, b in itertools.combinations(range(number), 2):
        pair = column[:, a] * column[:, b]
        alike.setdefault((pair * pair[0]).tobytes(), []).append(f"f{a} * f{b}")
    told = [
        [pair.lstrip("-") for pair in group] for group in fraction.aliased([f.name for f in own])
    ]
    assert told == [group for group in alike.values() if len(group) > 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("layers*widht*lr",), "names the factor 'widht'"),
        (("layers*width",), "has resolution 2"),
        (("layers*width*lr*decay", "layers*width*lr*dim"), "has resolution 2"),
    ],
)
def test_what_is_no_fraction_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(StudyError, match=message.replace("*", r"\*")):
        study(*words)


def test_a_factor_of_more_levels_has_no_place_in_a_word() -> None:
    with pytest.raises(StudyError, match="which has 3 levels"):
        Study(
            name="part",
            question="Which?",
            base=Recipe.paper(objective=CLIP),
            factors=(Factor("layers", at="text.layers", levels=(1, 3, 6)), *factors()[1:]),
            fraction=("layers*width*lr",),
        )


def switches(*names: str) -> Study:
    return Study(
        name="switches",
        question="Which?",
        base=Recipe.paper(objective=SWITCHES),
        factors=tuple(
            Factor(name, at=f"objective.{name}", levels={"off": 0.0, "on": 0.2}) for name in names
        ),
    )


def test_every_combination_of_switches_beside_the_original_pair_is_allowed() -> None:
    one = switches("image_self", "text_self", "multi_view", "nearest_text", "finer")
    trials = one.trials(DEMO, seeds=(0,))
    assert len({trial.key for trial in trials}) == 32
    assert len({trial.stream_key for trial in trials}) == 1
    present = {tuple(name for name, _ in t.recipe.objective.present()) for t in trials}
    assert len(present) == 32


def test_a_cell_that_aligns_nothing_is_refused_with_the_reason() -> None:
    with pytest.raises(StudyError, match=r"no term that draws pictures and captions together"):
        switches("clip", "multi_view", "finer", "nearest_text")


def test_a_cell_whose_neighbour_has_no_caption_to_learn_is_refused() -> None:
    base = SWITCHES.weighted("multi_view", 0.0).weighted("finer", 0.0)
    with pytest.raises(StudyError, match=r"reads text features that no term trains"):
        Study(
            name="alone",
            question="?",
            base=Recipe.paper(objective=base),
            factors=(Factor("clip", at="objective.clip", levels={"off": 0.0, "on": 0.1}),),
        )


def test_levels_that_only_make_sense_together_are_applied_together() -> None:
    base = SWITCHES.weighted("multi_view", 0.0).weighted("finer", 0.0)
    one = Study(
        name="together",
        question="?",
        base=Recipe.paper(objective=base),
        factors=(
            Factor(
                "pair",
                levels={
                    "original": {"objective.clip": 0.1, "objective.multi_view": 0.0},
                    "others": {"objective.clip": 0.0, "objective.multi_view": 0.3},
                },
            ),
        ),
    )
    assert len(one.trials(DEMO, seeds=(0,))) == 2
