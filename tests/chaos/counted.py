"""A loss that notes every step it takes, when, and in which process: what was trained twice shows.

One file a process, of eight bytes a step: the Unix time as a double.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.model.terms.infonce import InfoNCE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.model.term import Features

FOLDER = "CHAOS_STEPS"  # the environment's name for the folder of notes


@dataclass(frozen=True)
class Counted(InfoNCE):
    """`InfoNCE`, with a note of each step."""

    def loss(self, features: Features, layers: nn.ModuleDict) -> Tensor:
        note(Path(os.environ[FOLDER]))
        return super().loss(features, layers)


def note(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{os.getpid()}").open("ab", buffering=0) as file:
        file.write(struct.pack("<d", time.time()))


def notes(folder: Path) -> Iterator[tuple[int, list[float]]]:
    """Each process' steps: its pid, and when they were."""
    for path in folder.glob("*"):
        content = path.read_bytes()
        yield int(path.name), [time for (time,) in struct.iter_unpack("<d", content)]
