"""What a study asks of its cluster, on its command line."""

from __future__ import annotations

import argparse
import math
import os

from seedbed.cluster.asked import Asked
from seedbed.errors import StudyError

COUNTS = ("workers", "data_parallel", "gpus_per_node", "data_cpus", "max_gpus")
AMOUNTS = ("worker_memory", "device_memory", "max_price")
GB = 1e9


def add_needs(parser: argparse.ArgumentParser) -> None:
    """The options that `asked_of` reads."""
    group = parser.add_argument_group("what it asks of its cluster (by rule, with the reason)")
    group.add_argument("--workers", type=int, metavar="N", help="workers of each cohort")
    group.add_argument(
        "--data-parallel",
        type=int,
        metavar="N",
        help="workers that train one variant together (as few as hold it)",
    )
    group.add_argument("--accelerator", metavar="TYPE", help="kind of GPU, by Ray's name: H100")
    group.add_argument("--gpus-per-node", type=int, metavar="N", help="on nodes of N GPUs or more")
    group.add_argument(
        "--data-cpus", type=int, metavar="N", help="data tasks of each worker at a time"
    )
    group.add_argument(
        "--worker-memory", type=float, metavar="GB", help="of its node's, for each worker"
    )
    group.add_argument(
        "--device-memory", type=float, metavar="GB", help="of each GPU (by its kind)"
    )
    group.add_argument("--max-gpus", type=int, metavar="N", help="never hold more GPUs at a time")
    group.add_argument(
        "--max-price",
        type=float,
        metavar="DOLLARS",
        help="an hour, of the nodes that it makes the cluster start: never more",
    )
    group.add_argument(
        "--prices", metavar="FILE", help="prices of machines, TOML (SEEDBED_PRICES; ours)"
    )


def asked_of(args: argparse.Namespace) -> Asked:
    """What was asked for. Raises StudyError where it cannot be."""
    for name in COUNTS:
        value = getattr(args, name)
        if value is not None and value < 1:
            raise StudyError(f"--{name.replace('_', '-')} is {value}", mend="give 1 or more")
    for name in AMOUNTS:
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise StudyError(f"--{name.replace('_', '-')} is {value:g}", mend="give more than 0")
    return Asked(
        accelerator=args.accelerator or "",
        worker_memory=GB * (args.worker_memory or 0),
        device_memory=GB * (args.device_memory or 0),
        max_price=args.max_price or 0.0,
        prices=args.prices or os.environ.get("SEEDBED_PRICES", ""),
        **{name: getattr(args, name) or 0 for name in COUNTS},
    )
