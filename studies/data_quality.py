"""Do clean captions and filtered pairs help, apart from how many pairs there are?"""

from seedbed import Claim, Contrast, Corpus, Factor, Recipe, Study, main
from seedbed.data.select.filters.characters import Characters
from seedbed.data.select.filters.file_names import FileNames
from seedbed.data.select.filters.length import Length
from seedbed.data.select.filters.markup import Markup
from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
from seedbed.variants import CLIP, DECLIP

# Ours: the rule by which the paper made YFCC15M V2 of V1 is not known. Things are named in one
# word here, and every raw caption ends in a file name: neither can be a reason to leave it out,
# but a caption that is mostly a file's number is.
QUALITY = (
    Characters(),
    Length(min_words=1, max_words=12, min_characters=3),
    FileNames(max_digit_share=0.25, refuse_extensions=False),
    Markup(),
    RepeatedCaptions(most=1),
)

study = Study(
    name="data_quality",
    question="Do clean captions and filtered pairs help, and does supervision change that?",
    # `take` holds the count equal: as many pairs drawn from all as from those that pass the
    # filters. Of the demo corpus 3,251 raw and 3,149 clean ones pass, of the bigger one 38,145 and
    # 18,530.
    base=Recipe.paper(objective=CLIP, corpus=Corpus(test_caption="clean", take=3_000)),
    factors=(
        Factor("caption", at="corpus.caption", levels=("raw", "clean"), baseline="raw"),
        # filtered - drawn is the effect of quality, all - drawn that of quantity.
        Factor(
            "pairs",
            levels={
                "drawn": {"corpus.filters": ()},
                "filtered": {"corpus.filters": QUALITY},
                "all": {"corpus.take": 0},
            },
            baseline="drawn",
        ),
        Factor("supervision", at="objective", levels={"clip": CLIP, "declip": DECLIP}),
    ),
    responses=("zeroshot/top1_of_100", "zeroshot/top1", "zeroshot/top5", "cost/device_hours"),
    claims=(
        Claim(
            "C1",
            "As many pairs teach more when they pass the filters.",
            Contrast("pairs", "filtered", "drawn"),
            response="zeroshot/top1",
            source="arXiv 2203.05796",
            scale="paper",
            test_set="ImageNet",
        ),
        Claim(
            "captions",
            "Clean captions teach more than raw ones.",
            Contrast("caption", "clean", "raw"),
        ),
    ),
    # Three, since an interval that lets every cell vary in its own way needs them.
    seeds=3,
    scales={
        "demo": {"image.name": "resnet50_clip"},
        "small": {"corpus.uri": "demo:icons", "corpus.take": 18_000},
    },
)

if __name__ == "__main__":
    main(study)
