"""Does a shallow text encoder cost accuracy?"""

from ablate import Factor, Recipe, Study, main
from ablate.variants import CLIP

study = Study(
    name="text_encoder_depth",
    question="Is the depth of the text encoder worth its cost?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 3, 6, 12)),),
    responses=("zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
)

if __name__ == "__main__":
    main(study)
