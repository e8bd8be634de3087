"""Provenance: versions, fingerprints, layouts, and the order hashes that prove pairing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, counted, listed, number
from seedbed.analyze.report.page import Section, Table, flat
from seedbed.analyze.trials.observations import completed

_SHOWN = 12  # characters of a hash


_THEN = " then "


def provenance_section(findings: Findings, provenance: Mapping[str, Any]) -> Section:
    """Versions and fingerprints as handed over, layouts, and order hashes that prove pairing."""
    tables = []
    if provenance:
        tables.append(Table(["", ""], flat(provenance)))
    if layouts := _layout_rows(findings):
        tables.append(Table(["Layout", "Trials"], layouts, frozenset({1})))
    rows, unequal = _order_rows(findings)
    means = made_differently(findings)
    if not rows:
        return Section("Provenance", ["No sample order was recorded.", *means], tables=tables)
    tables.append(Table(["Seed", "Trials", "Order of samples"], rows, frozenset({1})))
    if len(findings.design.data.selections) > 1:
        words = (
            "The data are a factor: within a seed, trials of the same data saw the same samples "
            "in the same order (equal hashes), and trials of other data saw others."
        )
        return Section("Provenance", [words, *means], tables=tables, is_small=True)
    words = (
        "Within each seed all completed trials saw the same samples in the same order (equal "
        "hashes), so their differences are paired."
    )
    if findings.budget is not None:
        words = (
            "Within each seed all completed trials of one budget saw the same samples in the same "
            "order (equal hashes), so their differences are paired; a smaller budget ends earlier "
            "in that order."
        )
    if unequal:
        words = (
            f"Seed {listed(unequal)}: the order hashes differ between trials, so differences "
            "there are not fully paired."
        )
    return Section("Provenance", [words, *means], tables=tables, is_small=True)


def made_differently(findings: Findings) -> list[str]:
    """By what the completed trials were trained, in a sentence, where it was not all the same.

    The column `made_by` holds `device=cpu; workers=1; ...`, and " then " between the parts of a
    trial that went on elsewhere.
    """
    done = findings.trials[completed(findings.trials)]
    if "made_by" not in done.columns:
        return []
    made = [_parts(str(value)) for value in done["made_by"] if value]
    parts = []
    for name in dict.fromkeys(name for fields in made for name in fields):
        counts = Counter(fields.get(name, NONE) for fields in made)
        if len(counts) > 1 or any(_THEN in value for value in counts):
            shown = [f"{value} ({counted(n, 'trial')})" for value, n in counts.most_common()]
            parts.append(f"{name.replace('_', ' ')}: {listed(shown)}")
    if not parts:
        return []
    return [
        "Not all trials were trained by the same means, and where levels and means go together "
        f"a difference may be of either. {'. '.join(parts)}."
    ]


def _parts(made_by: str) -> dict[str, str]:
    """Each field's value, or its values one after another."""
    fields: dict[str, list[str]] = {}
    for one in made_by.split(_THEN):
        for part in one.split("; "):
            name, _, value = part.partition("=")
            values = fields.setdefault(name, [])
            short = value[:_SHOWN] if name == "git_commit" else value
            if short not in values:
                values.append(short)
    return {name: _THEN.join(values) for name, values in fields.items()}


def _layout_rows(findings: Findings) -> list[list[str]]:
    """How cohorts were laid out on the cluster, and how many trials ended so."""
    done = findings.trials[completed(findings.trials)]
    if "layout" not in done.columns:
        return []
    counts = Counter(str(words) for words in done["layout"] if words)
    return [[words, number(n, 0)] for words, n in sorted(counts.items())]


def _order_rows(findings: Findings) -> tuple[list[list[str]], list[str]]:
    """Rows of seed, trials, hashes; and the seeds whose trials disagree."""
    rows, unequal = [], []
    done = findings.trials[completed(findings.trials)]
    if "order_hash" not in done.columns or not any(done["order_hash"]):
        return [], []
    for seed in sorted(done["seed"].unique()):
        hashes = done.loc[done["seed"] == seed, "order_hash"]
        seen = sorted({str(value)[:_SHOWN] or "none" for value in hashes})
        rows.append([str(seed), number(len(hashes), 0), ", ".join(seen)])
        # Of trials of one budget: a smaller one ends earlier in the same order.
        budgets = [findings.budget.name] if findings.budget else []
        own = done[done["seed"] == seed].groupby(["seed", *budgets], observed=True)["order_hash"]
        if own.nunique().max() > 1:
            unequal.append(str(seed))
    return rows, unequal
