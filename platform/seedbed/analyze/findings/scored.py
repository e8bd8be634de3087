"""What is found of test sets: effects that differ between them, and errors by their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seedbed.analyze.findings.response import ResponseFindings
from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.stats.examples import two_errors
from seedbed.analyze.stats.test_sets import effects_by_test
from seedbed.analyze.trials.observations import AnalysisError, completed
from seedbed.plan.design import Design


def scored_tests(design: Design, trials: pd.DataFrame) -> dict[str, float]:
    """The responses that are top-1 of a test set of classes, with their chance levels: of two or
    more, or of what a table's owner gave a level for."""
    found = {}
    stated = False
    for metric in map(design.metric, design.responses):
        if metric.chance is not None:
            found[metric.name], stated = metric.chance, True
            continue
        if not (metric.file and metric.is_share and metric.below == 1):
            continue
        if metric.among in trials.columns and trials[metric.among].max() > 1:
            found[metric.name] = 1 / float(trials[metric.among].max())
    return found if len(found) > 1 or stated else {}


def effects_on_tests(
    design: Design, trials: pd.DataFrame, tests: Mapping[str, float], factors: list[str]
) -> pd.DataFrame:
    """What the effects on several test sets differ by; empty for one, and where no
    trial has them all."""
    if len(tests) < 2:
        return pd.DataFrame()
    try:
        return effects_by_test(trials, tests, factors, block=block_of(design), order=design.order)
    except AnalysisError:
        return pd.DataFrame()


def errors_of_tests(
    design: Design,
    trials: pd.DataFrame,
    response: ResponseFindings,
    baselines: Mapping[str, Any],
    correct: Mapping[str, NDArray[np.bool_]],
) -> pd.DataFrame:
    """`two_errors` of every factor (column `factor`), over the trials whose pictures are known."""
    known = trials[trials["key"].isin(list(correct)) & completed(trials)] if correct else trials[:0]
    if response.fault or known.empty:
        return pd.DataFrame()
    matrix = np.stack([correct[key] for key in known["key"]])
    known = known.reset_index(drop=True)
    try:
        tables = [
            two_errors(
                known,
                matrix,
                list(baselines),
                of=name,
                baseline=baseline,
                block=block_of(design),
                error=response.error,
            ).assign(factor=name)
            for name, baseline in baselines.items()
        ]
    except AnalysisError:
        return pd.DataFrame()
    return pd.concat(tables, ignore_index=True)
