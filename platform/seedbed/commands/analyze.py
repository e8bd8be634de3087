"""`seedbed analyze`: the whole report for runs that somebody else's trainer made."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from seedbed.metric import Kind
    from seedbed.study.claim import Claim

NAME = "analyze"
HELP = "the report for a table of runs, or an MLflow experiment, of any trainer"
MLFLOW = "mlflow:"
UNITS: dict[str, Kind] = {"number": "number", "share": "share", "percent": "share", "loss": "loss"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "table", help=f"a .csv, .tsv or .parquet file with a row a run, or {MLFLOW}EXPERIMENT"
    )
    parser.add_argument("--response", nargs="+", required=True, metavar="COLUMN")
    parser.add_argument("--factors", nargs="+", required=True, metavar="COLUMN")
    parser.add_argument(
        "--block", default="", metavar="COLUMN", help="what runs are paired by, as a seed"
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="FACTOR=LEVEL",
        help="the level to compare with (a factor's first)",
    )
    parser.add_argument(
        "--budget",
        default="",
        metavar="FACTOR",
        help="the factor that says how much a run saw (400M, 34B): effects are told against it",
    )
    parser.add_argument("--unit", choices=sorted(UNITS), default="number", help="of the responses")
    parser.add_argument(
        "--chance",
        nargs="+",
        default=[],
        metavar="RESPONSE=SHARE",
        help="what guessing gets of a response (0.001 of 1,000 classes); of two or more responses "
        "the report has their mean, and that above chance",
    )
    parser.add_argument("--lower-is-better", action="store_true")
    parser.add_argument(
        "--error",
        choices=["", "highest-order"],
        default="",
        help="with one run a cell: take the interaction of all factors for the error",
    )
    parser.add_argument("--claims", type=Path, metavar="TOML", help="[[claim]] tables to be judged")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))


def run(args: argparse.Namespace) -> None:
    """Print the answer and write the report. Raises SeedbedError for what cannot be analysed."""
    from seedbed.analyze.report.write import write_report
    from seedbed.analyze.trials.foreign import Stated, study_of
    from seedbed.analyze.trials.foreign_rows import runs_of_cells
    from seedbed.analyze.trials.table import trials_table

    name = args.table.removeprefix(MLFLOW).rpartition("/")[2].partition(".")[0]
    columns = [*args.response, *args.factors, *([args.block] if args.block else [])]
    read = _read(args.table, columns, args.tracking_uri)
    table = runs_of_cells(read, args.factors) if args.table.startswith(MLFLOW) else read
    if len(table) < len(read):
        left = f"{len(read) - len(table)} of {len(read)} runs have none of the factors: left out"
        print(left, file=sys.stderr)
    if args.block:
        _tell_repeated(table, args.table, columns)
    stated = Stated(
        responses=args.response,
        factors=args.factors,
        block=args.block,
        baselines=_baselines(args.baseline, args.factors),
        budget=args.budget,
        chance=_chances(args.chance, args.response),
        kind=UNITS[args.unit],
        per_cent=args.unit == "percent",
        higher_is_better=not args.lower_is_better and args.unit != "loss",
        error=args.error,
        claims=_claims(args.claims),
        name=name or "table",
    )
    design, records = study_of(table, stated)
    folder = args.out or Path(f"{design.study}-report")
    trials = trials_table(design, records)
    report = write_report(design, trials, folder, {"table": args.table, "rows": len(table)})
    print(report.summary)
    print(f"\nreport  {report.page}")


def _read(said: str, columns: Sequence[str], tracking_uri: str) -> pd.DataFrame:
    from seedbed.analyze.trials.foreign_file import read_file

    if not said.startswith(MLFLOW):
        return read_file(said, columns)
    from seedbed.analyze.trials.foreign_rows import table_of
    from seedbed.home import home
    from seedbed.track.mlflow.address import default_tracking_uri
    from seedbed.track.mlflow.foreign import runs_of

    uri = tracking_uri or default_tracking_uri(home())
    return table_of(runs_of(said.removeprefix(MLFLOW), uri))


def _tell_repeated(table: pd.DataFrame, said: str, columns: Sequence[str]) -> None:
    """Rows that are one run twice, perhaps: equal in all columns of the file, also those that are
    not read otherwise."""
    from seedbed.analyze.trials.foreign_file import read_file
    from seedbed.analyze.trials.foreign_rows import num_repeated

    repeated = num_repeated(table)
    if repeated and not said.startswith(MLFLOW):
        repeated = num_repeated(read_file(said, columns, whole=True))
    if repeated:
        again = f"{repeated} of {len(table)} rows are another one again in every column"
        print(f"{again}: leave out a run that is there twice", file=sys.stderr)


def _baselines(said: Sequence[str], factors: Sequence[str]) -> dict[str, str]:
    from seedbed.errors import AnalysisError, nearest

    found = {}
    for one in said:
        name, equals, level = one.partition("=")
        if not equals or name not in factors:
            raise AnalysisError(
                f"The baseline is '{one}'.",
                why="It names a factor of --factors and one of its levels.",
                mend=nearest(name, factors) if equals else "Write FACTOR=LEVEL.",
            )
        found[name] = level
    return found


def _chances(said: Sequence[str], responses: Sequence[str]) -> dict[str, float]:
    from seedbed.errors import AnalysisError, nearest

    found: dict[str, float] = {}
    for one in said:
        name, equals, level = one.rpartition("=")
        try:
            number = float(level)
        except ValueError:
            number = float("nan")
        if not equals or number != number or name in found:
            raise AnalysisError(
                f"The chance level is '{one}'"
                + (f", after one of {name} before." if name in found else "."),
                why="It names a response of --response once, and the share that guessing gets.",
                mend=nearest(name or one, responses) + " Write RESPONSE=SHARE, as acc1=0.001.",
            )
        found[name] = number
    return found


def _claims(path: Path | None) -> list[Claim]:
    import tomllib

    from seedbed.errors import AnalysisError, SeedbedError
    from seedbed.study.claim import Claim

    if path is None:
        return []
    try:
        stated: list[Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
        return [Claim.from_json(one) for one in stated]
    except SeedbedError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnalysisError(
            f"The claims in {path} cannot be read.",
            why=f"{type(error).__name__}: {error}",
            mend='Write [[claim]] tables with id, statement and contrasts = [{of = "depth", '
            "level = 3, over = 12}].",
        ) from None
