"""Which supervision helps which image tower? The paper's main table.

Its levels are the paper's, which differ in the views of a sample that they read too: CLIP and
FILIP one weak crop and the caption, DeCLIP and DeFILIP two strong ones and two changed captions.
So an effect found here is that of supervision + views, as the published table's is, and the plan
and the report say so. For that of supervision alone, put `COMMON_VIEWS` in the place of `UNIFIED`.
"""

from seedbed import Claim, Contrast, Factor, Recipe, Study, main
from seedbed.study.published import Published
from seedbed.variants import CLIP, UNIFIED

VIT = {"image.name": "vit_base_patch32_clip_quickgelu_224", "embed_dim": 512}
RESNET = {"image.name": "resnet50_clip", "embed_dim": 1024}

# ImageNet zero-shot top-1, YFCC15M-V2, 32 epochs; DeFILIP's ResNet-50 was not published.
# Ours is measured on the corpus' own test split, and on ImageNet with --test imagenet=URI.
PUBLISHED = Published(
    source="README of Sense-GVT/DeCLIP at 5d99a85 (YFCC15M-V2, 32 epochs)",
    response="zeroshot/top1",
    test_set="ImageNet",
    factors=("supervision", "model"),
    values={
        ("clip", "vit"): 0.328,
        ("clip", "resnet"): 0.372,
        ("slip", "vit"): 0.343,
        ("slip", "resnet"): 0.285,
        ("filip", "vit"): 0.395,
        ("filip", "resnet"): 0.213,
        ("declip", "vit"): 0.432,
        ("declip", "resnet"): 0.444,
        ("defilip", "vit"): 0.450,
    },
)

PAPER = "arXiv 2203.05796"


def over(level: str, base: str, model: str, direction: str = "above") -> Contrast:
    """One supervision against another on one image tower."""
    return Contrast("supervision", level, base, at={"model": model}, direction=direction)


CLAIMS = (
    Claim(
        "C4",
        "SLIP and FILIP help a ViT and hurt a ConvNet.",
        *(over(name, "clip", "vit") for name in ("slip", "filip")),
        *(over(name, "clip", "resnet", "below") for name in ("slip", "filip")),
        response="zeroshot/top1",
        source=PAPER,
        scale="paper",
        test_set="ImageNet",
    ),
    Claim(
        "C5",
        "DeCLIP helps both towers.",
        *(over("declip", "clip", model) for model in ("vit", "resnet")),
        response="zeroshot/top1",
        source=PAPER,
        scale="paper",
        test_set="ImageNet",
    ),
    Claim(
        "C6",
        "DeFILIP is the best on a ViT.",
        *(over("defilip", base, "vit") for base in ("clip", "slip", "filip", "declip")),
        response="zeroshot/top1",
        source=PAPER,
        scale="paper",
        test_set="ImageNet",
    ),
)

study = Study(
    name="supervision",
    question="Which supervision helps which image tower?",
    base=Recipe.paper(objective=CLIP),
    factors=(
        Factor("supervision", levels=UNIFIED, baseline="clip"),
        # Each tower comes with the width that CLIP gave it.
        Factor(
            "model",
            levels={"vit": VIT, "resnet": RESNET},
            baseline="vit",
            also_moves=("embed_dim",),
        ),
    ),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
    published=PUBLISHED,
    claims=CLAIMS,
)

if __name__ == "__main__":
    main(study)
