"""Which rows of a corpus a trial may see: a pure function of the rows and of what a study states.

Rows are chosen by their own hashes, never by a random state: a smaller fraction is a subset of a
larger one, equal selections choose equal rows, and the order of the shards does not matter. The
hash is of the row's `uid` where it has one, else of its key.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.checks import counts, numbers
from seedbed.data.select.filters.filter import Bits, Filter
from seedbed.errors import DataError

UID_DTYPE = np.dtype("u8,u8")  # DataComp (Gadre et al. 2023): 32 hex digits as two halves


@dataclass(frozen=True)
class Removal:
    """One step of a selection: its name, the rows it was given, and how many it removed."""

    name: str
    num_rows: int
    num_removed: int


@dataclass(frozen=True)
class Selection:
    """A list of uids, then the filters in their order, then a fraction, then a count.

    `uids` is a file: DataComp's `.npy` (dtype "u8,u8"), or text with one uid a line; "" is all.
    `fraction` keeps each row whose hash lies below it, so about that part of the rows.
    `take` keeps exactly so many, those of the smallest hashes; 0 is all. Both are nested: what a
    smaller one keeps, a larger one keeps too.
    """

    filters: tuple[Filter, ...] = ()
    fraction: float = 1.0
    uids: str = ""
    take: int = 0

    def __post_init__(self) -> None:
        for value in self.filters:
            if not isinstance(value, Filter):
                raise DataError(
                    f"Selection.filters is {value!r}",
                    why="it is a tuple of filters",
                    mend="give (Length(),)",
                )
        object.__setattr__(self, "filters", tuple(self.filters))
        why = "it is the part of the rows that stays"
        numbers(self, "fraction", above=0, most=1, why=why, error=DataError)
        why, mend = "it counts the rows that stay", "give 1 or more, or 0 for all"
        counts(self, "take", least=0, why=why, mend=mend, error=DataError)

    @property
    def is_all(self) -> bool:
        """Whether every row stays, so that no column need be read."""
        return self == Selection()

    @property
    def step_names(self) -> tuple[str, ...]:
        """The names of the steps that it makes, in their order."""
        return (
            *([f"uids={self.uids}"] if self.uids else []),
            *(rule.name for rule in self.filters),
            *([f"fraction={self.fraction}"] if self.fraction < 1 else []),
            *([f"take={self.take}"] if self.take else []),
        )

    @property
    def columns(self) -> frozenset[str]:
        """The columns that a table must have."""
        if self.is_all:
            return frozenset()
        needed = frozenset({"key"}).union(*(f.columns for f in self.filters))
        return needed | {"uid"} if self.uids else needed

    @property
    def fingerprint(self) -> str:
        """sha256 of the criteria, with the content of the list of uids; "" for all rows."""
        if self.is_all:
            return ""
        digest = _digest_of(self.uids, *_seen(self.uids)) if self.uids else ""
        words = [*(f.name for f in self.filters), self.fraction, digest, self.take]
        return hashlib.sha256(repr(words).encode()).hexdigest()


def _seen(path: str) -> tuple[int, int]:
    """When a list was last written [ns], and its bytes; zeros where there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


@functools.lru_cache(maxsize=64)
def _digest_of(path: str, written: int, size: int) -> str:
    """sha256 of the uids listed in `path`. A list of 15 million takes a minute and more, and is
    asked for by every level that has it, several times."""
    listed = np.unique(read_uids(path)).tolist()
    return hashlib.sha256(b"\n".join(listed)).hexdigest()


def read_uids(path: str) -> NDArray[np.bytes_]:
    """The uids listed in `path`, lower-case. Raises DataError for an invalid list."""
    try:
        if path.endswith(".npy"):
            listed = np.load(path, allow_pickle=False)
            if listed.dtype != UID_DTYPE or listed.ndim != 1:
                raise ValueError(f"it has dtype {listed.dtype} and shape {listed.shape}")
            halves = zip(listed["f0"].tolist(), listed["f1"].tolist(), strict=True)
            return _as_bytes([f"{high:016x}{low:016x}" for high, low in halves])
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        return _as_bytes([line.strip() for line in lines if line.strip()])
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"the list of uids {path} cannot be read",
            why=str(error),
            mend='give a .npy of dtype "u8,u8" (DataComp\'s), or a text file of one uid a line',
        ) from error


def _as_bytes(uids: Sequence[Any]) -> NDArray[np.bytes_]:
    encoded = [str(uid if uid is not None else "").lower().encode() for uid in uids]
    return np.asarray(encoded, dtype=np.bytes_)


def copies(identities: Bits, weight: float) -> NDArray[np.int64]:
    """How often each row of a source with `weight` comes in an epoch: int64 [n].

    Each row as often as the weight's whole part says; its fraction is the share of rows, those of
    the smallest hashes, that come once more: at 2.5, every row twice, and half of them a third
    time. Rows of one hash come in the order in which they are given.
    """
    drawn = np.full(len(identities), int(weight), np.int64)
    extra = round((weight - int(weight)) * len(identities))
    drawn[np.argsort(identities, kind="stable")[:extra]] += 1
    return drawn
