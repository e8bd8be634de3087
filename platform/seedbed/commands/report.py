"""`seedbed report`: a study's report, from MLflow alone."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from seedbed.plan.design import Design

NAME = "report"
HELP = "the report of a study, from MLflow alone"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the study's name")
    parser.add_argument("--out", metavar="FOLDER", help="where it goes (NAME-report)")
    parser.add_argument(
        "--response",
        metavar="METRIC",
        nargs="+",
        default=[],
        help="other responses than the study's own, the primary first",
    )
    parser.add_argument("--rank", metavar="FACTOR", help="also rank its levels over several tasks")
    parser.add_argument(
        "--tasks", metavar="METRIC", nargs="+", default=[], help="with --rank: a metric for each"
    )
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))
    parser.add_argument("--scale", default="", help="the newest run's, if not given")


def run(args: argparse.Namespace) -> None:
    """Write the report and print its summary."""
    from seedbed.analyze.report.write import write_report
    from seedbed.recall import correct_of, curves_of, recall, with_bad_samples_of

    study = recall(args.name, scale=args.scale, tracking_uri=args.tracking_uri)
    folder = Path(args.out or f"{args.name}-report")
    report = write_report(
        _responding(with_bad_samples_of(study), study.trials, args.response),
        study.trials,
        folder,
        {},
        correct_of(study),
        curves_of(study),
    )
    print(report.summary)
    if args.rank or args.tasks:
        _rank(study.trials, args.rank or "", args.tasks, folder)
    print(f"\nreport  {folder.absolute() / 'report.html'}")


def _responding(design: Design, trials: pd.DataFrame, responses: Sequence[str]) -> Design:
    """The design with other responses. Raises AnalysisError for one that no trial has."""
    from seedbed.errors import AnalysisError, nearest

    for name in responses:
        if name not in trials.columns:
            raise AnalysisError(
                f"No trial of '{design.study}' has the response '{name}'.",
                why="A response is a metric that its trials have, or that `seedbed evaluate "
                "--study` has added.",
                mend=nearest(name, [metric.name for metric in design.metrics]),
            )
    if not responses:
        return design
    # A claim is about the response that it names, and about no other.
    claims = [one for one in design.claims if one.claim.response in ("", *responses)]
    return replace(design, responses=tuple(responses), claims=tuple(claims))


def _rank(trials: pd.DataFrame, factor: str, tasks: Sequence[str], folder: Path) -> None:
    """Rank the levels of a factor over tasks, as a table and a critical-difference figure."""
    from seedbed.analyze.figures.ranks import rank_figure
    from seedbed.analyze.numbers import p_value, plain
    from seedbed.analyze.report.write import figure_style
    from seedbed.analyze.stats.ranks import rank_levels

    ranking = rank_levels(trials, tasks, of=factor)
    ranking.ranks.sort_values("mean_rank").to_csv(folder / "ranks.csv", lineterminator="\n")
    drawn = rank_figure(ranking)
    if drawn is not None:
        file = folder / "figures" / "critical_difference.svg"
        file.write_text(drawn.standalone(figure_style()))
    print(f"\nMean ranks of {factor} over {len(tasks)} tasks (1 is the best)")
    for level, row in ranking.ranks.sort_values("mean_rank").iterrows():
        print(f"  {level}  {row['mean_rank']:.2f}")
    print(
        ranking.note
        or f"Friedman p {plain(p_value(ranking.p))}; ranks {ranking.critical_difference:.2f} apart "
        "differ (Nemenyi)"
    )
