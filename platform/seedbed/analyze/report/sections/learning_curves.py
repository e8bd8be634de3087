"""Learning curves: which trials' are read, and what of them is drawn.

A study may have 10,000 trials and a tracking server far away: only the trials that are drawn are
asked for, and of each only the metrics of a panel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from seedbed.analyze.figures.learning_curves import Curve, Key, Panel, curve_figure
from seedbed.analyze.figures.legend import NUM_TONES
from seedbed.analyze.figures.marks import Figure
from seedbed.analyze.figures.points import thinned
from seedbed.analyze.findings.study import Findings
from seedbed.analyze.numbers import number
from seedbed.analyze.report.page import Section
from seedbed.analyze.trials.observations import completed, label_text
from seedbed.analyze.trials.rows import cell_label, rows_of
from seedbed.study.recorded import TRAINING_LOSS

# A trial's curve by its key, of the metrics named: points {"samples": n, metric: value}.
CurveReader = Callable[[str, Sequence[str]], Sequence[Mapping[str, float]]]

NUM_DASHES = 3
MOST_CELLS = NUM_TONES * NUM_DASHES  # lines that can be told apart
MOST_SEEDS = 4  # thin lines of a cell
MOST_PANELS = 4  # the loss, the primary response, and other test sets
_MOST_POINTS = 60  # of a line: a pixel or two apart on a phone
_ENDED = ("completed", "diverged")


@dataclass(frozen=True)
class Curves:
    """The figure `learning_curves`, None where no trial has a curve, and what is said of it."""

    figure: Figure | None = None
    words: list[str] = field(default_factory=list)


def learning_curves(findings: Findings, read: CurveReader | None) -> Curves:
    """Curves of the study's cells by samples seen: their seeds' mean, and each seed."""
    if read is None:
        return Curves()
    cells = _cells(findings)
    shown = thinned(cells, MOST_CELLS)
    beside = [name for name in findings.tests if name != findings.primary.unit.name]
    names = list(dict.fromkeys((TRAINING_LOSS.name, findings.primary.unit.name, *beside)))
    names = names[:MOST_PANELS]
    chosen = [(cell, _trials_of(findings, cell)) for cell in shown]
    points = {key: read(key, names) for _, trials in chosen for key in trials["key"]}
    keys, legend = styles_of(findings, [cell for cell, _ in chosen])
    panels = [
        Panel(_title(findings, name), curves, 100.0 if _is_fraction(findings, name) else 1.0)
        for name in names
        if (curves := _curves(name, chosen, keys, points))
    ]
    if not panels:
        return Curves()
    return Curves(curve_figure(panels, legend), _words(findings, chosen, len(cells)))


def section(curves: Curves) -> list[Section]:
    """The report's section; nothing where there is no curve."""
    return [Section("Learning curves", curves.words, ["learning_curves"])] if curves.figure else []


def _cells(findings: Findings) -> list[dict[str, object]]:
    """The cells with a trial that ended, from the best to the worst where that is known."""
    ended = findings.trials[findings.trials["status"].isin(_ENDED)]
    cells = ended[list(findings.factors)].drop_duplicates()
    unit = findings.primary.unit
    if not findings.primary.fault:
        done = ended[completed(ended)]
        means = done.groupby(list(findings.factors), observed=True)[unit.name].mean()
        ranked = cells.assign(_mean=[_mean_of(means, row) for row in rows_of(cells)])
        cells = ranked.sort_values("_mean", ascending=unit.less_is_better, kind="stable")
    return [{name: row[name] for name in findings.factors} for row in rows_of(cells)]


def _mean_of(means: pd.Series, row: Mapping[str, object]) -> float:
    labels = tuple(row[str(name)] for name in means.index.names)
    return float(means.get(labels if len(labels) > 1 else labels[0], math.nan))


def _trials_of(findings: Findings, cell: Mapping[str, object]) -> pd.DataFrame:
    """The cell's trials that ended, the completed first, at most MOST_SEEDS of them."""
    here = findings.trials[findings.trials["status"].isin(_ENDED)]
    for name, label in cell.items():
        here = here[here[name] == label]
    return here.sort_values(["status", "seed"], kind="stable").head(MOST_SEEDS)


