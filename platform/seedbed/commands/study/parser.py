"""What a study's command line is made of."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seedbed.commands.study.foresight import add_foresight
from seedbed.commands.study.limit import add_limit
from seedbed.commands.study.needs import add_needs
from seedbed.commands.study.tune import add_tuning
from seedbed.exits import MEANINGS
from seedbed.plan.cohort import COHORT_SIZE
from seedbed.plan.weights import MOST_WEIGHTS

if TYPE_CHECKING:
    from seedbed.study.study import Study

# The paper reads its pairs 35 times. So many are a slip of the hand more often than a question (a
# cluster's budget on a laptop's corpus), and cost days.
MOST_EPOCHS = 1_000


def parser_of(study: Study) -> argparse.ArgumentParser:
    """The command line of ``study``; its ``--help`` asks the study's question."""
    parser = argparse.ArgumentParser(
        description=study.question,
        epilog="Exit status: " + "; ".join(f"{code} {said}" for code, said in MEANINGS.items()),
    )
    _add_modes(parser)
    _add_places(parser)
    _add_scoring(parser)
    _add_design(parser, study)
    _add_limits(parser)
    add_tuning(parser)
    add_needs(parser)
    add_foresight(parser)
    return parser


def _add_modes(parser: argparse.ArgumentParser) -> None:
    """What is done: the study is run, planned, rehearsed, or its report rebuilt."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--plan", action="store_true", help="print trials, cohorts and cost; stop")
    mode.add_argument("--report", action="store_true", help="rebuild the report from MLflow")
    parser.add_argument(
        "--json", action="store_true", help="with --plan or --draws: one JSON object"
    )
    parser.add_argument(
        "--rehearse",
        metavar="SURFACE",
        nargs="?",
        const="",
        help="train nothing: trials measure a response surface (a JSON file; without one, a point "
        "from level to level), through the same engine, MLflow and report",
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    """How large it is, what it reads, and where its results go."""
    parser.add_argument("--scale", help="smoke, demo, small or paper (SEEDBED_SCALE; demo)")
    parser.add_argument("--data", metavar="URI", help="your own webdataset folder (SEEDBED_DATA)")
    parser.add_argument(
        "--storage", metavar="URI", help="where results go (SEEDBED_STORAGE; ~/.seedbed/results)"
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow (MLFLOW_TRACKING_URI; ~/.seedbed/mlflow.db)"
    )


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    """On what its trials are scored beside the study's own measures, and when."""
    parser.add_argument(
        "--test",
        metavar="NAME[=URI]",
        action="append",
        default=[],
        help="score every trial on this test set too, and ask the question of it: a folder in "
        "clip_benchmark's layout, or what `seedbed prepare NAME` builds; repeatable",
    )
    parser.add_argument(
        "--validate-every",
        metavar="SAMPLES",
        type=int,
        default=0,
        help="score trials while they train, each time they have seen so many more (never)",
    )


def _add_design(parser: argparse.ArgumentParser, study: Study) -> None:
    """Which run of the study it is, and which cells it has."""
    parser.add_argument(
        "--name",
        metavar="NAME",
        help=f"keep this run apart, under a name of its own ({study.name}): several runs of one "
        "study stand side by side",
    )
    parser.add_argument(
        "--fold-over",
        metavar="FACTOR",
        nargs="?",
        const="",
        help="add the other half of a fraction's cells that tells aliased effects apart: levels "
        "exchanged of one FACTOR, which frees it and its interactions, or of all, which frees main "
        "effects; only what is new runs",
    )
    parser.add_argument("--seeds", metavar="N", help="repetitions of each cell")
    parser.add_argument(
        "--set", metavar="PATH=VALUE", action="append", default=[], help="a recipe field for all"
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """What is refused, kept and stopped."""
    parser.add_argument(
        "--max-epochs",
        type=int,
        default=MOST_EPOCHS,
        help=f"refuse to read the corpus more often ({MOST_EPOCHS:,})",
    )
    parser.add_argument(
        "--keep-weights",
        choices=("final", "none"),
        help="what is kept of a finished trial beside its record: its final weights (final, up to "
        f"{MOST_WEIGHTS / 1e12:g} TB of a study), or none",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="run a study in which the lint finds errors (see --plan); its results say so",
    )
    add_limit(parser)
    parser.add_argument(
        "--cohort-size", type=int, default=COHORT_SIZE, help=f"variants a stream ({COHORT_SIZE})"
    )
