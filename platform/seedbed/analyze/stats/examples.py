"""Two standard errors that are never mixed: over training seeds and over test examples.

More seeds do not make the test set larger. With the correctness of every example stored, the same
comparison has both errors: over seeds from the trials' accuracies, over examples from how the
difference varies between examples, which all trials share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import level_contrasts
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import AnalysisError, Floats, completed, observe

COLUMNS = (
    "level", "difference", "seed_se", "seed_df", "seed_ci_low", "seed_ci_high", "test_se",
    "test_ci_low", "test_ci_high", "num_examples", "note",
)  # fmt: skip
_CONFIDENCE = 0.95
_RESPONSE = "accuracy on the examples"
_FEWEST_EXAMPLES = 30  # for the normal interval over examples


def two_errors(
    trials: pd.DataFrame,
    correct: NDArray[np.bool_],
    factors: Sequence[str],
    *,
    of: str,
    baseline: object,
    block: str | None = None,
    order: int = 2,
    error: str = "pooled",
) -> pd.DataFrame:
    """Each level of `of` minus the baseline in accuracy, with both errors side by side.

    `correct` [num_trials, num_examples] holds bools, a row for every row of `trials` (rows of
    trials that did not complete are not read). `seed_*` is the t interval of `contrasts`: other
    training runs, these examples. `test_*` is the normal interval over examples, paired: these
    training runs, other examples. Columns as in COLUMNS, and those of `SHARED`, which are of seeds.
    """
    table = _checked(correct, len(trials))
    keep = completed(trials)
    scored = trials.assign(**{_RESPONSE: np.where(keep, table.mean(axis=1), np.nan)})
    seen = observe(scored, _RESPONSE, factors, block)
    fit = Fit(seen, order, error)
    contrasts = level_contrasts(fit, of, baseline)
    start = fit.cell_weights({of: seen.code_of(of, baseline)})
    rows: list[tuple[object, ...]] = []
    for one in contrasts:
        loadings = fit.loadings(fit.cell_weights({of: seen.code_of(of, one.level)}) - start)
        low = high = se = math.nan
        if loadings is not None:
            # The same weighted difference between trials, example by example.
            per_example = loadings @ table[seen.rows]
            se = paired_error(per_example)
            half = float(stats.norm.ppf((1 + _CONFIDENCE) / 2)) * se
            low, high = one.estimate - half, one.estimate + half
            if len(per_example) < _FEWEST_EXAMPLES:
                low = high = math.nan
                few = f"{len(per_example)} examples are too few for an interval over examples"
                one = one.noted(few)
        rows.append(
            (one.level, one.estimate, one.std_error, one.df, one.conf_low, one.conf_high,
             se, low, high, table.shape[1], one.note, one.statistic, one.p_value)
        )  # fmt: skip
    columns = [*COLUMNS, "statistic", "p_value"]
    return with_shared(
        pd.DataFrame(rows, columns=columns), estimate="difference", std_error="seed_se",
        df="seed_df", conf_low="seed_ci_low", conf_high="seed_ci_high",
    )  # fmt: skip


def paired_error(differences: Floats) -> float:
    """The standard error of a mean difference over examples [num_examples]."""
    if len(differences) < 2:
        return math.nan
    return float(np.std(differences, ddof=1) / math.sqrt(len(differences)))


def _checked(correct: NDArray[np.bool_], num_trials: int) -> NDArray[np.bool_]:
    try:
        table: NDArray[np.bool_] = np.asarray(correct)
    except ValueError:  # rows of unequal length
        table = np.empty(0, dtype=bool)
    if table.ndim != 2 or len(table) != num_trials or table.shape[1] == 0:
        raise AnalysisError(
            f"Correctness has the shape {table.shape}; {num_trials} trials by examples are needed.",
            why="Every trial must have judged the same examples, in the same order.",
        )
    if table.dtype != np.bool_:
        if not np.isin(table, (0, 1)).all():
            raise AnalysisError("Correctness holds values that are neither right nor wrong.")
        table = table.astype(bool)
    return table
