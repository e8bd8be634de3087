"""Caption retrieval: held-out pictures, each among the different captions of their split.

Metrics begin with `zeroshot/`, as records and designs of all versions have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seedbed.data.order import derive
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.task import Pairs, Ranking
from seedbed.metric import Metric

if TYPE_CHECKING:
    from seedbed.evaluate.ranking import AboveOwn

NUM_CANDIDATES = 100

NUM_IMAGES = Metric("zeroshot/num_images", "Held-out pictures", "count")
NUM_NAMES = Metric("zeroshot/num_names", "Names of held-out pictures", "count")


def _share(name: str, label: str, column: str, below: int) -> Metric:
    """A share of the pictures: those for which fewer than `below` names score as high."""
    among = NUM_NAMES.name if column == "among_all" else ""
    return Metric(
        name, label, "share", column=column, below=below, out_of=NUM_IMAGES.name, among=among
    )


TOP1 = _share("zeroshot/top1", "Caption retrieval top-1 among all", "among_all", 1)
TOP5 = _share("zeroshot/top5", "Caption retrieval top-5 among all", "among_all", 5)
TOP1_OF_100 = _share("zeroshot/top1_of_100", "Caption retrieval top-1 among 100", "among_100", 1)


@dataclass(frozen=True)
class Candidates:
    """For each picture the numbers of 100 names, its own first: [n, 100], seeded by its id.

    The same for every trial, so that differences between trials are paired by picture.
    """

    names: tuple[str, ...]
    truth: NDArray[np.int64]
    of_100: NDArray[np.int64]

    @classmethod
    def draw(cls, captions: Sequence[str], names: Sequence[str], ids: NDArray[Any]) -> Candidates:
        """`names` sorted and unique; `captions` [n] of the pictures `ids` [n]."""
        number = {name: i for i, name in enumerate(names)}
        truth = np.array([number[caption] for caption in captions], np.int64)
        wanted = min(NUM_CANDIDATES, len(names))
        rows = np.empty((len(truth), wanted), np.int64)
        for row, (own, sample_id) in enumerate(zip(truth.tolist(), ids.tolist(), strict=True)):
            words = np.random.Philox(key=derive("candidates", sample_id)).random_raw(len(names))
            others = np.argsort(words, kind="stable")[:wanted]
            others = others[others != own][: wanted - 1]
            rows[row] = [own, *others]
        return cls(tuple(names), truth, rows)


@dataclass(frozen=True)
class WithCandidates:
    """A rank's pictures, and the candidate names of each."""

    pairs: Pairs
    candidates: Candidates


class HeldOutCaptions(Ranking[WithCandidates]):
    """How often a picture's own caption scores highest: among all names, and among 100.

    `among_all` counts, for each picture, the names that did not score less than its own, and
    `among_100` those of its candidates: 0 is correct. A name that scores the same as the true one
    counts against it, and so does one whose score is no number, so that a model whose embeddings
    have all collapsed, or are no numbers, scores 0, not 1.
    """

    metrics = (TOP1, TOP5, TOP1_OF_100, NUM_IMAGES, NUM_NAMES)
    file = "examples.parquet"
    examples = "held-out pictures"
    needs_alignment = True
    # With fewer names an accuracy is not what its name says, or is certain to be 1.
    names_needed = MappingProxyType({TOP1.name: 2, TOP5.name: 6, TOP1_OF_100.name: NUM_CANDIDATES})

    def prepare(self, pairs: Pairs) -> WithCandidates:
        return WithCandidates(pairs, Candidates.draw(pairs.captions, pairs.names, pairs.ids))

    def pairs(self, part: WithCandidates) -> Pairs:
        return part.pairs

    def counter(self, part: WithCandidates) -> AboveOwn:
        from seedbed.evaluate.ranking import AboveOwn

        return AboveOwn(part.candidates.truth, {"among_100": part.candidates.of_100})

    def counted(self, part: WithCandidates, counter: AboveOwn, num_not_finite: int) -> Scores:
        names = part.candidates.names
        return Scores(part.pairs.ids, counter.counts, len(names), num_not_finite)

    def values(self, scores: Scores) -> dict[str, float]:
        return super().values(scores) | {
            NUM_IMAGES.name: float(len(scores.ids)),
            NUM_NAMES.name: float(scores.num_names),
        }
