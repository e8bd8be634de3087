"""What a row filter is: a frozen description that declares the columns it reads.

A filter is a value: a study sets it as a level, the recipe flattens it, and equal filters keep
equal rows. It sees the whole table of a split at once, so that a rule about repetition needs no
second pass; its answer must not depend on the order of the rows.

Columns are arrays [n]. Those that filters here read: `caption` (text, "" where there is none),
`key` (text, no two alike), `width` and `height` (pixels, 0 where unknown), `sha256` (text, of the
picture's bytes; "" where unknown), `phash` (uint64, a dHash) and `clip_score` (floating point, NaN
where there is none).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from seedbed import checks
from seedbed.errors import DataError, nearest

Rows = Mapping[str, NDArray[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Filter(ABC):
    """Keeps some rows of a table. Fields are scalars, checked when the filter is made.

    `columns` are the columns that `keep` may read. A filter that chooses among equal rows reads
    `key`, which no two rows share, and chooses by its hash.
    """

    columns: ClassVar[frozenset[str]]

    @abstractmethod
    def keep(self, rows: Rows) -> Mask:
        """Which rows stay: bool [n], of columns [n] each."""

    @property
    def name(self) -> str:
        """The filter with its fields, for counts and reports: `MinImageSide(pixels=64)`."""
        fields = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(fields)})"

    def _switches(self, *names: str) -> None:
        checks.switches(self, *names, error=DataError)

    def _numbers(self, *names: str, **bounds: float) -> None:
        """Make the fields floats, so that 1 and 1.0 are one filter; refuse them out of bounds."""
        checks.numbers(self, *names, **bounds, error=DataError)

    def _counts(self, *names: str, **bounds: float) -> None:
        checks.counts(self, *names, **bounds, error=DataError)


def column(rows: Rows, name: str, reader: str) -> NDArray[Any]:
    """The column `name`. Raises DataError, naming the columns there are, where it is missing."""
    if name not in rows:
        raise DataError(
            f"the corpus has no column '{name}'",
            why=f"{reader} reads it",
            mend=nearest(name, rows),
        )
    return rows[name]


def each(values: Sequence[Any] | NDArray[Any], rule: Callable[[Any], object]) -> Mask:
    """`rule` of each value, as bool [n]."""
    return np.fromiter((bool(rule(value)) for value in values), np.bool_, len(values))


def hashes(keys: Sequence[Any] | NDArray[Any]) -> NDArray[np.uint64]:
    """64-bit hashes [n] of the keys' texts: the same in every process and on every machine."""
    return np.fromiter(
        (
            int.from_bytes(blake2b(str(key).encode(), digest_size=8).digest(), "little")
            for key in keys
        ),
        np.uint64,
        len(keys),
    )


def by_hash(keys: NDArray[Any]) -> NDArray[np.int64]:
    """Row numbers [n] in the order of their keys' hashes, and of the keys where those are equal."""
    text = np.asarray([str(key) for key in keys], dtype=np.str_)
    return np.lexsort((text, hashes(text))).astype(np.int64)
