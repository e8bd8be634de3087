"""`seedbed compare`: the effects that two studies share, side by side."""

from __future__ import annotations

import argparse
import os

NAME = "compare"
HELP = "do the effects that two studies share agree?"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs=2, metavar="STUDY", help="a study's name, or NAME:SCALE")
    parser.add_argument(
        "--response", default="", help="the first study's primary one, if not given"
    )
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))


def run(args: argparse.Namespace) -> None:
    """Print each shared effect in both studies, and the difference."""
    import pandas as pd

    from seedbed.analyze.findings.compare import compare
    from seedbed.analyze.numbers import unit_of
    from seedbed.recall import recall

    pairs = []
    for name in args.names:
        study, _, scale = name.partition(":")
        recalled = recall(study, scale=scale, tracking_uri=args.tracking_uri)
        pairs.append((recalled.design, recalled.trials))
    table = compare(pairs[0], pairs[1], args.response)
    response = args.response or pairs[0][0].responses[0]
    values = pd.concat([trials[response].astype(float) for _, trials in pairs])
    unit = unit_of(pairs[0][0].metric(response), values)
    size = f", in {unit.difference_unit}" if unit.difference_unit else ""
    first, second = args.names
    print(
        f"{unit.label}: differences from the baseline in {first} (first) and {second} "
        f"(second),\nand the second less the first with its 95 % interval{size}\n"
    )
    if unit.is_fraction:
        sizes = [name for name in table.columns if name not in ("p", "note", "factor", "level")]
        for name in sizes:
            if pd.api.types.is_float_dtype(table[name]):
                table[name] = 100 * table[name]
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}", na_rep="-"))
