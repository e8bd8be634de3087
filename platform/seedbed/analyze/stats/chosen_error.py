"""Chooses the error behind a report's intervals: by the design, never by the trials' values.

With three seeds or more every cell has a variance of its own: of the rules that cover 95 % whatever
the cells' variances, this one gives the narrowest intervals (`tests/benchmarks/bench_coverage.py`
has the widths of all). Where trials share more than their seed's shift, the seed is the unit of
analysis. A pooled error is narrower still, but too narrow as soon as one cell varies more: it is
used where the study preregistered it, and with two seeds, which allow nothing else.
"""

from __future__ import annotations

import pandas as pd

from seedbed.analyze.numbers import p_value
from seedbed.analyze.stats.diagnostics import Diagnostics
from seedbed.analyze.trials.observations import completed
from seedbed.analyze.trials.table import HALF
from seedbed.plan.design import Design

BLOCK = "seed"  # every comparison is within seeds
ORDER = "order_hash"
RESIDUAL = "residual"  # what the model's terms leave is taken for the error
FEWEST_SEEDS = 3  # for a variance that is not pooled

# How an interval is described after "the 95 % interval of their mean, ".
WORDS = {
    "pooled": "its error pooled over the study",
    "cells": "every cell with a variance of its own",
    "unequal": "from one value per seed",
    RESIDUAL: "the interactions that the model leaves out being taken for its error",
}


def block_of(design: Design) -> str | None:
    """The column that comparisons are made within; None where nothing is shared.

    The halves of a fraction that was folded over are blocks, too: the second ran later.
    """
    if any(trial.half for trial in design.trials):
        return HALF
    return BLOCK if design.paired else None


def chosen_error(design: Design, trials: pd.DataFrame, response: str) -> str:
    """The kind of error of the report's intervals: pooled, cells or unequal (see `Fit`)."""
    if design.error.kind == RESIDUAL:
        return RESIDUAL
    values = pd.to_numeric(trials[response], errors="coerce")
    if trials.loc[completed(trials) & values.notna(), BLOCK].nunique() < FEWEST_SEEDS:
        return "pooled"
    if design.error.kind == "pooled" and not _too_late(design):
        return "pooled"
    return "unequal" if shares_orders(trials) else "cells"


def shares_orders(trials: pd.DataFrame) -> bool:
    """Whether trials of one seed read several orders of samples, each shared by some of them.

    Then an order is a whole plot (as in a split-plot design): it affects all its trials at once.
    """
    if ORDER not in trials.columns:
        return False
    done = trials[completed(trials)]
    orders = done.loc[done[ORDER] != "", [BLOCK, ORDER]]
    if len(orders) < len(done) or orders.empty:
        return False
    shared = orders.groupby([BLOCK, ORDER]).size()
    return bool((shared > 1).any() and (shared.groupby(level=0).size() > 1).any())


def reason(design: Design, error: str, checks: Diagnostics, plots: bool) -> str:
    """What a reader must know about the choice of error; empty where there is nothing to say."""
    shared = "trials of the same data and seed share their order of samples"
    stated = design.error.kind == "pooled"
    if error == RESIDUAL:
        return (
            "one run a cell has no error of its own: what the model leaves out, the interactions "
            "of all factors, is taken for it, and every p and interval here rests on that"
        )
    if error == "unequal":
        return f"{shared}, so the seed is the unit: intervals rest on one value per seed"
    if error == "pooled" and stated and not _too_late(design):
        words = "the error is pooled over all cells, as the study stated before its first trial"
        if plots:
            return f"{words}; but {shared}: read the intervals by seed"
        if "equal variances" in checks.violated:
            p = p_value(float(checks.checks["p"]["equal variances"]))
            words += (
                f"; but cells differ in their variance (Levene's test, p {p}): read the "
                "intervals by seed"
            )
        return words
    if error == "cells" and stated:
        return f"a pooled error was asked for {design.error.stated}, so it is not used"
    return ""


def _too_late(design: Design) -> bool:
    return design.error.stated.startswith("after")
