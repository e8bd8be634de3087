"""Checks of what the intervals assume, and what to do where a check fails.

Remedies come in a fixed order, so that none is picked for its result: inspect outliers, transform,
allow unequal variances, analyse by seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from seedbed.analyze.numbers import counted, listed
from seedbed.analyze.stats.boxcox import BoxCox, box_cox
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import AnalysisError, Floats, Observations, observe

Check = tuple[float, str, float, object, str]  # statistic, df, p, is_violated, note
CHECKS = ("outliers", "equal variances", "normal residuals")
_FULL_LEVERAGE = 1e-8
_MOST_FOR_SHAPIRO = 5_000


@dataclass(frozen=True)
class Diagnostics:
    """`checks`, indexed by the name of the check: statistic, df, p, is_violated (or NA), note.

    `trials`, one row per completed trial, indexed as the table: residual, leverage, studentised
    (externally), cooks_distance, p_outlier (Bonferroni over the trials). `remedies` are sentences
    in the order in which to try them; empty when nothing speaks against the default intervals.
    """

    checks: pd.DataFrame
    trials: pd.DataFrame
    box_cox: BoxCox
    remedies: tuple[str, ...]

    @property
    def violated(self) -> tuple[str, ...]:
        """The names of the checks that fail."""
        return tuple(name for name in CHECKS if self.checks.loc[name, "is_violated"] is True)


def diagnose(
    trials: pd.DataFrame,
    response: str,
    factors: Sequence[str],
    *,
    block: str | None = None,
    order: int = 2,
    alpha: float = 0.05,
) -> Diagnostics:
    """Checks the model that `anova` and `contrasts` fit to the same arguments, at level `alpha`.

    Outliers: the largest externally studentised residual against t (Cook & Weisberg 1982). Equal
    variances between cells: Levene's test from medians (Brown & Forsythe 1974), with a block on the
    response with and without the block's part, the smaller p doubled. Normal residuals: Shapiro &
    Wilk 1965.
    """
    if not 0 < alpha < 1:
        raise AnalysisError(f"alpha is {alpha!r}.", mend="Use a number between 0 and 1.")
    seen = observe(trials, response, factors, block)
    fit = Fit(seen, order)
    per_trial = _per_trial(fit, trials.index[seen.rows])
    lam = box_cox(fit)
    if fit.error.refusal:
        rows: list[Check] = [(math.nan, "", math.nan, pd.NA, fit.error.refusal)] * len(CHECKS)
    else:
        rows = [_outliers(fit, per_trial), _equal_variances(fit), _normal(fit)]
        rows = [
            (value, df, p, pd.NA if math.isnan(p) else bool(p < alpha), note)
            for value, df, p, _, note in rows
        ]
    columns = ["statistic", "df", "p", "is_violated", "note"]
    checks = pd.DataFrame(rows, index=pd.Index(CHECKS, name="check"), columns=columns)
    checks["is_violated"] = checks["is_violated"].astype(object)
    checks = with_shared(checks, p_value="p")
    draft = Diagnostics(checks, per_trial, lam, ())
    return Diagnostics(checks, per_trial, lam, _remedies(draft, seen, alpha))


def _per_trial(fit: Fit, index: pd.Index[int]) -> pd.DataFrame:
    nan = np.full(len(fit.seen.y), np.nan)
    table = pd.DataFrame(
        {"residual": fit.residuals, "leverage": fit.leverage, "studentised": nan,
         "cooks_distance": nan, "p_outlier": nan}, index=index,
    )  # fmt: skip
    error, left = fit.error, 1 - fit.leverage
    if error.refusal or error.df < 2:
        return table
    free = left > _FULL_LEVERAGE
    rest, left = fit.residuals[free], left[free]
    # The error variance without the trial itself.
    without = np.maximum(error.sum_sq - rest**2 / left, 1e-12 * error.sum_sq) / (error.df - 1)
    size = rest / np.sqrt(without * left)
    table.loc[free, "studentised"] = size
    cook = rest**2 * (1 - left) / (left**2 * error.mean_sq * fit.basis.shape[1])
    table.loc[free, "cooks_distance"] = cook
    p = 2 * stats.t.sf(np.abs(size), error.df - 1) * len(rest)
    table.loc[free, "p_outlier"] = np.minimum(p, 1.0)
    return table


def _outliers(fit: Fit, per_trial: pd.DataFrame) -> Check:
    size = per_trial["studentised"].abs()
    if size.isna().all():
        return (math.nan, "", math.nan, None, "too few degrees of freedom to leave a trial out")
    place = size.idxmax()
    p = float(per_trial["p_outlier"].min())
    return (float(size.max()), f"{fit.error.df - 1}", p, None, f"the largest is in row {place}")


def _equal_variances(fit: Fit) -> Check:
    """Levene's test; with a block, on the response both with and without the block's part.

    Each misses what the other finds. Without the block's part, which is estimated from all cells,
    the noise of one cell leaks into the others; with it, large differences between blocks hide the
    cells' variances.
    """
    if fit.seen.block is None:
        return _levene(_cells(fit))
    both = [_levene(_cells(fit)), _levene(_by_cell(fit, fit.seen.y))]
    known = [check for check in both if not math.isnan(check[2])]
    if len(known) < 2:
        return both[0]
    value, df, p, violated, _ = min(known, key=lambda check: check[2])
    how = "less" if (value, df) == both[0][:2] else "with"
    note = f"{how} the blocks' part, the stronger of two tests; p is doubled for it"
    return (value, df, min(1.0, 2 * p), violated, note)


def _levene(cells: Sequence[Floats]) -> Check:
    groups = [group for group in cells if len(group) > 1]
    if len(groups) < 2:
        return (math.nan, "", math.nan, None, "fewer than two cells have two trials")
    spread = [np.abs(group - np.median(group)) for group in groups]
    if all(np.ptp(s) < 1e-12 * max(s.max(), 1e-300) for s in spread):
        return (math.nan, "", math.nan, None, "two trials a cell cannot show unequal variances")
    value, p = stats.f_oneway(*spread)
    df = f"{len(groups) - 1}, {sum(map(len, groups)) - len(groups)}"
    return (float(value), df, float(p), None, "")


def _cells(fit: Fit) -> list[Floats]:
    """The response less the block's part, cell by cell."""
    seen = fit.seen
    own = seen.y.copy()
    if seen.block is not None:
        weights = [fit.cell_weights({seen.block: i}) for i in range(len(seen.levels[seen.block]))]
        whole = np.mean(weights, axis=0)
        shifts = [fit.estimate(weight - whole).estimate for weight in weights]
        own -= np.nan_to_num(np.array(shifts))[seen.codes[seen.block]]
    return _by_cell(fit, own)


