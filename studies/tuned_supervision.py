"""Which supervision is best when each has the learning rate that suits it?

A learning rate that was found for one supervision and shared by all can turn their order around.
Here every cell is tuned before cells are compared, with the same budget for each. The space reaches
from a tenth of the paper's 1e-3 to three times as much.
"""

from seedbed import Claim, Contrast, Factor, Recipe, Search, Study, Tuning, main
from seedbed.variants import CLIP, UNIFIED

CLAIMS = (
    Claim(
        "T1",
        "DeCLIP is better than CLIP when both are tuned.",
        Contrast("supervision", "declip", "clip", direction="above"),
    ),
)

study = Study(
    name="tuned_supervision",
    question="Which supervision is best when each has the learning rate that suits it?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("supervision", levels=UNIFIED, baseline="clip"),),
    nuisance=(Search("optimizer.lr", low=1e-4, high=3e-3, log=True),),
    tuning=Tuning(trials=8, sampler="quasi-random"),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "cost/device_hours"),
    claims=CLAIMS,
)

if __name__ == "__main__":
    main(study)
