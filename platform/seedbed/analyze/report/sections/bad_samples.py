"""Samples that could not be used: counted over trials, some of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import counted
from seedbed.analyze.report.page import Section, Table
from seedbed.analyze.trials.observations import completed
from seedbed.plan.design import Design
from seedbed.plan.design_data import BadSamples
from seedbed.storage.tables import read_table

FILE_NAME = "bad_samples.parquet"
TRAINED, TESTED = "data/bad_samples", "data/bad_test_samples"
MOST_TRIALS = 100  # whose files are read: trials of one cohort have the same
MOST_NAMED = 20


def with_bad_samples(
    design: Design, trials: pd.DataFrame, read: Callable[[str], bytes | None]
) -> Design:
    """`design`, with the bad samples of its completed trials among its data.

    `trials` is their table, and `read` gives a trial's file of bad samples, or None.
    """
    done = trials[completed(trials)]
    counts = {name: done[name].fillna(0) for name in (TRAINED, TESTED) if name in done}
    some = done[sum(counts.values(), start=pd.Series(0.0, done.index)) > 0]
    if not len(some):
        return design
    once = some.drop_duplicates("cohort") if "cohort" in some else some
    found: set[tuple[str, str, str]] = set()
    for key in once["key"].head(MOST_TRIALS):
        content = read(key)
        if content is not None:
            rows = read_table(content).to_pylist()
            found |= {(row["shard"], row["key"], row["reason"]) for row in rows}
    largest = {name: int(values.max()) for name, values in counts.items() if len(values)}
    told = BadSamples(
        num_trials=len(some),
        num_trained=largest.get(TRAINED, 0),
        num_tested=largest.get(TESTED, 0),
        num_different=len(found),
        named=tuple(sorted(found)[:MOST_NAMED]),
    )
    return replace(design, data=replace(design.data, bad_samples=told))


def words(told: BadSamples) -> str:
    """One sentence on samples that could not be used."""
    return (
        f"In {counted(told.num_trials, 'trial')} samples could not be used: up to "
        f"{told.num_trained:,} times in a trial's training, where they are left out of the "
        f"loss, and {told.num_tested:,} of the held-out pairs, the same for every trial."
    )


def lines(design: Design) -> list[str]:
    """The same for a terminal, with some by name."""
    told = design.data.bad_samples
    if told is None:
        return []
    shown = [f"        {shard}/{key}: {reason}" for shard, key, reason in told.named[:3]]
    left = told.num_different - len(shown)
    more = [f"        and {left:,} more, in trials/KEY/{FILE_NAME} of the results"] if left else []
    return [f"bad     {words(told)}", *shown, *more]


def bad_samples_section(findings: Findings) -> list[Section]:
    """The section of the report; none where every sample was sound."""
    told = findings.design.data.bad_samples
    if told is None:
        return []
    left = told.num_different - len(told.named)
    table = Table(["Shard", "Key", "Reason"], [list(map(str, row)) for row in told.named])
    also = [f"{counted(left, 'more sample')} in {FILE_NAME} beside the records."] if left else []
    return [Section("Bad samples", [words(told), *also], tables=[table], is_small=True)]
