"""The command `ablate`: what is not a study of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ablate.errors import AblateError
from ablate.home import home


def main(argv: Sequence[str] | None = None) -> int:
    """`ablate prepare NAME` builds a demo corpus. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="ablate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="build a demo corpus from published packages")
    prepare.add_argument("name", help="emoji, or icons (alias icons-55k)")
    args = parser.parse_args(argv)
    try:
        from ablate.data.demo import prepare_demo

        print(prepare_demo(args.name, home()))
    except AblateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
