"""Zero-shot classification with prompt ensembles (Radford et al. 2021, arXiv:2103.00020, 3.1)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.errors import DataError
from seedbed.evaluate.encoder import Encoder
from seedbed.evaluate.outcome import Outcome, wilson_of_mean
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.stream import BATCH, parts
from seedbed.evaluate.test_set import NAME, TEMPLATES, TestSet, checked_templates

TASK = "zeroshot_classification"
TOP = 5


def classify(
    encoders: Sequence[Encoder],
    test_set: TestSet,
    templates: Sequence[str] = (),
    *,
    batch: int = BATCH,
    rank: int = 0,
    of: int = 1,
) -> list[Scores]:
    """Each model's scores on the examples of one rank; `templates` default to the test set's.

    Columns: `label`, `predicted`, and `above`, the number of other classes that did not score less
    than the true one: 0 is right. A class that scores the same counts against it, so that a model
    whose embeddings have collapsed is right nowhere; of classes with one name the first is before
    the others, as argmax has it. All models read one stream of pictures. Raises DataError where no
    template is given.
    """
    chosen = checked_templates(list(templates or test_set.templates), f"{test_set.uri}/{TEMPLATES}")
    prompts = prompts_of(test_set.classes, chosen)
    classifiers = [encoder.classifier(prompts) for encoder in encoders]
    after = namesakes_after(test_set.classes)
    labels: list[int] = []
    found: list[list[torch.Tensor]] = [[] for _ in encoders]
    bad = [0] * len(encoders)
    for part in parts(test_set, encoders, batch=batch, rank=rank, of=of):
        truth = torch.tensor([example.label for example in part.examples])
        labels += truth.tolist()
        for place, (classifier, pictures) in enumerate(
            zip(classifiers, part.pictures, strict=True)
        ):
            *both, not_finite = counted(classifier(pictures), truth, after)
            found[place].append(torch.from_numpy(np.stack(both)))
            bad[place] += not_finite
    ids = np.arange(len(labels), dtype=np.int64) * of + rank
    return [
        _scores(ids, labels, columns, len(test_set.classes), not_finite)
        for columns, not_finite in zip(found, bad, strict=True)
    ]


def prompts_of(classes: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """Each class's prompts: its name in every template."""
    return [[template.replace(NAME, name) for template in templates] for name in classes]


def namesakes_after(classes: Sequence[str]) -> torch.Tensor:
    """For each class, how many of the later ones have its name [classes]: ImageNet has two called
    missile, which no model can tell apart."""
    seen: dict[str, int] = {}
    after = []
    for name in reversed(classes):
        after.append(seen.get(name, 0))
        seen[name] = after[-1] + 1
    return torch.tensor(after[::-1])


def counted(
    scores: torch.Tensor, truth: torch.Tensor, after: torch.Tensor
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Of scores [n, classes] the best class, how many others reach the true one's, and of how many
    pictures some are no numbers, which count against the true class. `after` are the
    `namesakes_after` of each class."""
    own = scores.gather(1, truth[:, None])
    # Not `>=`: NaN is neither more nor less.
    above = (~(scores < own)).sum(1) - 1
    above -= torch.where(torch.isfinite(own[:, 0]), after[truth], 0)
    num_not_finite = int((~torch.isfinite(scores)).any(1).sum())
    return scores.argmax(1).numpy(), above.numpy(), num_not_finite


def _scores(
    ids: np.ndarray,
    labels: Sequence[int],
    columns: Sequence[torch.Tensor],
    num_classes: int,
    num_not_finite: int,
) -> Scores:
    none = torch.empty(2, 0, dtype=torch.int64)  # of a rank that there is no example for
    both = torch.cat([none, *columns], dim=1).numpy()
    table = {"label": np.array(labels), "predicted": both[0], "above": both[1]}
    return Scores(ids, table, num_classes, num_not_finite)


def outcome(
    encoder: Encoder, test_set: TestSet, scores: Scores, templates: Sequence[str] = ()
) -> Outcome:
    """`outcome_of` an encoder."""
    found = outcome_of(encoder.name, encoder.protocol, test_set, scores, templates)
    return replace(found, pretrained=encoder.pretrained)


def outcome_of(
    name: str,
    protocol: Mapping[str, Any],
    test_set: TestSet,
    scores: Scores,
    templates: Sequence[str] = (),
) -> Outcome:
    """The metrics of all ranks' scores: acc1, acc5 (NaN below 6 classes), mean per class.

    Raises DataError for scores that are no numbers, and for a class without a picture, whose recall
    nobody knows.
    """
    if scores.num_not_finite:
        raise no_number(name, test_set)
    above = scores.columns["above"]
    counts = counts_of(test_set, scores.columns["label"])
    values = {
        "acc1": float((above == 0).mean()),
        "acc5": float((above < TOP).mean()) if len(counts) > TOP else math.nan,
        "mean_per_class_recall": mean_per_class(scores),
    }
    guessed = 1 / len(counts)
    return Outcome(
        name,
        test_set.name,
        TASK,
        values,
        {"acc1": guessed, "acc5": min(1.0, TOP * guessed), "mean_per_class_recall": guessed},
        scores,
        {**protocol, **protocol_of(test_set, test_set.mark, templates)},
        intervals={"mean_per_class_recall": wilson_of_mean(per_class(scores), counts.tolist())},
    )


def no_number(name: str, test_set: TestSet) -> DataError:
    """Of a model whose scores, or embeddings, are not all numbers."""
    return DataError(
        f"{name} on {test_set.name}: a score is no number",
        why="its weights or its embeddings of pictures or texts are not finite, or all zero",
        mend="evaluate an earlier checkpoint: this one has diverged",
    )


def counts_of(test_set: TestSet, labels: NDArray[Any]) -> NDArray[np.int64]:
    """How many pictures each class has. Raises DataError for one without any."""
    counts = np.bincount(labels, minlength=len(test_set.classes))
    if (counts == 0).any():
        missing = int(np.flatnonzero(counts == 0)[0])
        raise DataError(
            f"{test_set.uri} has no picture of class {missing}, '{test_set.classes[missing]}'",
            why=f"{int((counts == 0).sum())} of {len(counts)} classes have none, and the mean over "
            "classes has no value for them",
            mend="take them out of classnames.txt and number the labels anew, or add pictures",
        )
    return counts


def mean_per_class(scores: Scores) -> float:
    """The mean of the classes' top-1; every class has a picture."""
    return float(np.mean(per_class(scores)))


def per_class(scores: Scores) -> list[float]:
    """Of each class the share of its pictures that are right [classes]."""
    labels = scores.columns["label"]
    right = np.bincount(labels, weights=scores.columns["above"] == 0)
    return [float(share) for share in right / np.bincount(labels)]


def protocol_of(test_set: TestSet, mark: str, templates: Sequence[str] = ()) -> dict[str, Any]:
    """What of a test set decides the numbers, beside the model."""
    chosen = list(templates or test_set.templates)
    repeated = len(set(test_set.classes)) < len(test_set.classes)
    return {
        **({"namesakes": "the first is predicted"} if repeated else {}),
        "split": test_set.split,
        "num_templates": len(chosen),
        "templates": digest(chosen),
        "classnames": digest(test_set.classes),
        "test_set": mark,
    }


def digest(lines: Sequence[str]) -> str:
    """16 hex digits that tell these lines from others."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
