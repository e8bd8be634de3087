"""The limit on failures that stops a study: a cause that is shared is not met a thousand times."""

from __future__ import annotations

import argparse
import math

from seedbed.errors import StudyError


def add_limit(parser: argparse.ArgumentParser) -> None:
    """The option that `most_failures` reads."""
    parser.add_argument(
        "--max-failures",
        metavar="N|SHARE%",
        default="",
        help="stop the study once so many of its trials, or such a share of them, have failed in "
        "this start (never); what diverged counts as an outcome",
    )


def most_failures(said: str, num_trials: int) -> int:
    """How many failures stop a study of `num_trials`; 0 where nothing is `said`.

    Raises StudyError for what is neither a number nor a share.
    """
    if not said:
        return 0
    number, share = said.strip().removesuffix("%"), said.strip().endswith("%")
    try:
        value = float(number) if share else int(number)
    except ValueError:
        value = 0
    if not 0 < value <= (100 if share else math.inf):
        raise StudyError(
            f"--max-failures is '{said}'",
            why="it is a number of trials, or a share of them in %",
            mend="give 1 or more, as --max-failures 10, or more than 0 %, as --max-failures 5%",
        )
    return max(1, math.ceil(num_trials * value / 100)) if share else int(value)
