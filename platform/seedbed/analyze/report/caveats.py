"""What limits a report's answer, in sentences."""

from __future__ import annotations

import math

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import counted, listed
from seedbed.analyze.report.page import sentence
from seedbed.analyze.report.sections.looks import looks_caveats
from seedbed.analyze.stats.chosen_error import RESIDUAL, block_of
from seedbed.analyze.trials.observations import label_text
from seedbed.analyze.trials.table import HALF
from seedbed.plan.design import PlannedFactor

_MOST_FIELDS = 6  # named in one sentence; the design has them all


def caveats(findings: Findings) -> list[str]:
    """What limits the answer, each in a sentence; empty for a complete study of 3 seeds or more."""
    words = []
    if findings.design.rehearsal is not None:
        words.append(
            "A rehearsal: no model was trained. Every number is made from a response surface, to "
            "see what this study could find before it is paid for."
        )
    if findings.design.forced:
        words.append(
            f"This study was refused, and run with --force: {'; '.join(findings.design.forced)}."
        )
    if findings.design.cells:
        words.append(_of_cells(findings))
    if len(findings.missing):
        statuses = findings.missing["status"].value_counts()
        parts = [f"{statuses[s]} {str(s).replace('_', ' ')}" for s in sorted(statuses.index)]
        words.append(
            f"{counted(len(findings.missing), 'trial')} of {len(findings.trials)} "
            f"{'is' if len(findings.missing) == 1 else 'are'} missing ({listed(parts)})"
            + ("; the numbers rest on the completed ones." if findings.num_completed else ".")
        )
    words += _bundles(findings)
    words += [
        f"{alias.field} changes with {listed(list(alias.factors))} too: what is said of "
        f"{'it' if len(alias.factors) == 1 else 'them'} is said of the bundle."
        for alias in findings.aliases
    ]
    if findings.num_seeds == 1 and findings.primary.error != RESIDUAL:
        one = "One seed" if findings.design.paired else "One run a cell"
        words.append(
            f"{one}: differences are as measured. There is no error to judge them by, so no "
            "interval and no p is given."
        )
    elif findings.num_seeds == 2:
        words += _two_seeds(findings)
    if findings.primary.error_why:
        words.append(sentence(findings.primary.error_why))
    elif _depends_on_orders(findings):
        words.append(
            "Trials of the same data and seed share their order of samples, and two seeds are too "
            "few to take that into the intervals: those of the data's effects may be too narrow."
        )
    words += looks_caveats(findings) or _looks(findings)
    if any("fragile" in one.note for one in findings.primary.contrasts):
        words.append("A difference marked fragile could change sign with the diverged trials.")
    return words


def _of_cells(findings: Findings) -> str:
    """Which cells were trained, and what their model leaves out."""
    sizes = [len(levels) for levels in findings.factors.values()]
    planned = len({trial.cell for trial in findings.design.trials})
    every, told = math.prod(sizes), findings.design.cells
    words = f"{planned} of {every} cells were planned: {told}."
    if not findings.design.scale:  # a table that another trainer made
        words = f"The table has {planned} of {every} cells: {told}."
    elif planned == every:
        words = f"All {every} cells were planned: {told}."
    if block_of(findings.design) == HALF:
        words += (
            " The two halves of each seed are blocks of their own: what they differ by, one having "
            "run after the other, is in no difference on this page, and is taken off the means of "
            "cells."
        )
    if findings.design.order > 1:
        return words
    return (
        f"{words} The model has main effects only: where factors act together, their effects hold "
        "a part of that too."
    )


def _two_seeds(findings: Findings) -> list[str]:
    """What the intervals of a two-seed study are based on, or why there are none."""
    contrasts = findings.primary.contrasts
    if not contrasts:
        return []
    two = "two seeds" if findings.design.paired else "two runs a cell"
    if any(one.has_interval for one in contrasts):
        return [f"{sentence(two)[:-1]}: intervals rest on the error pooled over all cells."]
    why = next((one.note for one in contrasts if one.note), f"{two}: no error to judge by")
    return [sentence(f"{why}: no interval and no p is given")]


def _looks(findings: Findings) -> list[str]:
    """Interim looks: earlier reports of fewer seeds may have decided that more were run."""
    earlier = {look.num_seeds for look in findings.design.looks}
    fewer = sorted(seeds for seeds in earlier if 1 < seeds < findings.num_seeds)
    if not fewer:
        return []
    counts = listed([str(seeds) for seeds in fewer])
    return [
        f"Reports were written before, of {counts} seeds. Each look at which one may stop adds to "
        "the chance of a false finding (a look after every seed up to 20 turns 5 % into 23 %), "
        "and the intervals here do not count the looks."
    ]


def _depends_on_orders(findings: Findings) -> bool:
    rests = (
        findings.primary.whole_plots
        and findings.primary.error == "pooled"
        and findings.num_seeds > 1
    )
    return rests and any(one.has_interval for one in findings.primary.contrasts)


def _bundles(findings: Findings) -> list[str]:
    """A caution for each confounded factor: its levels change more than one part of the recipe."""
    words = []
    for name, factor in findings.design.factors.items():
        moved = factor.also_moves
        if moved:
            shown = moved if len(moved) <= _MOST_FIELDS else moved[: _MOST_FIELDS - 1]
            rest = len(moved) - len(shown)
            fields = listed([*shown, *([f"{rest} other fields"] if rest else [])])
            words.append(
                f"The levels of '{name}' also differ in {fields}: a difference between them is "
                f"not the {name.replace('_', ' ')}'s alone." + _views(factor)
            )
    return words


def _views(factor: PlannedFactor) -> str:
    """Which views each level reads, where levels differ in them; equal levels are grouped."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for label, views in zip(factor.levels, factor.views, strict=False):
        alike.setdefault(views, []).append(label_text(label))
    if not alike:
        return ""
    read = "; ".join(f"{listed(ls)} read {listed(list(views))}" for views, ls in alike.items())
    return f" It is the effect of {factor.name.replace('_', ' ')} + views: {read}."
