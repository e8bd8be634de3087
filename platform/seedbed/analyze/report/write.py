"""Writes a study's report: one page that opens anywhere, and the tables behind it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.study import figures_of
from seedbed.analyze.findings.looks import LookTaken
from seedbed.analyze.findings.study import Findings, find
from seedbed.analyze.report.answer import answer
from seedbed.analyze.report.caveats import caveats
from seedbed.analyze.report.page import Section
from seedbed.analyze.report.sections.anova import variance
from seedbed.analyze.report.sections.bad_samples import bad_samples_section
from seedbed.analyze.report.sections.budget import budget_table, effects_by_budget
from seedbed.analyze.report.sections.claims import claims, claims_as_json
from seedbed.analyze.report.sections.cost import cost
from seedbed.analyze.report.sections.design import design_section
from seedbed.analyze.report.sections.diagnostics import as_json, checks, components_as_json
from seedbed.analyze.report.sections.effects import effects
from seedbed.analyze.report.sections.effects_by_size import all_effects
from seedbed.analyze.report.sections.interactions import interactions
from seedbed.analyze.report.sections.learning_curves import CurveReader, Curves, learning_curves
from seedbed.analyze.report.sections.learning_curves import section as curves_section
from seedbed.analyze.report.sections.looks import looks
from seedbed.analyze.report.sections.means import means
from seedbed.analyze.report.sections.missing import missing
from seedbed.analyze.report.sections.planted import planted
from seedbed.analyze.report.sections.provenance import provenance_section
from seedbed.analyze.report.sections.published import published_values
from seedbed.analyze.report.sections.secondary import secondary
from seedbed.analyze.report.sections.test_sets import several_test_sets
from seedbed.analyze.report.sections.trials import trial_rows
from seedbed.analyze.report.sections.tuning import candidate_table, tuning, tuning_figure
from seedbed.analyze.report.sections.two_errors import two_errors
from seedbed.analyze.report.sections.what_next import what_next
from seedbed.analyze.report.shared import shared
from seedbed.analyze.report.tables import as_csv, tables_of
from seedbed.analyze.report.terminal import summary
from seedbed.plan.design import Design


@dataclass(frozen=True)
class Report:
    """The files that were written, by name, the plain-text summary, and the looks by its own rule
    that the study has had."""

    paths: dict[str, Path]
    summary: str
    looks: tuple[LookTaken, ...] = ()

    @property
    def page(self) -> Path:
        return self.paths["report.html"]


def write_report(
    design: Design,
    trials: pd.DataFrame,
    folder: Path,
    provenance: Mapping[str, Any],
    correct: Mapping[str, NDArray[np.bool_]] | None = None,
    curves: CurveReader | None = None,
) -> Report:
    """Writes report.html, report.md, the tables as CSV and the figures as SVG into `folder`.

    `trials` is `trials_table(design, records)`; `provenance` is printed as given (nested mappings
    allowed) and is the only place a time may come from: the same input gives the same bytes.
    `correct` says, by trial key, which test pictures were classified correctly (see
    `correct_by_trial`); `curves` reads a trial's learning curve, and is called for those that are
    drawn.
    """
    findings = find(design, trials, correct)
    learned = learning_curves(findings, curves)
    drawn = figures_of(findings)
    if learned.figure is not None:
        drawn["learning_curves"] = learned.figure
    drawn |= tuning_figure(findings)
    page = _page(findings, drawn, provenance, learned)
    style = figure_style()
    contents = {
        "trials.csv": trials.to_csv(index=False, lineterminator="\n"),
        "aliases.json": _json([{**vars(alias), "term": alias.term} for alias in findings.aliases]),
        "design.json": _json(design.to_json()),
        "missing_cells.csv": as_csv(findings.missing),
        "pareto.csv": as_csv(findings.cells),
        "two_errors.csv": as_csv(findings.test_errors) if len(findings.test_errors) else "factor\n",
        **({"test_sets.csv": as_csv(findings.by_test.reset_index())} if findings.tests else {}),
        "claims.json": _json(claims_as_json(findings)),
        "diagnostics.json": _json(as_json(findings)),
        "variance_components.json": _json(components_as_json(findings)),
        "power.csv": as_csv(findings.outlook.table) if findings.outlook else "effect\n",
        **({"budget.csv": as_csv(budget_table(findings))} if findings.budget else {}),
        **({"tuning.csv": as_csv(candidate_table(design))} if design.tuned else {}),
        **tables_of(findings),
        **{f"figures/{name}.svg": one.standalone(style) for name, one in drawn.items()},
        "report.html": _environment().get_template("report.html.j2").render(page),
        "report.md": _environment().get_template("report.md.j2").render(page),
    }
    paths = {}
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        paths[name] = path
    return Report(paths, summary(findings), tuple(findings.looks))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def figure_style() -> str:
    """The style sheet of a figure that stands alone."""
    return _environment().get_template("figures.css").render()


def _sections(findings: Findings, provenance: Mapping[str, Any], learned: Curves) -> list[Section]:
    design, gaps = design_section(findings), missing(findings)
    last = [
        trial_rows(findings),
        *bad_samples_section(findings),
        provenance_section(findings, provenance),
    ]
    published = published_values(findings)
    # A table that another trainer made may know of none.
    has_costs = findings.cost is not None or any(m.is_cost for m in findings.design.metrics)
    if findings.primary.fault:
        told = [
            *claims(findings),
            *looks(findings),
            *published,
            *tuning(findings),
            *curves_section(learned),
        ]
        return [design, *gaps, *told, what_next(findings), *last]
    return [
        *planted(findings),
        design,
        *gaps,
        effects(findings),
        means(findings),
        *effects_by_budget(findings),
        *interactions(findings),
        *all_effects(findings),
        *([cost(findings)] if has_costs else []),
        *tuning(findings),
        *curves_section(learned),
        *claims(findings),
        *looks(findings),
        *published,
        variance(findings),
        secondary(findings),
        *several_test_sets(findings),
        two_errors(findings),
        checks(findings),
        what_next(findings),
        *last,
    ]


def _page(
    findings: Findings, drawn: Mapping[str, Figure], provenance: Mapping[str, Any], learned: Curves
) -> dict[str, Any]:
    """The values that both templates use."""
    return {
        "study": findings.design.study,
        "question": findings.design.question or findings.design.study,
        "answer": answer(findings),
        "caveats": caveats(findings),
        "facts": _facts(findings),
        "sections": _sections(findings, provenance, learned),
        "figures": drawn,
    }


def _facts(findings: Findings) -> list[tuple[str, str]]:
    scale = findings.design.scale  # "" of a table that another trainer made
    return [
        ("Trials completed", f"{findings.num_completed} of {len(findings.trials)}"),
        (shared(findings).repeats, str(findings.num_seeds)),
        *([("Scale", scale)] if scale else []),
        ("Primary response", findings.primary.unit.label),
    ]


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("seedbed.analyze.report"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
