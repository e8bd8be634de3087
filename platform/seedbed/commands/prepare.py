"""`seedbed prepare`: a demo corpus, built."""

from __future__ import annotations

import argparse

NAME = "prepare"
HELP = "build a demo corpus from published packages"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="emoji, or icons (alias icons-55k)")


def run(args: argparse.Namespace) -> None:
    """Build the corpus and print its folder."""
    from seedbed.data.provided import provider
    from seedbed.home import home

    print(provider().prepare(args.name, home()))