def _by_cell(fit: Fit, values: Floats) -> list[Floats]:
    which = fit.seen.cell_numbers
    return [values[which == cell] for cell in range(which.max() + 1)]


def _normal(fit: Fit) -> Check:
    if fit.error.df < 3:
        return (math.nan, "", math.nan, None, "too few degrees of freedom to see a shape")
    rest, note = fit.residuals, ""
    if len(rest) > _MOST_FOR_SHAPIRO:  # with more, its p is inaccurate (Royston 1995)
        rest = rest[np.linspace(0, len(rest) - 1, _MOST_FOR_SHAPIRO).round().astype(int)]
        note = f"of {len(rest)} of the {len(fit.residuals)} trials, evenly through the table"
    value, p = stats.shapiro(rest)
    return (float(value), f"{len(rest)}", float(p), None, note)


def _remedies(draft: Diagnostics, seen: Observations, alpha: float) -> tuple[str, ...]:
    failed, sentences = draft.violated, []
    if "outliers" in failed:
        rows = [str(row) for row in draft.trials.index[draft.trials["p_outlier"] < alpha]]
        sentences.append(
            f"Look at the {'trial' if len(rows) == 1 else 'trials'} in row {listed(rows)} first: a "
            "wrong setting is mended and run again; otherwise report the result with and without "
            f"{counted(len(rows), 'trial')}."
        )
    if "equal variances" in failed or "normal residuals" in failed:
        transform = _transform(draft.box_cox, seen)
        if transform:
            sentences.append(transform)
    if "equal variances" in failed:
        sentences.append(
            'Use intervals that let variances differ: error="unequal" '
            + ("(one value per block; three blocks at least)." if seen.block else "(Welch, HC2).")
        )
    if "normal residuals" in failed:
        sentences.append(
            "Read the intervals by seed: each rests on one difference per seed, a mean over the "
            "other factors' cells, which is closer to normal than single trials are."
            if seen.block
            else "Add runs of each cell: a mean of several is closer to normal than one run is."
        )
    return tuple(sentences)


def _transform(lam: BoxCox, seen: Observations) -> str:
    """The transform that the trials suggest; empty where none is needed."""
    if lam.note or lam.ci_low <= 1 <= lam.ci_high:
        return ""
    raw = seen.y + seen.centre
    if raw.max() < 1:
        return (
            f"Analyse logit({seen.response}) = log(x / (1 - x)): a share between 0 and 1 whose "
            f"Box-Cox interval ({lam.ci_low:.2f} to {lam.ci_high:.2f}) leaves out 1."
        )
    if lam.ci_low <= 0 <= lam.ci_high:
        return (
            f"Analyse log({seen.response}): the Box-Cox interval ({lam.ci_low:.2f} to "
            f"{lam.ci_high:.2f}) holds 0 and leaves out 1; differences are then ratios."
        )
    return (
        f"Analyse {seen.response} to the power {lam.value:.2g}: the Box-Cox interval "
        f"({lam.ci_low:.2f} to {lam.ci_high:.2f}) leaves out 1 and 0."
    )
