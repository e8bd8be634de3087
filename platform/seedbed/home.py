"""The folder for state: `SEEDBED_HOME`, or `~/.seedbed`; never the working directory.

Under a Ray job the working directory is a temporary copy, so whatever is written there is lost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

COUNTS = "counts"  # cached counts of models' parts: all that a plan leaves


def home() -> Path:
    """The absolute folder that holds corpora, indexes, results and the tracking database."""
    return Path(os.environ.get("SEEDBED_HOME") or "~/.seedbed").expanduser().absolute()


def point_at_old_state() -> None:
    """Print one line if the folder of the package's old name exists: it is not read."""
    old = Path("~/.ablate").expanduser()
    if os.environ.get("SEEDBED_HOME") or not old.is_dir():
        return
    new = home()
    if not new.exists() or {path.name for path in new.iterdir()} == {COUNTS}:  # a plan's alone
        print(f"note    {old} is of an older name and not read: state is in {new}", file=sys.stderr)
