"""`--plan --out DIR`: the smallest effect over its cost, of the study's design and of others."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.analyze.figures.frontier import Frontier, Point, frontier_figure
from seedbed.analyze.report.write import figure_style
from seedbed.commands.study.sight import WANTED
from seedbed.errors import DataError, StudyError
from seedbed.plan.cells import Cells
from seedbed.plan.cost import estimate
from seedbed.plan.design import ORDER
from seedbed.plan.sight import Sight, worst
from seedbed.study.cell import Cell
from seedbed.study.crossing import some_of
from seedbed.study.designs import stated_design
from seedbed.study.trial import Trial

if TYPE_CHECKING:
    from seedbed.commands.study.price import Place
    from seedbed.commands.study.sight import Foreseen
    from seedbed.study.cell_design import CellDesign

MOST_CELLS = 1_024  # of a design that is drawn
SEEDS = range(2, 13)
OWN = "this study"
# Beside the full crossing and the study's own: what others would train, and what it is called.
OTHERS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("a fraction of resolution 5", {"fraction": 5}),
    ("a fraction of resolution 4", {"fraction": 4}),
    ("one factor at a time", {"one_at_a_time": True}),
)


def write_frontier(foreseen: Foreseen, folder: str) -> None:
    """Write frontier.svg and frontier.csv into `folder`, and say so on stderr."""
    if foreseen.noise is None:
        raise StudyError(
            f"--out {folder}: how much {foreseen.metric.label} varies is not known",
            why="the picture is of effects against that",
            mend="say it with --noise SD",
        )
    place = foreseen.price.costed
    curves = list(_curves(foreseen, place))
    own = next((n for n, (name, _, _) in enumerate(curves) if name == OWN), 0)
    scale = 100.0 if foreseen.metric.is_share else 1.0
    of_unit = " (points)" if foreseen.metric.is_share else ""
    figure = frontier_figure(
        [Frontier(f"{name}: {cells} cells", points) for name, cells, points in curves],
        present=(own, foreseen.num_seeds),
        x_title=foreseen.price.cost_title,
        y_title=f"Smallest main effect found with a power of 80 %{of_unit}",
        wanted=WANTED if foreseen.metric.is_share else 0.0,
        scale=scale,
    )
    rows = [
        f'"{name}",{cells},{p.num_seeds},{p.cost:.6g},{p.effect:.6g}'
        for name, cells, points in curves
        for p in points
    ]
    written = {
        "frontier.svg": figure.standalone(figure_style()),
        "frontier.csv": "\n".join(["design,cells,seeds,cost,detectable", *rows, ""]),
    }
    for name, content in written.items():
        path = Path(folder).expanduser() / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        except OSError as error:
            raise DataError(
                f"--out {folder}: {path} cannot be written",
                why=str(error),
                mend="give a folder that can be",
            ) from None
        print(f"written {path}", file=sys.stderr)


def _curves(foreseen: Foreseen, place: Place) -> Iterator[tuple[str, int, list[Point]]]:
    """Designs by name, with the number of their cells, that see every main effect."""
    study = foreseen.plan.study
    drawn: set[int] = set()
    most = 0.0
    for name, cells, design in _designs(foreseen):
        if len(cells) in drawn or not 1 < len(cells) <= MOST_CELLS:  # as many see as much
            continue
        drawn.add(len(cells))
        order = ORDER if design is None else design.order
        model = Cells(foreseen.plan.factors(), cells, order, study.error)
        with suppress(StudyError):  # a cell that cannot be at this scale
            cost = sum(_seconds(foreseen, place, cell) for cell in cells)
            points = _points(foreseen, model, foreseen.price.in_unit(place, cost))
            most = most or max((point.cost for point in points), default=0.0)
            affordable = [point for point in points if point.cost <= most * (1 + 1e-9)]
            if affordable:
                yield name, len(cells), affordable


def _designs(foreseen: Foreseen) -> Iterator[tuple[str, list[Cell], CellDesign | None]]:
    """The study's own first; what its factors do not allow is left out."""
    study = foreseen.plan.study
    yield OWN, study.cells(), study.design
    every = some_of(study.factors, study.allows, MOST_CELLS)
    if every is not None:
        yield "all combinations", every, None
    baseline = Cell((factor.name, factor.baseline(study.base)) for factor in study.factors)
    for name, stated in OTHERS:
        with suppress(StudyError):
            design = stated_design(stated, study.factors, baseline)
            if design is not None:
                cells = design.cells(study.factors, study.allows)
                yield name, [cell for cell in cells if study.allows(cell)], design


def _points(foreseen: Foreseen, model: Cells, cost_of_seed: float) -> list[Point]:
    assert foreseen.noise is not None
    effects = model.main_effects()
    if any(one.weights is None for one in effects):
        return []
    found = []
    for seeds in sorted({*SEEDS, foreseen.num_seeds}):
        effect = worst(Sight(model, foreseen.noise.sd, seeds), effects)
        if effect == effect:  # else two seeds leave too few degrees of freedom
            found.append(Point(seeds, seeds * cost_of_seed, effect))
    return found


def _seconds(foreseen: Foreseen, place: Place, cell: Cell) -> float:
    """Of a device, for one trial of `cell`, whether it is planned or not."""
    known = foreseen.price.by_cell(place)
    if cell in known:
        return known[cell]
    plan = foreseen.plan
    recipe = plan.study.recipe(cell, plan.scale, dict(plan.overrides))
    return place.speed.seconds(Trial(cell, recipe), estimate(recipe))
