"""`seedbed evaluate`: models on test sets, whoever has trained them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.evaluate.encoder import Encoder
    from seedbed.evaluate.outcome import Outcome

NAME = "evaluate"
HELP = "classification, retrieval and probes of trained models on test sets"
OPEN_CLIP = "open_clip:"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=f"{OPEN_CLIP}ARCHITECTURE[@PRETRAINED|@PATH]; several share one stream of pictures",
    )
    parser.add_argument(
        "--tests",
        nargs="+",
        required=True,
        metavar="URI",
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


def run(args: argparse.Namespace) -> None:
    """Print each model's result on each test set. Raises DataError for what cannot be read."""
    from seedbed.evaluate.probes import probe
    from seedbed.evaluate.retrieval import retrieve
    from seedbed.evaluate.test_set import checked_templates, open_test_set
    from seedbed.evaluate.zeroshot import classify, outcome

    templates: Sequence[str] = ()
    if args.templates:
        lines = Path(args.templates).read_text(encoding="utf-8").splitlines()
        templates = checked_templates([line.strip() for line in lines], args.templates)
    tests = [open_test_set(_place(uri)) for uri in args.tests]
    encoders = [_encoder(said, args.device) for said in args.models]
    for test_set in tests:
        if test_set.kind == "retrieval":
            outcomes = retrieve(encoders, test_set)
        else:
            found = classify(encoders, test_set, templates)
            outcomes = [
                outcome(encoder, test_set, scores, templates)
                for encoder, scores in zip(encoders, found, strict=True)
            ]
            if args.probe:
                outcomes += probe(encoders, test_set)
        for one in outcomes:
            print(json.dumps(one.to_json()) if args.json else _words(one), flush=True)


def _place(uri: str) -> str:
    """The folder of a test set that this machine has prepared under that name, or the address."""
    from seedbed.home import home

    prepared = home() / "tests" / uri
    return str(prepared) if prepared.is_dir() else uri


def _encoder(said: str, device: str) -> Encoder:
    from seedbed.errors import DataError
    from seedbed.evaluate.pretrained import OpenClipEncoder

    if said.startswith(OPEN_CLIP):
        return OpenClipEncoder.named(said.removeprefix(OPEN_CLIP), device)
    raise DataError(
        f"there is no model '{said}'",
        why=f"a model is {OPEN_CLIP}ARCHITECTURE, with weights behind an @",
        mend=f"give {OPEN_CLIP}ViT-B-32@PATH",
    )


def _words(one: Outcome) -> str:
    lines = [f"{one.model} on {one.test_set}, {one.task}, n = {one.num_examples:,}"]
    for name, value in one.values.items():
        line = f"  {name:<24} {100 * value:6.2f} %"
        if name in one.chance:
            low, high = one.interval(name)
            line += (
                f"  [{100 * low:.2f} to {100 * high:.2f}], chance {100 * one.chance[name]:.2f} %"
            )
        lines.append(line)
    return "\n".join(lines)
