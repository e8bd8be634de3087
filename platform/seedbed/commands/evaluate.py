"""`seedbed evaluate`: models on test sets, whoever has trained them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.collecting import as_usual
from seedbed.commands.study.evaluated import keep, mean_lines, say_where, tracking_uri, words
from seedbed.commands.study.named_tests import opened_tests, templates_of
from seedbed.exits import COMPLETE, MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seedbed.commands.study.apart import Apart
    from seedbed.errors import DataError
    from seedbed.evaluate.encoder import Encoder
    from seedbed.evaluate.outcome import Outcome
    from seedbed.evaluate.test_set import TestSet

NAME = "evaluate"
HELP = "classification, retrieval and probes of trained models on test sets"
OPEN_CLIP = "open_clip:"
AT_ONCE = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a trial by its key, its name or its folder, its part of a checkpoint "
        "(variant-KEY.safetensors), an exported folder, or "
        f"{OPEN_CLIP}ARCHITECTURE[@PRETRAINED|@PATH]; several share one stream of pictures",
    )
    parser.add_argument(
        "--study",
        default="",
        metavar="NAME",
        help="every finished trial of this study that was not scored on them yet, on Ray; results "
        "are added to their records and runs",
    )
    parser.add_argument(
        "--tests",
        "--tasks",
        dest="tests",
        nargs="+",
        required=True,
        metavar="[NAME=]URI",
        help="folders in clip_benchmark's layout, or what `seedbed prepare` built: cifar10",
    )
    parser.add_argument(
        "--templates",
        metavar="FILE|SET",
        help="prompts, one a line, instead of the test set's; or prompt1, prompt6, prompt8, "
        "prompt80, as the paper's code calls ImageNet's",
    )
    parser.add_argument(
        "--probe", action="store_true", help="linear, k-NN and few-shot probes on the train split"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON a result")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="keep results here too, each with its examples one by one; `clip_benchmark build DIR` "
        "makes a table of them",
    )
    parser.add_argument("--device", default="", help="of the models named: cpu, or cuda:0 (cpu)")
    parser.add_argument(
        "--at-once", type=int, default=0, help=f"models of a study on one stream ({AT_ONCE})"
    )
    parser.add_argument(
        "--actors",
        type=int,
        default=0,
        help="that score a study's trials (one for each GPU, or for each core but one)",
    )
    parser.add_argument("--storage", default="", metavar="URI", help="where results are")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))
    parser.add_argument(
        "--untracked", action="store_true", help="keep results of the models named out of MLflow"
    )


def run(args: argparse.Namespace) -> int:
    """Print each model's result on each test set; 0 where all have one. Raises DataError for what
    cannot be read, and for options that say nothing."""
    from seedbed.errors import DataError

    _check(args)
    templates = templates_of(args.templates) if args.templates else ()
    tests = opened_tests(args.tests)
    found = _of_study(args, tests, templates) if args.study else _of_models(args, tests, templates)
    status, num_kept = COMPLETE, 0
    done: list[Outcome] = []
    for one in found:
        if isinstance(one, DataError):  # the others have their results
            print(f"error: {one}", file=sys.stderr, flush=True)
            status = MISSING
            continue
        print(json.dumps(one.to_json()) if args.json else words(one), flush=True)
        num_kept += keep(one, args)
        done.append(one)
    for line in [] if args.json else mean_lines(done):
        print(line)
    if num_kept:
        say_where(num_kept, tracking_uri(args))
    return status


def _check(args: argparse.Namespace) -> None:
    from seedbed.errors import DataError

    if bool(args.models) == bool(args.study):
        raise DataError(
            "no model is named" if not args.study else f"models and --study {args.study} are named",
            why="either some models are evaluated, or every finished trial of a study",
            mend="name models, or give --study NAME",
        )
    of_models = {"--probe": args.probe, "--device": args.device, "--untracked": args.untracked}
    of_studies = {"--at-once": args.at_once, "--actors": args.actors}
    if args.out and Path(args.out).exists() and not Path(args.out).is_dir():
        raise DataError(
            f"--out {args.out} is a file",
            why="each result has some of its own, in a folder",
            mend="name a folder; it is made where there is none",
        )
    other, kind = (of_models, "models") if args.study else (of_studies, "a study")
    for option, given in other.items():
        if given:
            raise DataError(
                f"{option} is given beside {'--study' if args.study else 'models'}",
                why=f"it is for {kind}",
                mend=f"leave it out, or evaluate {'trials by their keys' if args.study else kind}",
            )


def _of_models(
    args: argparse.Namespace, tests: Sequence[TestSet], templates: Sequence[str]
) -> Iterator[Outcome | DataError]:
    from seedbed.commands.study.apart import Apart
    from seedbed.errors import DataError
    from seedbed.evaluate.pretrained import not_aligned
    from seedbed.evaluate.probes import probe
    from seedbed.evaluate.retrieval import retrieve
    from seedbed.evaluate.zeroshot import classify, counts_of, outcome

    apart = Apart(tests)
    _check_device(args.device)
    encoders = [_encoder(said, args, apart) for said in args.models]
    as_usual()  # a cycle may hold what lies on a device
    able = [one for one in encoders if one.compares]
    for test_set in tests:
        of_captions = test_set.kind == "retrieval"
        if of_captions or not args.probe:  # a model of pictures alone has its probe only
            yield from (not_aligned(one.name) for one in encoders if not one.compares)
        if of_captions:
            yield from retrieve(able, test_set) if able else ()
            continue
        asks = templates or test_set.templates or not args.probe  # without prompts its probe alone
        if able and asks:
            for encoder, scores in zip(able, classify(able, test_set, templates), strict=True):
                counts_of(test_set, scores.columns["label"])  # which is no model's fault
                try:
                    yield outcome(encoder, test_set, scores, templates)
                except DataError as error:
                    yield error
        if args.probe:
            yield from probe(encoders, test_set)


def _of_study(
    args: argparse.Namespace, tests: Sequence[TestSet], templates: Sequence[str]
) -> Iterator[Outcome | DataError]:
    from seedbed.commands.study.scored import score_finished
    from seedbed.recall import recall, results_folder

    recalled = recall(args.study, tracking_uri=args.tracking_uri)
    results, at_once = args.storage or results_folder(), args.at_once or AT_ONCE
    yield from score_finished(
        recalled, results, tests, templates, at_once=at_once, actors=args.actors
    )


def _check_device(said: str) -> None:
    """Raises DataError for a device that torch does not know or see."""
    import torch

    from seedbed.errors import DataError, first_line

    try:
        torch.empty(1, device=said or "cpu")
    except (RuntimeError, AssertionError) as error:
        raise DataError(
            f"--device {said} cannot be used",
            why=first_line(error),
            mend="give cpu, or a GPU that torch sees: cuda:0",
        ) from None


def _encoder(said: str, args: argparse.Namespace, apart: Apart) -> Encoder:
    """The model, and in its protocol which weights it has and whether it was trained on pictures of
    the test sets."""
    from seedbed.commands.study.apart import UNKNOWN
    from seedbed.evaluate.pretrained import OpenClipEncoder
    from seedbed.evaluate.weights import mark_of
    from seedbed.recall import load

    if said.startswith(OPEN_CLIP):
        peer = OpenClipEncoder.named(said.removeprefix(OPEN_CLIP), args.device or "cpu")
        peer.protocol |= {"weights": mark_of(peer.model), "overlap": UNKNOWN}
        return peer
    model = load(said, storage=args.storage, tracking_uri=args.tracking_uri)
    overlap = apart.of(model.recipe, model.data_fingerprint)
    encoder = model.to(args.device or "cpu").encoder(said)
    encoder.protocol |= {"weights": mark_of(encoder.model), "overlap": overlap}
    return encoder
