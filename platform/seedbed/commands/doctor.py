"""`seedbed doctor`: is this cluster, or this machine, fit for a study, and what is to be mended?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from seedbed.commands.status import add_storage
from seedbed.exits import COMPLETE, MISSING

if TYPE_CHECKING:
    from seedbed.cluster.doctor.check import Scope
    from seedbed.cluster.doctor.examine import Examined

NAME = "doctor"
HELP = "examine a cluster from inside, or this machine, and say what to mend"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_storage(parser)
    parser.add_argument(
        "--data", metavar="URI", default=os.environ.get("SEEDBED_DATA", ""), help="a corpus"
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", default=os.environ.get("MLFLOW_TRACKING_URI", "")
    )
    parser.add_argument("--only", metavar="CHECK", nargs="+", default=[], help="these checks")
    parser.add_argument(
        "--start",
        metavar="TYPE",
        nargs="*",
        help="make the cluster's autoscaler start a node of each of these types (of the cheapest "
        "with a GPU), and examine it; it is paid for until it has been idle",
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, help="for nodes of --start, at most (900)"
    )
    parser.add_argument(
        "--prices", metavar="FILE", default=os.environ.get("SEEDBED_PRICES", ""),
        help="prices of machines, TOML (SEEDBED_PRICES; ours)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Examine the cluster of RAY_ADDRESS, or this machine. Returns 1 where something is to mend."""
    from seedbed.checks import one_of
    from seedbed.cluster.doctor.check import Scope
    from seedbed.cluster.doctor.checks import all_checks

    for name in args.only:
        one_of("--only", name, all_checks(), why="it is the name of a check")
    address = os.environ.get("RAY_ADDRESS", "")
    if address:
        from seedbed.cluster.connect import connect

        connect()
    asked = Scope(args.storage, args.data, args.tracking_uri, address, args.prices)
    if args.json:
        # Ray prints what a cluster has to say where it likes.
        with redirect_stdout(sys.stderr):
            found = list(_examined(asked, args))
        print(json.dumps(to_json(found), indent=1))
    else:
        found = []
        for one in _examined(asked, args):
            found.append(one)
            print("\n".join(lines(one)), flush=True)
    return COMPLETE if all(one.ok for one in found) else MISSING


def _examined(asked: Scope, args: argparse.Namespace) -> Iterator[Examined]:
    """Of the nodes that are there, and of those that are started for it."""
    from seedbed.cluster.capacity import cluster_capacity
    from seedbed.cluster.doctor.examine import Examined, examine
    from seedbed.cluster.doctor.starting import WAIT_SECONDS, chosen, started
    from seedbed.cluster.prices import Prices
    from seedbed.errors import ResourceError

    if args.start is None:
        yield from examine(asked, args.only)
        return
    if not asked.address:
        raise ResourceError(
            "--start without a cluster",
            why="RAY_ADDRESS is not set, so that this machine is examined, and starts no other",
            mend="ray job submit -- seedbed doctor --start",
        )
    types = cluster_capacity().node_types
    wanted = chosen(args.start, types, Prices.read(asked.prices))
    seconds = WAIT_SECONDS if args.wait is None else args.wait
    with started(wanted, types, seconds, lambda words: print(words, file=sys.stderr)) as findings:
        yield Examined("start", "do the nodes come that are asked for?", tuple(findings), {})
        yield from examine(asked, args.only)


def lines(one: Examined) -> list[str]:
    """A line for each finding, and one for how to mend it."""
    said = []
    for finding in one.findings:
        said.append(f"{finding.status:<8} {one.name:<14} {finding.what}")
        if finding.mend:
            said.append(f"{'':<8} {'':<14} mend: {finding.mend}")
    return said


def to_json(found: list[Examined]) -> dict[str, Any]:
    return {
        "ok": all(one.ok for one in found),
        "checks": [
            {
                "name": one.name,
                "about": one.about,
                "ok": one.ok,
                "findings": [
                    {"status": f.status, "what": f.what, "mend": f.mend} for f in one.findings
                ],
                "facts": dict(one.facts),
            }
            for one in found
        ],
    }
