"""Does it survive scale? The five variants at three budgets, the largest ten times the smallest.

People ablate small and deploy large, and ranks may turn on the way. So the budget is a factor. The
rate stays after the warm-up and falls in the last fifth of each budget: so the three budgets of a
variant are rungs of one run, whose trunk is trained once.
"""

from seedbed import Factor, Recipe, Study, main
from seedbed.recipe.share import Share
from seedbed.variants import CLIP, UNIFIED

study = Study(
    name="supervision_budget",
    question="Does what supervision gains at a small budget survive a larger one?",
    base=Recipe.paper(objective=CLIP).patch("optimizer.schedule", "wsd"),
    factors=(
        Factor("supervision", levels=UNIFIED, baseline="clip"),
        Factor(
            "budget",
            at="budget.samples",
            levels={"1/10": Share(0.1), "1/3": Share(0.1**0.5), "1": Share(1)},
            baseline="1/10",
        ),
    ),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
    scales={
        # In a laptop's minutes a small ResNet learns more than twice what a small ViT does.
        "demo": {"image.name": "resnet50_clip"},
        # A tenth of the budget must hold the warm-up.
        "smoke": {"image.name": "resnet50_clip", "budget.samples": 40 * 64},
        "small": {"budget.warmup_samples": 100 * 512},  # the least budget is 400 steps
    },
)

if __name__ == "__main__":
    main(study)
