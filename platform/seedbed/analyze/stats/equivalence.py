"""Is a difference too small to matter? Equivalence and non-inferiority against a stated margin.

A large p says nothing of the kind: only an interval that lies within the margin does.
Schuirmann 1987 (J. Pharmacokinet. Biopharm. 15:657), two one-sided tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.stats.means import contrasts
from seedbed.analyze.stats.multiplicity import adjust as adjust_p
from seedbed.analyze.trials.observations import AnalysisError

_ONE_EACH = "the interval lies within the margin, but not after adjusting for all levels (Holm)"


def equivalence(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    of: str,
    baseline: object,
    margin: float,
    block: str | None = None,
    alpha: float = 0.05,
    order: int = 2,
    error: str = "pooled",
) -> pd.DataFrame:
    """Does each level of `of` lie within `margin` of the baseline, to both sides?

    `margin` is in the response's unit. Columns level, difference, se, df, margin, p_lower,
    p_upper, p, p_adjusted, ci_low, ci_high, verdict, note. The interval is the one of
    1 - 2 alpha that belongs to the two one-sided tests; p is the larger of theirs, p_adjusted
    Holm's over the levels. Verdicts: "equivalent" (p_adjusted <= alpha), "different" (the interval
    lies outside the margin), "inconclusive", "not estimable".
    """
    _check(margin, alpha)
    table = _differences(trials, response, factors, of, baseline, block, order, error)
    half = stats.t.ppf(1 - alpha, table["df"]) * table["se"]
    table["margin"] = float(margin)
    table["p_lower"] = stats.t.sf((table["difference"] + margin) / table["se"], table["df"])
    table["p_upper"] = stats.t.sf((margin - table["difference"]) / table["se"], table["df"])
    table["p"] = np.maximum(table["p_lower"], table["p_upper"])
    table["p_adjusted"] = adjust_p(table["p"], "holm")
    table["ci_low"], table["ci_high"] = table["difference"] - half, table["difference"] + half
    outside = (table["ci_low"] > margin) | (table["ci_high"] < -margin)
    return _judged(table, alpha, yes="equivalent", no="different", is_no=outside)


def non_inferiority(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    of: str,
    baseline: object,
    margin: float,
    block: str | None = None,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    order: int = 2,
    error: str = "pooled",
) -> pd.DataFrame:
    """Is each level of `of` worse than the baseline by less than `margin`?

    Columns level, difference, se, df, margin, t, p, p_adjusted, ci_low, ci_high, verdict, note.
    The interval is the two-sided one of 1 - 2 alpha; its worse limit is the one-sided limit of
    1 - alpha. Verdicts: "non-inferior" (p_adjusted <= alpha), "inferior" (the interval lies beyond
    the margin), "inconclusive", "not estimable".
    """
    _check(margin, alpha)
    table = _differences(trials, response, factors, of, baseline, block, order, error)
    half = stats.t.ppf(1 - alpha, table["df"]) * table["se"]
    table["margin"] = float(margin)
    gain = table["difference"] if higher_is_better else -table["difference"]
    table["t"] = (gain + margin) / table["se"]
    table["p"] = stats.t.sf(table["t"], table["df"])
    table["p_adjusted"] = adjust_p(table["p"], "holm")
    table["ci_low"], table["ci_high"] = table["difference"] - half, table["difference"] + half
    return _judged(table, alpha, yes="non-inferior", no="inferior", is_no=gain + half < -margin)


def _check(margin: float, alpha: float) -> None:
    is_number = isinstance(margin, int | float | np.number) and not isinstance(margin, bool)
    if not is_number or not math.isfinite(margin) or margin <= 0:
        raise AnalysisError(
            f"The margin is {margin!r}.",
            why="Without a margin no difference is small.",
            mend="State a positive number in the response's unit, before the first trial.",
        )
    if not 0 < alpha < 0.5:
        raise AnalysisError(f"alpha is {alpha!r}.", mend="Use a number between 0 and 0.5.")


def _differences(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    of: str,
    baseline: object,
    block: str | None,
    order: int,
    error: str,
) -> pd.DataFrame:
    found = contrasts(
        trials, response, factors, of=of, baseline=baseline, block=block, adjust="none",
        order=order, error=error,
    )  # fmt: skip
    return found[["level", "difference", "se", "df", "note"]].copy()


def _judged(
    table: pd.DataFrame, alpha: float, *, yes: str, no: str, is_no: pd.Series[bool]
) -> pd.DataFrame:
    verdicts, notes = [], []
    for p, adjusted, refuted, difference, note in zip(
        table["p"], table["p_adjusted"], is_no, table["difference"], table["note"], strict=True
    ):
        verdict = yes if adjusted <= alpha else no if refuted else "inconclusive"
        verdicts.append("not estimable" if math.isnan(difference) else verdict)
        notes.append(_ONE_EACH if p <= alpha < adjusted and not note else note)
    table["verdict"] = verdicts
    table["note"] = notes
    last = ["ci_low", "ci_high", "verdict", "note"]
    return table[[name for name in table.columns if name not in last] + last]
