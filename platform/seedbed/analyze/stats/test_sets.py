"""Whether effects differ between the test sets that the same trials were scored on.

Test sets are a factor that is crossed with all others, and trials are its blocks: what a trial does
better everywhere cancels, and a term's interaction with the test sets is judged by how much trials
of one cell differ from test set to test set. That is a split plot, or repeated measures, and their
sums of squares (Winer, Brown & Michels 1991, chapter 7), with the degrees of freedom of Greenhouse
and Geisser (1959, Psychometrika 24:95), for test sets are neither equally hard nor equally noisy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import linalg, stats

from seedbed.analyze.stats.anova import anova
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import AnalysisError, Floats, observe, require_column

PART = "test sets/"  # of a trial's differences between test sets: a column each


def effects_by_test(
    trials: pd.DataFrame,
    tests: Mapping[str, float],
    factors: Sequence[str],
    *,
    block: str | None = None,
    order: int = 2,
) -> pd.DataFrame:
    """A row for each term (`A`, `A:B`): its interaction with the test sets.

    `tests` are the columns of accuracies and the chance level of each, by which they are corrected:
    (accuracy - chance) / (1 - chance). Trials that lack one of them are left out. Columns: df and
    df_error, already times `epsilon`, sum_sq, F, p and note. Raises AnalysisError for fewer than
    two test sets, and for a chance level that is none.
    """
    for name, chance in tests.items():
        require_column(trials, name)
        if not 0 <= chance < 1:
            raise AnalysisError(
                f"The chance level of {name} is {chance!r}.", mend="Give 1 / its number of classes."
            )
    if len(tests) < 2:
        raise AnalysisError(f"Effects are compared between two test sets; there is {len(tests)}.")
    table, parts = _differences(trials, tests)
    own = [anova(table, part, factors, block=block, order=order) for part in parts]
    first, epsilon = own[0], _epsilon(table, parts, factors, block, order)
    rows = {}
    for term in first.index:
        if term == "Residual" or term == block:
            continue
        (df, sum_sq), (df_error, rest) = (
            [sum(float(one[name][row]) for one in own) for name in ("df", "sum_sq")]
            for row in (str(term), "Residual")
        )
        df, df_error = epsilon * df, epsilon * df_error
        note = str(first.loc["Residual", "note"] or first.loc[term, "note"])
        refused = bool(first.loc["Residual", "note"])
        known = df > 0 and df_error > 0 and rest > 0 and not refused
        value = sum_sq / df / (rest / df_error) if known else np.nan
        p = float(stats.f.sf(value, df, df_error)) if known else np.nan
        rows[term] = (df, df_error, sum_sq, value, p, epsilon, note)
    columns = ["df", "df_error", "sum_sq", "F", "p", "epsilon", "note"]
    made = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    made.index.name = "term"
    return with_shared(made, statistic="F", p_value="p")


def _differences(
    trials: pd.DataFrame, tests: Mapping[str, float]
) -> tuple[pd.DataFrame, list[str]]:
    """`trials` with orthonormal contrasts of their accuracies above chance, and the columns'
    names: a trial's mean over the test sets is in none of them."""
    accuracy = trials[list(tests)].astype(float).to_numpy()
    chance = np.array(list(tests.values()))
    contrasts: Floats = linalg.helmert(len(tests))
    parts = [f"{PART}{number}" for number in range(1, len(tests))]
    found = pd.DataFrame((accuracy - chance) / (1 - chance) @ contrasts.T, columns=parts)
    return trials.assign(**{part: found[part].to_numpy() for part in parts}), parts


def _epsilon(
    trials: pd.DataFrame,
    parts: Sequence[str],
    factors: Sequence[str],
    block: str | None,
    order: int,
) -> float:
    """Greenhouse and Geisser's: 1 where contrasts vary alike and apart, 1 / (T - 1) at least."""
    rest = np.stack(
        [Fit(observe(trials, part, factors, block), order, "residual").residuals for part in parts]
    )
    spread = rest @ rest.T
    squares = float((spread**2).sum())
    return float(np.trace(spread)) ** 2 / (len(parts) * squares) if squares > 0 else 1.0
