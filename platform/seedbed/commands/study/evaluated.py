"""What `seedbed evaluate` has found, as lines, in files and in MLflow."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from seedbed.evaluate.outcome import Outcome


def words(one: Outcome) -> str:
    """Of one model on one test set, for people."""
    lines = [f"{one.model} on {one.test_set}, {one.task}, n = {one.num_examples:,}"]
    for name, value in one.known.items():
        low, high = one.interval(name)
        line = (
            f"  {name:<26} {100 * value:6.2f} %  [{100 * low:.2f} to {100 * high:.2f}], "
            f"chance {100 * one.chance[name]:.2f} %"
        )
        if one.n_of(name) != one.num_examples:
            line += f", n = {one.n_of(name):,}"
        lines.append(line)
    if "overlap" in one.protocol:
        lines.append(f"  pictures that it was trained on: {one.protocol['overlap']}")
    return "\n".join(lines)


def mean_lines(found: Sequence[Outcome]) -> list[str]:
    """Of each model that was classified on two test sets or more, its means over them."""
    from seedbed.evaluate.means import above_chance
    from seedbed.evaluate.zeroshot import TASK

    top1: dict[str, list[tuple[float, float]]] = {}
    for one in found:
        if one.task == TASK:
            top1.setdefault(one.model, []).append((one.values["acc1"], one.chance["acc1"]))
    lines = []
    for model, own in top1.items():
        mean = sum(accuracy for accuracy, _ in own) / len(own)
        above = sum(above_chance(*one) for one in own) / len(own)
        if len(own) > 1:
            said = f"mean acc1 {100 * mean:.2f} %, above chance {100 * above:.2f} %"
            lines.append(f"{model} over {len(own)} test sets: {said}")
    return lines


def keep(one: Outcome, args: argparse.Namespace) -> bool:
    """In the folder that was asked for, and in MLflow, where True is returned: a study's are in its
    trials' runs."""
    from seedbed.errors import TrackingError
    from seedbed.evaluate.written import RESULT, write

    with tempfile.TemporaryDirectory() as scratch:
        files = write(one, Path(args.out or scratch))
        if args.study or args.untracked:
            return False
        from seedbed.track.mlflow.evaluations import keep_result

        tables = {name: file for name, file in files.items() if name != RESULT}
        try:
            keep_result(tracking_uri(args), one.to_json(), tables)
        except TrackingError as error:  # the result has been printed
            print(f"caution {error}", file=sys.stderr, flush=True)
            return False
    return True


def tracking_uri(args: argparse.Namespace) -> str:
    from seedbed.home import home
    from seedbed.track.mlflow.address import default_tracking_uri

    return args.tracking_uri or default_tracking_uri(home())


def say_where(num_kept: int, uri: str) -> None:
    from seedbed.track.mlflow.address import redacted
    from seedbed.track.mlflow.evaluations import EXPERIMENT
    from seedbed.track.mlflow.view import ui_command

    results = f"{num_kept} result{'s are' if num_kept > 1 else ' is'}"
    where = f"{results} in the experiment {EXPERIMENT}, with every example"
    print(f"mlflow  {where}: {ui_command(uri) or redacted(uri)}", file=sys.stderr)
