"""Keys of trials whose parts are remembered. Oracle: the fields themselves, listed one by one."""

from __future__ import annotations

from seedbed import Factor, Recipe, Study
from seedbed.recipe.recipe import content_key, flattened
from seedbed.recipe.scale import SCALES
from seedbed.study.trial import DATA_FIELDS
from seedbed.variants import CLIP, SLIP


def test_a_trial_of_many_has_the_fields_and_keys_of_its_recipe_alone() -> None:
    study = Study(
        name="many",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(
            Factor("depth", at="text.layers", levels=(1, 3)),
            Factor("rate", at="optimizer.lr", levels=(1e-4, 2, 2e-4)),
            Factor("batch", at="budget.batch", levels=(256, 512)),
            Factor("terms", at="objective", levels={"clip": CLIP, "slip": SLIP}),
            Factor("lanes", at="corpus.lanes", levels=(8, 16)),
        ),
    )
    for trial in study.trials(SCALES["demo"], seeds=(0, 3)):
        alone = flattened("", trial.recipe)
        assert dict(trial.flat) == alone == trial.recipe.flatten()
        assert trial.key == content_key(alone)
        of_data = {
            p: v
            for p, v in alone.items()
            if f"{p}.".startswith(tuple(f"{name}." for name in DATA_FIELDS))
        }
        assert trial.stream_key == content_key(of_data)
        assert isinstance(trial.recipe.optimizer.lr, float)  # 2 is 2.0
