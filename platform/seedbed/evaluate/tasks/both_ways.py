"""Image-text retrieval as papers state it: recall at 1, 5 and 10 both ways, on held-out pairs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs, Ranking
from seedbed.metric import Metric

if TYPE_CHECKING:
    from seedbed.evaluate.ranking import BothRanks

KS = (1, 5, 10)
NUM_IMAGES = Metric("retrieval/num_images", "Pictures to be retrieved", "count")
NUM_CAPTIONS = Metric("retrieval/num_captions", "Captions to be retrieved", "count")


def _image(k: int) -> Metric:
    """The share of the captions that find one of their pictures among the k best."""
    name, label = f"retrieval/image_recall_at_{k}", f"Image retrieval R@{k}"
    return Metric(name, label, "share", below=k, out_of=NUM_CAPTIONS.name, among=NUM_IMAGES.name)


def _text(k: int) -> Metric:
    """The share of the pictures that find their caption among the k best."""
    name, label = f"retrieval/text_recall_at_{k}", f"Text retrieval R@{k}"
    return Metric(
        name,
        label,
        "share",
        column="text_rank",
        below=k,
        out_of=NUM_IMAGES.name,
        among=NUM_CAPTIONS.name,
    )


IMAGE, TEXT = tuple(map(_image, KS)), tuple(map(_text, KS))


class BothWays(Ranking[Pairs]):
    """Pictures among captions and captions among pictures; a caption that several pictures have is
    one, and each of them is right.

    `text_rank` counts, for each picture, the captions that did not score less than its own. Of
    every caption a rank keeps the score of its `best` picture [names, 1] and those of the ten best
    `others` [names, 10]: of all ranks' together it is known how many others, up to ten, did not
    score less. A score that is no number is never right. A pair has one score, whoever asks.
    """

    metrics = (*IMAGE, *TEXT, NUM_IMAGES, NUM_CAPTIONS)
    file = "retrieval.parquet"
    examples = "held-out pictures"
    needs_alignment = True
    # With no more of them than are looked at every guess is right.
    names_needed = MappingProxyType({m.name: m.below + 1 for m in (*IMAGE, *TEXT)})

    def prepare(self, pairs: Pairs) -> Pairs:
        return pairs

    def pairs(self, part: Pairs) -> Pairs:
        return part

    def counter(self, part: Pairs) -> BothRanks:
        from seedbed.evaluate.ranking import BothRanks

        number = {name: n for n, name in enumerate(part.names)}
        own = np.array([number[caption] for caption in part.captions], np.int64)
        return BothRanks(own, len(part.names), max(KS))

    def counted(self, part: Pairs, counter: BothRanks, num_not_finite: int) -> Scores:
        columns = {"text_rank": counter.above_own.counts["among_all"]}
        by_name = {"best": counter.best.cpu().numpy(), "others": counter.others.cpu().numpy()}
        return Scores(part.ids, columns, len(part.names), num_not_finite, by_name)

    def values(self, scores: Scores) -> dict[str, float]:
        counts = {
            NUM_IMAGES.name: float(len(scores.ids)),
            NUM_CAPTIONS.name: float(scores.num_names),
        }
        best = scores.by_name["best"].max(axis=1, keepdims=True)
        rank = (scores.by_name["others"] >= best).sum(axis=1)
        image = {
            metric.name: float((rank < metric.below).mean())
            for metric in IMAGE
            if scores.num_names >= self.names_needed[metric.name]
        }
        return super().values(scores) | image | counts
