"""`seedbed evaluate`: models on test sets, whoever has trained them."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seedbed.commands.study.apart import Apart
    from seedbed.evaluate.encoder import Encoder
    from seedbed.evaluate.outcome import Outcome
    from seedbed.evaluate.test_set import TestSet

NAME = "evaluate"
HELP = "classification, retrieval and probes of trained models on test sets"
OPEN_CLIP = "open_clip:"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a trial by its key, its name or its folder, an exported folder, or "
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
        "--templates", metavar="FILE", help="prompts, one a line, instead of the test set's"
    )
    parser.add_argument(
        "--probe", action="store_true", help="linear, k-NN and few-shot probes on the train split"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON a result")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 (%(default)s)")
    parser.add_argument(
        "--at-once", type=int, default=8, help="models of a study on one stream (%(default)s)"
    )
    parser.add_argument(
        "--actors",
        type=int,
        default=0,
        help="that score a study's trials (one for each GPU, or for each core but one)",
    )
    parser.add_argument("--storage", default="", metavar="URI", help="where results are")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))


def run(args: argparse.Namespace) -> None:
    """Print each model's result on each test set. Raises DataError for what cannot be read."""
    from seedbed.errors import DataError
    from seedbed.evaluate.test_set import checked_templates

    templates: Sequence[str] = ()
    if args.templates:
        lines = Path(args.templates).read_text(encoding="utf-8").splitlines()
        templates = checked_templates([line.strip() for line in lines], args.templates)
    if bool(args.models) == bool(args.study):
        raise DataError(
            "no model is named" if not args.study else f"models and --study {args.study} are named",
            why="either some models are evaluated, or every finished trial of a study",
            mend="name models, or give --study NAME",
        )
    tests = [_opened(said) for said in args.tests]
    found = _of_study(args, tests, templates) if args.study else _of_models(args, tests, templates)
    for one in found:
        print(json.dumps(one.to_json()) if args.json else _words(one), flush=True)


def _of_models(
    args: argparse.Namespace, tests: Sequence[TestSet], templates: Sequence[str]
) -> Iterator[Outcome]:
    from seedbed.commands.study.apart import Apart
    from seedbed.evaluate.probes import probe
    from seedbed.evaluate.retrieval import retrieve
    from seedbed.evaluate.zeroshot import classify, outcome

    apart = Apart(tests)
    encoders = [_encoder(said, args, apart) for said in args.models]
    for test_set in tests:
        # A model of pictures alone has its probe only, and is refused where none is asked for.
        able = [one for one in encoders if one.compares] if args.probe else encoders
        if test_set.kind == "retrieval":
            yield from retrieve(encoders, test_set)
            continue
        if able:
            for encoder, scores in zip(able, classify(able, test_set, templates), strict=True):
                yield outcome(encoder, test_set, scores, templates)
        if args.probe:
            yield from probe(encoders, test_set)


def _of_study(
    args: argparse.Namespace, tests: Sequence[TestSet], templates: Sequence[str]
) -> Iterator[Outcome]:
    from seedbed.commands.study.scored import score_finished
    from seedbed.recall import recall, results_folder

    recalled = recall(args.study, tracking_uri=args.tracking_uri)
    results = args.storage or results_folder()
    yield from score_finished(
        recalled, results, tests, templates, at_once=args.at_once, actors=args.actors
    )


def _opened(said: str) -> TestSet:
    """`NAME`, `URI` or `NAME=URI`, as a study names its test sets, or by its folder alone."""
    from seedbed.evaluate.named import NAMED, NamedTest
    from seedbed.evaluate.test_set import open_test_set
    from seedbed.home import home

    if NAMED.fullmatch(said.partition("=")[0]) and "=" in said:
        named = NamedTest.parse(said)
        return open_test_set(named.uri, called=named.name)
    prepared = home() / "tests" / said
    return open_test_set(str(prepared) if prepared.is_dir() else said)


def _encoder(said: str, args: argparse.Namespace, apart: Apart) -> Encoder:
    """The model, and in its protocol whether it was trained on pictures of the test sets."""
    from seedbed.commands.study.apart import UNKNOWN
    from seedbed.evaluate.pretrained import OpenClipEncoder
    from seedbed.recall import load

    if said.startswith(OPEN_CLIP):
        peer = OpenClipEncoder.named(said.removeprefix(OPEN_CLIP), args.device)
        peer.protocol["overlap"] = UNKNOWN
        return peer
    model = load(said, storage=args.storage, tracking_uri=args.tracking_uri)
    overlap = apart.of(model.recipe, model.data_fingerprint)
    encoder = model.to(args.device).encoder(said)
    encoder.protocol["overlap"] = overlap
    return encoder


def _words(one: Outcome) -> str:
    lines = [f"{one.model} on {one.test_set}, {one.task}, n = {one.num_examples:,}"]
    for name, value in one.known.items():
        line = f"  {name:<24} {100 * value:6.2f} %"
        if name in one.chance:
            low, high = one.interval(name)
            line += (
                f"  [{100 * low:.2f} to {100 * high:.2f}], chance {100 * one.chance[name]:.2f} %"
            )
        lines.append(line)
    if "overlap" in one.protocol:
        lines.append(f"  pictures that it was trained on: {one.protocol['overlap']}")
    return "\n".join(lines)
