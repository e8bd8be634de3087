"""Does a trained start pay, the more the fewer pairs there are to train on?

Each trial is scored on the held-out vendor's emoji, which are of its own kind, and on photographs,
of which its corpus has none: a start that was trained on other pictures may help with one and not
with the other, and fine-tuning may lose what it knew. SEEDBED_START names the weights, in
open_clip's layout: what `seedbed export TRIAL --to FOLDER` writes, or open_clip's own name.
"""

import os

from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

START = os.environ.get("SEEDBED_START", "open_clip:ViT-B-32-quickgelu@openai")

study = Study(
    name="finetune_or_scratch",
    question="Does a trained start pay, and does it pay more where there are fewer pairs?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor(
            "start", at="init_from", levels={"scratch": "", "trained": START}, baseline="scratch"
        ),
        # Samples seen stay the same: a share of the pairs is seen more often.
        Factor("pairs", at="corpus.fraction", levels={"1/8": 1 / 8, "all": 1.0}, baseline="all"),
    ),
    responses=("emoji-test/acc1", "cifar10/acc1", "zeroshot/top1_of_100", "cost/device_hours"),
    tests=("emoji-test", "cifar10"),
    seeds=3,
)

if __name__ == "__main__":
    main(study)
