"""What a run of a study takes from its environment where the command line does not say it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seedbed.home import home
from seedbed.storage.retry import env_number

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options


def checkpoint_seconds() -> float | None:
    """Between checkpoints, of SEEDBED_CHECKPOINT_SECONDS; without it, by what one costs."""
    name = "SEEDBED_CHECKPOINT_SECONDS"
    return env_number(name, 0.0, least=0) if os.environ.get(name) else None


def tracking_uri(options: Options) -> str:
    from seedbed.track.mlflow.address import default_tracking_uri

    return options.tracking_uri or default_tracking_uri(home())
