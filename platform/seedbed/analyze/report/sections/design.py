"""Design: factors, seeds, scale, responses, data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, counted, number
from seedbed.analyze.report.page import Section, Table, flat
from seedbed.analyze.trials.observations import label_text
from seedbed.plan.design import Design
from seedbed.plan.design_data import SelectedData


def design_section(findings: Findings) -> Section:
    """Factors, seeds, scale, responses, data."""
    design = findings.design
    rows = []
    for name, factor in design.factors.items():
        levels = ", ".join(map(label_text, factor.levels))
        rows.append([name, levels, label_text(factor.baseline), factor.at])
    seeds = sorted({trial.seed for trial in design.trials})
    data = replace(design.data, selections=(), bad_samples=None)  # told in tables of their own
    scale = f"{design.scale} ({design.scale_reason})" if design.scale_reason else design.scale
    facts = [
        *_planned(design, seeds),
        *([["Scale", scale]] if scale else []),
        ["Primary response", design.responses[0]],
        ["Secondary responses", ", ".join(design.responses[1:]) or NONE],
        *(
            [f"Data {name.removeprefix('num_').replace('_', ' ')}", text]
            for name, text in flat(data.to_json())
        ),
    ]
    factors = Table(["Factor", "Levels", "Baseline", "Sets"], rows)
    selections = design.data.selections
    chosen = [_selections(selections)] if selections else []
    return Section("Design", tables=[factors, Table(["", ""], facts), *chosen])


def _planned(design: Design, seeds: Sequence[int]) -> list[list[str]]:
    """Of a table whose runs share no seed, the numbers of repetitions are nobody's."""
    if not design.paired:
        return [["Runs", f"{len(design.trials)}, at most {counted(len(seeds), 'run')} of a cell"]]
    return [
        ["Planned", f"{counted(len(design.trials), 'trial')}, {counted(len(seeds), 'seed')}"],
        ["Seeds", ", ".join(map(str, seeds))],
    ]


def _selections(selections: Sequence[SelectedData]) -> Table:
    """The training pairs of each data level, and what each rule removed of what was left."""
    rows = [
        [
            ", ".join(selection.cells) or NONE,
            selection.caption,
            number(selection.num_samples, 0),
            "; ".join(
                f"{step.name} removed {step.num_removed:,} of {step.num_rows:,}"
                for step in selection.steps
            )
            or NONE,
        ]
        for selection in selections
    ]
    return Table(["Data", "Caption", "Pairs", "Chosen by"], rows, frozenset({2}))
