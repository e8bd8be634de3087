"""The tables behind a report, as CSV: the numbers of every response."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from seedbed.analyze.findings.effects import effect_table, share_table
from seedbed.analyze.findings.study import Findings, ResponseFindings
from seedbed.analyze.stats.comparison import comparison_table

# Ten digits: machines round differently only beyond them.
_FLOATS = "%.10g"


def tables_of(findings: Findings) -> dict[str, str]:
    """The numbers of every response in long form."""
    responses = [findings.primary, *findings.secondary]
    return {
        "means.csv": _stacked(responses, lambda response: response.means),
        "contrasts.csv": _stacked(responses, _contrasts),
        "anova.csv": _stacked(responses, lambda response: response.anova.reset_index()),
        "effects.csv": _stacked(responses, effect_table),
        "effect_sizes.csv": _stacked(responses, share_table),
        "interactions.csv": _stacked(responses, _interactions),
    }


def _contrasts(response: ResponseFindings) -> pd.DataFrame:
    by_seed = () if response.error == "unequal" else ("by_seed_low", "by_seed_high")
    return comparison_table(response.contrasts, ["factor", "baseline", "level"], by_seed)


def _interactions(response: ResponseFindings) -> pd.DataFrame:
    """Of every pair of factors the interactions, then the simple effects."""
    pairs = list(dict.fromkeys(one.term for one in response.interactions))
    both = [*response.interactions, *response.simple_effects]
    both.sort(key=lambda one: pairs.index(one.term))
    return comparison_table(both, ["a", "b", "kind", "a_level", "b_level"])


def _stacked(
    responses: list[ResponseFindings], table_of: Callable[[ResponseFindings], pd.DataFrame]
) -> str:
    tables = {one.unit.name: table for one in responses if len(table := table_of(one))}
    if not tables:
        return "response\n"
    return as_csv(pd.concat(tables, names=["response"]).reset_index("response"))


def as_csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format=_FLOATS, lineterminator="\n")
