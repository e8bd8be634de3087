"""Does a shallow text encoder cost accuracy, and does richer supervision change that?"""

from seedbed import Claim, Contrast, Factor, Recipe, Study, main
from seedbed.variants import CLIP, DECLIP

PAPER = "arXiv 2203.05796"
CLAIMS = (
    Claim(
        "C2",
        "Three text layers instead of twelve cost less than one point.",
        Contrast("depth", 3, 12, direction="above", margin=-0.01),
        response="zeroshot/top1",
        source=PAPER,
        scale="paper",
        test_set="ImageNet",
    ),
    Claim(
        "C3",
        "Under richer supervision they cost less than under CLIP's.",
        Contrast("depth", 3, 12, at={"supervision": "declip"}, less_at={"supervision": "clip"}),
        response="zeroshot/top1",
        source=PAPER,
        scale="paper",
        test_set="ImageNet",
    ),
)

study = Study(
    name="text_encoder_depth",
    question="Is the depth of the text encoder worth its cost, and does supervision change that?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor("depth", at="text.layers", levels=(1, 3, 6, 12)),
        Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),
    ),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
    claims=CLAIMS,
    # In a laptop's minutes a small ResNet learns more than twice what a small ViT does.
    scales={"demo": {"image.name": "resnet50_clip"}},
)

if __name__ == "__main__":
    main(study)
