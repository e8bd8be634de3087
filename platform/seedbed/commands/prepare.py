"""`seedbed prepare`: a demo corpus or a test set, built."""

from __future__ import annotations

import argparse

NAME = "prepare"
HELP = "build a demo corpus or a test set from published packages"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        help="a corpus, emoji or icons (alias icons-55k); or a test set, cifar10, fashion-mnist or "
        "emoji-test",
    )


def run(args: argparse.Namespace) -> None:
    """Build the corpus and print its folder."""
    from seedbed.data.provided import provider
    from seedbed.home import home

    print(provider().prepare(args.name, home()))
