"""The probes of a test set that has a train split, as outcomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seedbed.errors import DataError
from seedbed.evaluate.encoder import Encoder
from seedbed.evaluate.outcome import Outcome
from seedbed.evaluate.probe import (
    NEIGHBOURS,
    SHOT_C,
    TEMPERATURE,
    VALIDATION,
    Embedded,
    accuracy,
    chosen_c,
    embedded,
    fit,
    neighbours,
    shots,
)
from seedbed.evaluate.scores import Scores
from seedbed.evaluate.test_set import TestSet, open_test_set
from seedbed.evaluate.zeroshot import no_number

TASK = "linear_probe"
SHOTS = (1, 4, 16)
DRAWS = 3  # of the shots: their mean is the result


def probe(
    encoders: Sequence[Encoder], test_set: TestSet, seed: int = 0
) -> list[Outcome | DataError]:
    """Linear, nearest-neighbour and few-shot probes of each model, or why it has none: fitted on
    `train`, judged on the test set's split. Raises DataError where there is no train split."""
    training = open_test_set(test_set.uri, "train")
    trained = embedded(encoders, training)
    tested = embedded(encoders, test_set)
    return [
        _outcome(encoder, test_set, training, train, test, seed)
        if train.is_finite and test.is_finite
        else no_number(encoder.name, test_set)
        for encoder, train, test in zip(encoders, trained, tested, strict=True)
    ]


def _outcome(
    encoder: Encoder,
    test_set: TestSet,
    training: TestSet,
    train: Embedded,
    test: Embedded,
    seed: int,
) -> Outcome:
    c = chosen_c(train, seed)
    linear = fit(train, c)
    scores = linear.scores(test.features)
    own = np.take_along_axis(scores, test.labels[:, None], axis=1)
    above = (scores >= own).sum(1) - 1
    voted = neighbours(train, test)
    values = {
        "lp_acc1": float((above == 0).mean()),
        "knn_acc1": float((voted == test.labels).mean()),
    }
    least = int(np.bincount(train.labels, minlength=train.num_classes).min())
    for num in (n for n in SHOTS if n <= least):
        draws = [accuracy(fit(shots(train, num, seed + n), SHOT_C), test) for n in range(DRAWS)]
        values[f"shots{num}_acc1"] = float(np.mean(draws))
    columns = {"label": test.labels, "above": above, "neighbours": voted}
    return Outcome(
        encoder.name,
        test_set.name,
        TASK,
        values,
        dict.fromkeys(values, 1 / test.num_classes),
        Scores(np.arange(len(test.labels)), columns, test.num_classes),
        {
            **encoder.protocol,
            "split": test_set.split,
            "features": f"{encoder.features}, normalised",
            "fit": "logistic regression by L-BFGS; C by the accuracy on a part of train, then all",
            "validation_part": VALIDATION,
            "c": c,
            "seed": seed,
            "neighbours": NEIGHBOURS,
            "temperature": TEMPERATURE,
            "shots_c": SHOT_C,
            "shots_draws": DRAWS,
            "train": training.mark,
            "test_set": test_set.mark,
        },
        pretrained=encoder.pretrained,
    )
