"""What final weights take. Oracle: parameters by hand, and the tensors of models that are built."""

from __future__ import annotations

import pytest
from torch import Tensor

from seedbed.commands.study.options import options_of
from seedbed.errors import StudyError
from seedbed.model.pretrainer import Pretrainer
from seedbed.plan.cost import estimate
from seedbed.plan.weights import MOST_WEIGHTS, weights_bytes, weights_line
from seedbed.recipe.recipe import Recipe
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP, UNIFIED


def study(num_levels: int) -> Study:
    return of(Factor("lr", at="optimizer.lr", levels=[1e-4 * (n + 1) for n in range(num_levels)]))


def of(factor: Factor) -> Study:
    return Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(factor,),
        responses=("zeroshot/top1",),
    )


def test_a_plan_says_what_final_weights_take() -> None:
    chosen = options_of(study(3), ["--scale", "paper", "--seeds", "1"]).plan
    # ViT-B/32 and 12 text layers: 87,849,216 + 63,429,120 parameters and a scale.
    assert weights_bytes(chosen) == 3 * 4 * 151_278_337
    assert weights_line(chosen, True).startswith("1.82 GB of final weights are kept")
    assert "are left out" in weights_line(chosen, False)


def test_a_plan_counts_every_tensor_that_is_kept() -> None:
    five = of(Factor("supervision", levels=UNIFIED))
    for trial in options_of(five, ["--scale", "smoke", "--seeds", "1"]).plan.trials:
        one = trial.recipe
        model = Pretrainer(one.image, one.text, one.objective, embed_dim=one.embed_dim, seed=0)
        state = model.state_dict().values()
        kept = sum(each.nbytes for each in state if isinstance(each, Tensor))
        cost = estimate(one)
        assert 4 * cost.num_params + cost.buffer_bytes == kept


@pytest.mark.slow
def test_a_disk_s_worth_of_weights_is_kept_only_if_it_is_said() -> None:
    many = ["--scale", "paper", "--seeds", "1000"]
    with pytest.raises(StudyError) as error:
        options_of(study(2), many)
    assert MOST_WEIGHTS < 2_000 * 4 * 151_278_337
    assert error.value.what == "the final weights of 2,000 trials take 1.2 TB"
    assert "--keep-weights none" in error.value.mend
    assert options_of(study(2), [*many, "--keep-weights", "final"]).keep_weights
    assert not options_of(study(2), [*many, "--keep-weights", "none"]).keep_weights
