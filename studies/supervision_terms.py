"""Which of the paper's supervision signals matter, alone and together?"""

from seedbed import Factor, Recipe, Study, main
from seedbed.variants import SWITCHES


def switch(name: str) -> Factor:
    """A term of SWITCHES, off or at its weight."""
    weight = dict(SWITCHES.items())[name].weight
    return Factor(name, at=f"objective.{name}", levels={"off": 0.0, "on": weight})


EXTRA = ("image_self", "text_self", "multi_view", "nearest_text", "finer")

study = Study(
    name="supervision_terms",
    question="Which supervision signals add to the original pair, alone and together?",
    base=Recipe.paper(objective=SWITCHES),
    factors=tuple(switch(name) for name in EXTRA),
    # Half of the 32 combinations: every main effect and every pair of switches is still free of
    # each other (resolution V).
    fraction=(" * ".join(EXTRA),),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
    # Two are enough: every effect is a difference of means over eight cells.
    seeds=2,
    scales={"demo": {"image.name": "resnet50_clip"}},
)

if __name__ == "__main__":
    main(study)
