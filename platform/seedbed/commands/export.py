"""`seedbed export`: a finished trial in open_clip's layout, or into MLflow's registry."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seedbed.interchange.found import Finished

NAME = "export"
HELP = "a trained model for open_clip, with a card"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "trial",
        nargs="?",
        default="",
        help="its key, the beginning of it, its name or its folder; without, the best of --study",
    )
    parser.add_argument("--to", metavar="DIR", help="a new or empty folder (exported-KEY)")
    parser.add_argument("--study", default="", help="of which it is, where several have its name")
    parser.add_argument(
        "--storage", metavar="URI", help="where results are (SEEDBED_STORAGE; ~/.seedbed/results)"
    )
    parser.add_argument(
        "--register", metavar="NAME", default="", help="also as a new version of this model, MLflow"
    )
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))


def run(args: argparse.Namespace) -> None:
    """Write the folder and print its path; where open_clip differs, write nothing."""
    from seedbed.interchange.found import find_trial
    from seedbed.recall import results_folder

    said = args.trial or _best(args.study, args.tracking_uri)
    found = find_trial(said, args.storage or results_folder(), args.study)
    folder = Path(args.to or f"exported-{found.record.key}").absolute()
    export(found, folder)
    print(folder)
    if args.register:
        from seedbed.home import home
        from seedbed.track.mlflow.address import default_tracking_uri
        from seedbed.track.mlflow.registry import register

        uri = args.tracking_uri or default_tracking_uri(home())
        print(register(uri, args.register, folder, found.record))


def _best(study: str, tracking_uri: str) -> str:
    """The key of a study's winner: the best trial of the cell that is best over its seeds."""
    from seedbed.errors import StudyError
    from seedbed.recall import recall

    if not study:
        raise StudyError(
            "no trial is named", why="one is exported", mend="name a trial, or a study with --study"
        )
    recalled = recall(study, tracking_uri=tracking_uri)
    response = recalled.design.responses[0]
    better = recalled.design.metric(response).higher_is_better
    done = recalled.trials[recalled.trials["status"] == "completed"].dropna(subset=[response])
    if not len(done):
        raise StudyError(
            f"no trial of '{study}' has {response}",
            why="the winner is the best by the study's first response",
            mend="run the study, or name a trial",
        )
    factors = list(recalled.design.factors)
    means = done.groupby(factors, observed=True)[response].transform("mean")
    ranked = done.assign(cell_mean=means).sort_values(["cell_mean", response], ascending=not better)
    print(f"best    {response}: {ranked['key'].iloc[0]}", file=sys.stderr)
    return str(ranked["key"].iloc[0])


def export(found: Finished, folder: Path) -> None:
    """Write the model of `found` into `folder`, once open_clip has loaded it and agrees.

    Raises StudyError where the folder holds anything or open_clip cannot express the model, and
    DataError where the weights are not whole, or open_clip's embeddings differ.
    """
    from seedbed.errors import StudyError
    from seedbed.interchange.card import CARD, card
    from seedbed.interchange.exported import check_against_open_clip, exported
    from seedbed.interchange.loading import model_of_trial

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(
            f"{folder} is not empty",
            why="an export would lie among what is there, and open_clip take the wrong weights",
            mend="give a new folder with --to",
        )
    model = model_of_trial(found)
    said, data = found.record.recipe, found.record.data_fingerprint
    made = exported(model.described, model.pretrainer, said, data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it is moved there whole.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        draft = Path(scratch) / folder.name
        made.write(draft)
        difference = check_against_open_clip(draft, model.described, model.pretrainer)
        print(f"checked open_clip agrees to {difference:.1g}", file=sys.stderr)
        text = card(found, made, difference=difference, version=version("seedbed"))
        (draft / CARD).write_text(text)
        if folder.exists():
            folder.rmdir()
        shutil.move(draft, folder)
