"""A study of many small trials, to be disturbed."""

import os

from tests.chaos.counted import Counted

from seedbed import Factor, Objective, Recipe, Study, main

study = Study(
    name=os.environ.get("CHAOS_STUDY", "small_trials"),
    question="Does it end the same, whatever is killed?",
    base=Recipe.paper(objective=Objective(clip=1.0 * Counted())),
    factors=(
        Factor("depth", at="text.layers", levels=(1, 2)),
        Factor("lr", at="optimizer.lr", levels=(1e-3, 2e-3)),
    ),
    responses=("zeroshot/top1_of_100",),
    scales={"smoke": {"budget.samples": 100 * 64, "image.name": "test_resnet"}},
)

if __name__ == "__main__":
    main(study)
