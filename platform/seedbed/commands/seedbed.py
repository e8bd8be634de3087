"""Prepares corpora and reports on studies; a study itself runs as its own file.

A command is a file of this room with `NAME`, `HELP`, `arguments(parser)` and `run(args)`, which may
return an exit status. Its heavy imports are in `run`, so that `--help` waits for none.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

import seedbed.commands
from seedbed.collecting import restored, seldom
from seedbed.errors import SeedbedError
from seedbed.exits import COMPLETE, exit_status
from seedbed.home import point_at_old_state

# In order of use; others follow.
ORDER = (
    *("prepare", "index", "studies", "status", "stop", "retry", "rm"),
    *("report", "compare", "export", "doctor"),
)


def commands() -> list[ModuleType]:
    """The commands, found by walking this room."""
    names = [m.name for m in pkgutil.iter_modules(seedbed.commands.__path__) if not m.ispkg]
    held = [importlib.import_module(f"{seedbed.commands.__name__}.{name}") for name in names]
    known = [module for module in held if hasattr(module, "NAME")]
    rank = {name: place for place, name in enumerate(ORDER)}
    return sorted(known, key=lambda module: (rank.get(module.NAME, len(rank)), module.NAME))


def parser() -> argparse.ArgumentParser:
    """What every command takes; `run` of what it parses is the command's."""
    about = (__doc__ or "").partition("\n")[0]
    whole = argparse.ArgumentParser(prog="seedbed", description=about)
    subparsers = whole.add_subparsers(dest="command", required=True)
    for command in commands():
        own = subparsers.add_parser(command.NAME, help=command.HELP)
        command.arguments(own)
        own.set_defaults(run=command.run)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit status."""
    args = parser().parse_args(argv)
    point_at_old_state()
    try:
        with restored():
            seldom()
            status: int | None = args.run(args)
    except SeedbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_status(error)
    return status or COMPLETE


if __name__ == "__main__":
    sys.exit(main())
