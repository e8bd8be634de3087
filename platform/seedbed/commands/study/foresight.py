"""What a study's command line says of the future that `--plan` and `--rehearse` are to look at."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from seedbed.errors import StudyError

MOST_DRAWS = 100_000
LOST = 0.05  # of the trials, where nothing else is said


@dataclass(frozen=True)
class Foresight:
    """`noise` is the SD of a trial within its seed, in the response's own unit, 0 for what is known
    of it; `draws` how many studies are simulated, of which a share of trials is
    `lost` (None: as many as diverge on the surface, or LOST); `out` a folder for
    pictures; `probe` whether steps are timed."""

    noise: float = 0.0
    draws: int = 0
    lost: float | None = None
    out: str = ""
    probe: bool = False


def add_foresight(parser: argparse.ArgumentParser) -> None:
    """The options that `foresight_of` reads."""
    group = parser.add_argument_group("what --plan and --rehearse look ahead by")
    group.add_argument(
        "--noise",
        type=float,
        metavar="SD",
        help="of a trial within its seed, in the response's unit: 0.002 is 0.2 points (measured, "
        "where trials have ended)",
    )
    group.add_argument(
        "--draws",
        type=int,
        metavar="N",
        help="with --rehearse: simulate N studies without Ray, and say how often these seeds find "
        "each effect and claim",
    )
    group.add_argument(
        "--lost", type=float, metavar="SHARE", help=f"of their trials, that never end ({LOST:g})"
    )
    group.add_argument("--out", metavar="DIR", help="with --plan: effect against cost as a picture")
    group.add_argument(
        "--probe",
        action="store_true",
        help="with --plan: time some steps of every kind of trial here, and keep what they took",
    )


def foresight_of(args: argparse.Namespace) -> Foresight:
    """What is looked at. Raises StudyError where it cannot be."""
    if args.noise is not None and not 0 < args.noise < math.inf:
        raise StudyError(
            f"--noise is {args.noise:g}",
            why="it is a standard deviation, in the response's own unit",
            mend="give more than 0, as --noise 0.002 for 0.2 points",
        )
    if args.draws is not None and not 2 <= args.draws <= MOST_DRAWS:
        raise StudyError(
            f"--draws is {args.draws}", mend=f"give 2 to {MOST_DRAWS:,}, for example 500"
        )
    if args.lost is not None and not 0 <= args.lost < 1:
        raise StudyError(
            f"--lost is {args.lost:g}",
            why="it is the share of the trials that never end",
            mend="give 0 or more and less than 1, as --lost 0.05",
        )
    if args.draws is not None and (args.rehearse is None or args.plan or args.report):
        raise StudyError(
            f"--draws {args.draws} is given without --rehearse"
            if args.rehearse is None
            else f"--draws {args.draws} is given with {'--plan' if args.plan else '--report'}",
            why="what is drawn are rehearsed studies",
            mend=f"--rehearse --draws {args.draws}",
        )
    for name in ("out", "probe"):
        if getattr(args, name) and not args.plan:
            raise StudyError(f"--{name} is given without --plan", mend="add --plan")
    if args.lost is not None and args.draws is None:
        raise StudyError(f"--lost {args.lost:g} is given without --draws", mend="add --draws 500")
    return Foresight(
        noise=args.noise or 0.0,
        draws=args.draws or 0,
        lost=args.lost,
        out=args.out or "",
        probe=args.probe,
    )