def _curves(
    name: str,
    chosen: Sequence[tuple[Mapping[str, object], pd.DataFrame]],
    keys: Sequence[Key],
    points: Mapping[str, Sequence[Mapping[str, float]]],
) -> list[Curve]:
    """The lines of one metric: of every cell its seeds, thin, and their mean."""
    thin, thick = [], []
    for (_, trials), key in zip(chosen, keys, strict=True):
        own = {
            row["key"]: [(p["samples"], p[name]) for p in points[row["key"]] if name in p]
            for row in rows_of(trials)
        }
        # One point is the trial's final: no curve.
        lines = {trial: line for trial, line in own.items() if len(line) > 1}
        done = [lines[t] for t in trials.loc[completed(trials), "key"] if t in lines]
        is_whole = {id(line) for line in done}
        if len(lines) > 1:
            thin += [
                Curve(thinned(line, _MOST_POINTS), key, "thin", id(line) in is_whole)
                for line in lines.values()
            ]
        if done or len(lines) == 1:
            mean = _mean(done) if done else next(iter(lines.values()))
            thick.append(Curve(thinned(mean, _MOST_POINTS), key, "mean", bool(done)))
    return [*thin, *thick]


def _mean(lines: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean of the lines at the samples that all of them have."""
    values: dict[float, list[float]] = {}
    for line in lines:
        for samples, value in dict(line).items():
            values.setdefault(samples, []).append(value)
    shared = {at: own for at, own in values.items() if len(own) == len(lines)}
    return [(at, sum(own) / len(own)) for at, own in sorted(shared.items())]


def styles_of(
    findings: Findings, cells: Sequence[Mapping[str, object]]
) -> tuple[list[Key], list[tuple[str, Key]]]:
    """Each cell's colour and dashes, and the legend that tells them.

    A factor of few levels gives the colours and what is left the dashes, where that is enough.
    """
    levels: dict[str, list[object]] = {
        name: list(findings.design.factors[name].levels) for name in findings.factors
    }
    few = [name for name, labels in levels.items() if len(labels) <= NUM_TONES]
    toned = max(few, key=lambda name: len(levels[name]), default="")
    rest = [name for name in levels if name != toned]
    others = list(dict.fromkeys(tuple(cell[name] for name in rest) for cell in cells))
    others.sort(key=lambda labels: [levels[n].index(v) for n, v in zip(rest, labels, strict=True)])
    if not toned or len(others) > NUM_DASHES:
        keys = [Key(i % NUM_TONES, i // NUM_TONES) for i in range(len(cells))]
        names = [cell_label(cell, findings.factors) for cell in cells]
        return keys, list(zip(names, keys, strict=True))
    keys = [
        Key(levels[toned].index(cell[toned]), others.index(tuple(cell[n] for n in rest)))
        for cell in cells
    ]
    legend = [(f"{toned} {label_text(label)}", Key(i, 0)) for i, label in enumerate(levels[toned])]
    if len(others) > 1:
        legend += [
            (cell_label(dict(zip(rest, labels, strict=True)), rest), Key(None, i))
            for i, labels in enumerate(others)
        ]
    return keys, legend


def _is_fraction(findings: Findings, name: str) -> bool:
    return name != TRAINING_LOSS.name and findings.design.metric(name).is_share


def _title(findings: Findings, name: str) -> str:
    if name == TRAINING_LOSS.name:
        return TRAINING_LOSS.label
    if name != findings.primary.unit.name:  # another test set's
        return f"{findings.design.metric(name).label} (%)"
    unit = findings.primary.unit
    return f"{unit.label} ({unit.value_unit})" if unit.value_unit else unit.label


def _words(
    findings: Findings,
    chosen: Sequence[tuple[Mapping[str, object], pd.DataFrame]],
    num_cells: int,
) -> list[str]:
    words = "By samples seen."
    if findings.num_seeds > 1:
        words += " Each cell is a line, the mean of its seeds; every seed is a thin one."
    if len(chosen) < num_cells:
        words += f" {len(chosen)} of {number(num_cells, 0)} cells are drawn"
        words += "." if findings.primary.fault else ", evenly from the best to the worst."
    if max((len(trials) for _, trials in chosen), default=0) == MOST_SEEDS < findings.num_seeds:
        words += f" At most {MOST_SEEDS} seeds of a cell are."
    if any((trials["status"] == "diverged").any() for _, trials in chosen):
        words += " A thin line that ends early is a trial that diverged."
    if _changes_objective(findings):
        words += (
            " Cells of different supervision sum different terms: compare how their losses fall, "
            "not how low they are."
        )
    return [words]


def _changes_objective(findings: Findings) -> bool:
    paths = [path for factor in findings.design.factors.values() for path in factor.at.split(", ")]
    return any(path.partition(".")[0] == "objective" for path in paths)
