"""Where state lives: `SEEDBED_HOME`, or `~/.seedbed`; never the working directory.

Under a Ray job the working directory is a temporary copy, so whatever is written there is lost.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The absolute folder that holds corpora, indexes, results and the tracking database."""
    return Path(os.environ.get("SEEDBED_HOME") or "~/.seedbed").expanduser().absolute()
