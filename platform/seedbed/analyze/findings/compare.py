"""Two studies side by side: do the effects that both measured agree?"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from scipy import stats

from seedbed.analyze.stats.chosen_error import block_of, chosen_error
from seedbed.analyze.stats.comparison import Comparison
from seedbed.analyze.stats.fit import Fit
from seedbed.analyze.stats.means import level_contrasts
from seedbed.analyze.trials.observations import AnalysisError, observe
from seedbed.errors import nearest
from seedbed.plan.design import Design
from seedbed.study.label import label_text

COLUMNS = (
    *("factor", "level", "baseline", "first", "second"),
    *("difference", "ci_low", "ci_high", "p", "note"),
)

Study = tuple[Design, pd.DataFrame]


def compare(
    first: Study,
    second: Study,
    response: str = "",
) -> pd.DataFrame:
    """Each effect that two studies (design, trials) have in common, and how they differ.

    A row for each level of a factor of both that has the same baseline in both: the difference
    from the baseline in the first and in the second study, and the second's less the first's with
    its 95 % interval. The studies are taken as independent, with errors and degrees of freedom of
    their own (Welch-Satterthwaite). `response` is the first's primary one unless given. Raises
    AnalysisError where the studies share no factor or not the response.
    """
    response = response or first[0].responses[0]
    for design, trials in (first, second):
        if response not in trials:
            raise AnalysisError(
                f"Study '{design.study}' has no response '{response}'.",
                mend=nearest(response, design.responses),
            )
    shared = [name for name in first[0].factors if name in second[0].factors]
    if not shared:
        raise AnalysisError(
            f"Studies '{first[0].study}' and '{second[0].study}' share no factor.",
            mend=f"The first has {', '.join(first[0].factors)}; "
            f"the second {', '.join(second[0].factors)}.",
        )
    lines = [line for factor in shared for line in _lines(first, second, response, factor)]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(first: Study, second: Study, response: str, factor: str) -> list[dict[str, Any]]:
    baselines = [label_text(design.factors[factor].baseline) for design, _ in (first, second)]
    if baselines[0] != baselines[1]:
        note = f"the baselines differ: {baselines[0]} and {baselines[1]}"
        return [{"factor": factor, "baseline": " / ".join(baselines), "note": note}]
    effects, others = (_effects(*study, response, factor) for study in (first, second))
    return [
        {"factor": factor, "level": level, "baseline": baselines[0]}
        | _difference(effects[level], others[level])
        for level in effects
        if level in others
    ]


def _effects(
    design: Design, trials: pd.DataFrame, response: str, factor: str
) -> dict[str, Comparison]:
    """By its label, each level of a factor against the baseline."""
    block = block_of(design)
    if block is not None and trials[block].nunique() < 2:
        block = None
    seen = observe(trials, response, list(design.factors), block)
    fit = Fit(seen, design.order, chosen_error(design, trials, response))
    comparisons = level_contrasts(fit, factor, design.factors[factor].baseline)
    return {one.label: one for one in comparisons}


def _difference(a: Comparison, b: Comparison) -> dict[str, Any]:
    """Both, and the second less the first with what is known of its error."""
    difference = b.estimate - a.estimate
    line = {"first": a.estimate, "second": b.estimate, "difference": difference, "note": ""}
    if not all(math.isfinite(one.std_error) and one.df > 0 for one in (a, b)):
        return line | {"note": a.note or b.note or "a study has no error to judge it by"}
    variances = [one.std_error**2 for one in (a, b)]
    se = math.sqrt(sum(variances))
    if se == 0:
        return line | {"note": "neither study shows any error"}
    df = se**4 / sum(v**2 / one.df for v, one in zip(variances, (a, b), strict=True))
    half = float(stats.t.ppf(0.975, df)) * se
    p = 2 * float(stats.t.sf(abs(difference) / se, df))
    return line | {"ci_low": difference - half, "ci_high": difference + half, "p": p}
