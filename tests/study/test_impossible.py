"""What cannot be trained is left out by one word. Oracles: the combinations by hand, and the errors
that a study without the word ends with."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from seedbed import Factor, Recipe, Study, forbid
from seedbed.commands.study.lines import design_lines
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.terms.infonce import InfoNCE
from seedbed.model.terms.late_interaction import LateInteraction
from seedbed.model.terms.masked_lm import MaskedLM
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SMOKE
from seedbed.variants import CLIP, FILIP

WORD = forbid("impossible")
# Off and on: with both off nothing draws pictures and captions together.
BOTH = Objective(clip=1.0 * InfoNCE(), finer=1.0 * LateInteraction())
WORDS = Objective(words=1.0 * MaskedLM())  # it learns, and draws nothing together
CONTRAST = Factor("contrast", at="objective.clip", levels={"off": 0.0, "on": 1.0})
FINER = Factor("finer", at="objective.finer", levels={"off": 0.0, "on": 1.0})
NOTHING = "Factor 'contrast' with Factor 'finer': the objective has no term with a weight above 0"
RATE = Factor("rate", at="optimizer.lr", levels=(1e-3, 2e-3))
# At the smallest scale the one has a token for each patch, the other a single one.
TOWER = Factor("tower", at="image.name", levels=("test_vit", "resnet18"))
TERM = Factor("term", at="objective", levels={"clip": CLIP, "filip": FILIP})


def study(*factors: Factor, base: Any = CLIP, **fields: Any) -> Study:
    given = {"constraints": (WORD,)} | fields
    return Study(
        name="s", question="?", base=Recipe.paper(objective=base), factors=factors, **given
    )


@pytest.mark.parametrize(
    ("base", "why"),
    [
        (BOTH, NOTHING),
        (BOTH + WORDS, "has no term that draws pictures and captions together"),
    ],
)
def test_cells_without_a_term_to_learn_by_are_left_out_with_the_reason(
    base: Objective, why: str
) -> None:
    one = study(CONTRAST, FINER, RATE, base=base)
    every = itertools.product(("off", "on"), ("off", "on"), (1e-3, 2e-3))
    assert [tuple(cell.values()) for cell in one.cells()] == [
        cell for cell in every if cell[:2] != ("off", "off")
    ]
    assert f"forbid  contrast=off with finer=off: {why}" in design_lines(one)
    with pytest.raises(StudyError) as fault:
        study(CONTRAST, FINER, RATE, base=base, constraints=())
    assert why in fault.value.what


@pytest.mark.slow
def test_towers_without_tokens_are_left_out_of_a_plan_where_a_term_compares_tokens(
    counted_home: object,
) -> None:
    one = plan(study(TOWER, TERM, RATE, seeds=1), SMOKE)
    assert {tuple(trial.cell.values())[:2] for trial in one.trials} == {
        ("test_vit", "clip"), ("test_vit", "filip"), ("resnet18", "clip"),
    }  # fmt: skip
    assert len(one.trials) == 6
    (line,) = [line for line in design_lines(one.study) if "tower=" in line]
    assert line.startswith("forbid  tower=resnet18 with term=filip: 'resnet18' gives one token")
    without = plan(study(TOWER, TERM, RATE, seeds=1, constraints=()), SMOKE)
    assert len(without.trials) == 8


@pytest.mark.slow
def test_where_everything_can_be_trained_nothing_is_left_out(counted_home: object) -> None:
    one = plan(study(TERM, RATE, seeds=1), SMOKE)
    assert len(one.trials) == 4 and one.study.constraints == (WORD,)
    lines = design_lines(one.study)
    assert lines[0] == "forbid  what is impossible" and "every combination" in lines[1]


def test_a_level_that_goes_with_nothing_is_told_and_not_left_out() -> None:
    switch = Factor("finer", at="objective.finer", levels={"off": 0.0, "on": 1.0})
    alone = Objective(finer=1.0 * LateInteraction()) + WORDS
    with pytest.raises(StudyError, match="no term that draws pictures and captions together"):
        study(switch, RATE, base=alone)


def test_a_design_that_needs_such_a_cell_is_refused_and_one_that_can_choose_avoids_it() -> None:
    with pytest.raises(StudyError, match="'contrast=off with finer=off' is forbidden"):
        study(CONTRAST, FINER, RATE, base=BOTH, fraction=("contrast * finer * rate",))
    one = study(CONTRAST, FINER, RATE, base=BOTH, optimal=5)
    assert len(one.cells()) == 5
    assert ("off", "off") not in {tuple(cell.values())[:2] for cell in one.cells()}


def test_rules_of_ones_own_stand_beside_it() -> None:
    own = forbid(contrast="on", finer="on")
    one = study(CONTRAST, FINER, RATE, base=BOTH, constraints=(own, WORD))
    assert {tuple(cell.values())[:2] for cell in one.cells()} == {("off", "on"), ("on", "off")}


@pytest.mark.parametrize(
    "given", [lambda: forbid("imposible"), lambda: forbid("impossible", rate=1e-3)]
)
def test_another_word_is_refused(given: Any) -> None:
    with pytest.raises(StudyError, match="forbid") as fault:
        given()
    assert 'forbid("impossible")' in fault.value.mend
