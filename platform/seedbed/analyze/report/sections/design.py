"""Design: factors, seeds, scale, responses, data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import NONE, counted, number
from seedbed.analyze.report.page import Section, Table, flat
from seedbed.analyze.trials.observations import label_text


def design_section(found: Findings) -> Section:
    """Factors, seeds, scale, responses, data."""
    design = found.design
    rows = []
    for name, factor in design["factors"].items():
        others = list(map(label_text, factor["levels"]))
        rows.append([name, ", ".join(others), label_text(factor["baseline"]), factor.get("at", "")])
    seeds = sorted({trial["seed"] for trial in design["trials"]})
    facts = [
        ["Planned", f"{counted(len(design['trials']), 'trial')}, {counted(len(seeds), 'seed')}"],
        ["Seeds", ", ".join(map(str, seeds))],
        ["Scale", _joined(design.get("scale", NONE), design.get("scale_reason", ""))],
        ["Primary response", design["responses"][0]],
        ["Secondary responses", ", ".join(design["responses"][1:]) or NONE],
        *(
            [f"Data {name.removeprefix('num_').replace('_', ' ')}", text]
            for name, text in flat(
                {
                    k: v
                    for k, v in design.get("data", {}).items()
                    if k not in ("selections", "bad_samples")
                }
            )
        ),
    ]
    factors = Table(["Factor", "Levels", "Baseline", "Sets"], rows)
    selections = design.get("data", {}).get("selections", [])
    chosen = [_selections(selections)] if selections else []
    return Section("Design", tables=[factors, Table(["", ""], facts), *chosen])


def _selections(selections: Sequence[Mapping[str, Any]]) -> Table:
    """The training pairs of each data level, and what each rule removed of what was left."""
    rows = [
        [
            ", ".join(selection["cells"]) or NONE,
            selection["caption"],
            number(selection["num_samples"], 0),
            "; ".join(
                f"{step['name']} removed {step['num_removed']:,} of {step['num_rows']:,}"
                for step in selection["steps"]
            )
            or NONE,
        ]
        for selection in selections
    ]
    return Table(["Data", "Caption", "Pairs", "Chosen by"], rows, frozenset({2}))


def _joined(name: object, reason: object) -> str:
    return f"{name} ({reason})" if reason else str(name)
