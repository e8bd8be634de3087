"""Which supervision helps which image tower? The paper's main table."""

from ablate import Factor, Recipe, Study, main
from ablate.variants import CLIP, UNIFIED

VIT = {"image.name": "vit_base_patch32_clip_quickgelu_224", "embed_dim": 512}
RESNET = {"image.name": "resnet50_clip", "embed_dim": 1024}

study = Study(
    name="supervision",
    question="Which supervision helps which image tower?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor("supervision", levels=UNIFIED, baseline="clip"),
        Factor("model", levels={"vit": VIT, "resnet": RESNET}, baseline="vit"),
    ),
    responses=("zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
)

if __name__ == "__main__":
    main(study)
