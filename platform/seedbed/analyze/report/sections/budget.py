"""Effects against the budget: does what is found survive scale?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from seedbed.analyze.findings.budget_effects import AgainstBudget, BudgetEffect, Crossing
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, count_words, counted, listed, unit_of
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.stats.comparison import Estimate
from seedbed.analyze.stats.shared_columns import with_shared
from seedbed.analyze.trials.observations import label_text

UNKNOWN = "not known at the paper's scale"


def effects_by_budget(findings: Findings) -> list[Section]:
    """What every level and interaction is worth at each budget, and at the next; maybe nothing."""
    found = findings.budget
    if found is None or not found.effects:
        return []
    factors = list(dict.fromkeys(effect.factor for effect in found.effects if not effect.within))
    tables = [
        _table(findings, found, term) for term in dict.fromkeys(e.term for e in found.effects)
    ]
    return [
        Section(
            "Effects against the budget",
            [_budgets(found), *_known(found), *_crossed(found)],
            [f"effects_by_budget_{name}" for name in factors],
            [*tables, *_crossings(found)],
            _remarks(found, "seeds" if findings.design.paired else "runs of a cell"),
        )
    ]


def budget_table(findings: Findings) -> pd.DataFrame:
    """A row for each effect and budget, the next one's by the trend."""
    found = findings.budget
    rows = []
    for effect in found.effects if found is not None else ():
        assert found is not None
        spots = [*zip(found.labels, found.numbers, effect.at, strict=True)]
        spots.append(("next", found.ahead, effect.ahead))
        for label, number, one in spots:
            rows.append(
                {
                    "term": effect.term,
                    "comparison": effect.words,
                    "budget": label_text(label),
                    "samples": number,
                    "by": "trend" if label == "next" else "trials",
                    "estimate": one.estimate,
                    "std_error": one.std_error,
                    "df": one.df,
                    "statistic": one.statistic,
                    "p_value": one.p_value,
                    "conf_low": one.conf_low,
                    "conf_high": one.conf_high,
                }
            )
    return with_shared(pd.DataFrame(rows))


def verdict(effect: BudgetEffect) -> str:
    """What is known of an effect at the next budget."""
    if not effect.is_known_ahead:
        return UNKNOWN
    return "above 0" if effect.ahead.estimate > 0 else "below 0"


def _budgets(found: AgainstBudget) -> str:
    sizes = listed([count_words(number) for number in found.numbers])
    return (
        f"Every effect at {counted(len(found.numbers), 'budget')}, {sizes} samples, and by a "
        f"straight line over the logarithm of the budget at the next, {count_words(found.ahead)}, "
        "which is as far beyond the largest as that is beyond the one before it."
    )


def _known(found: AgainstBudget) -> list[str]:
    mains = [effect for effect in found.effects if not effect.within]
    none = [effect.words for effect in mains if math.isnan(effect.ahead.conf_low)]
    unknown = [e.words for e in mains if not e.is_known_ahead and e.words not in none]
    words = []
    if unknown:
        why = "the interval at the next budget holds 0"
        words.append(f"{listed(unknown)}: {UNKNOWN}, since {why}.")
    if none:
        words.append(f"{listed(none)}: {UNKNOWN}, since there are too few runs for a trend.")
    return words or ["By the trend, the sign of every one of them is known at the next budget."]


def _crossed(found: AgainstBudget) -> list[str]:
    if not found.crossings:
        return ["No two levels change places from one budget to another."]
    return [
        f"{counted(len(found.crossings), 'change')} of places between two levels at neighbouring "
        "budgets: which of them is better depends on the budget."
    ]


def _table(findings: Findings, found: AgainstBudget, term: str) -> Table:
    effects = [effect for effect in found.effects if effect.term == term]
    every = [one for effect in effects for one in (*effect.at, effect.ahead)]
    values = [one.estimate for one in every]
    unit = unit_of(findings.primary.unit.metric, values, [one.half_width for one in every])

    def text(one: Estimate) -> str:
        if math.isnan(one.estimate):
            return NONE
        value = unit.difference(one.estimate)
        if math.isnan(one.std_error):
            return value
        return f"{value} [{unit.interval(one.conf_low, one.conf_high)}]"

    header = [f"{term.replace(':', ' x ')}, {unit.difference_unit}".rstrip(", ")]
    header += [count_words(number) for number in found.numbers]
    header += [f"next: {count_words(found.ahead)}", "At the next"]
    rows = [
        [effect.words, *map(text, (*effect.at, effect.ahead)), verdict(effect)]
        for effect in effects
    ]
    return Table(header, rows, frozenset(range(1, len(header) - 1)))


def _crossings(found: AgainstBudget) -> list[Table]:
    if not found.crossings:
        return []
    header = ["Factor", "Ahead before", "Ahead after", "From", "To", "Probability, %"]
    rows = [_crossing(one) for one in found.crossings]
    return [Table(header, rows, frozenset({5}), title="Levels that change places")]


def _crossing(one: Crossing) -> Sequence[str]:
    likely = NONE if math.isnan(one.probability) else f"{100 * one.probability:.0f}"
    before, after = label_text(one.first), label_text(one.second)
    return [one.factor, before, after, one.smaller, one.larger, likely]


def _remarks(found: AgainstBudget, repeats: str) -> list[str]:
    own = (
        "Intervals at a budget are of 95 %, by its own trials."
        if found.own_error
        else "Where a budget's trials have no error of their own, intervals there rest on what the "
        "trend leaves."
    )
    return [
        own,
        "The interval at the next budget is one of prediction, of what as many runs there would "
        f"show: by what the lines leave ({counted(found.df, 'degree')} of freedom) and how "
        f"{repeats} differ. A trend that bends beyond the largest budget is in it only as far as "
        "it bends below, and what is known at the next budget is not known beyond it.",
        "The probability that two levels really change places takes the errors of two budgets for "
        "independent; 50 % says that nothing is known of it.",
    ]
