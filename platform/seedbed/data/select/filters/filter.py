"""What a row filter is: a frozen description that declares the columns it reads.

A filter is a value: a study sets it as a level, the recipe flattens it, and equal filters keep
equal rows. A filter that judges each row by itself says so (`by_row`), and is asked where the row's
shard is read. A `Deduplication` says what of rows it compares, of which 64 bits a row are brought
together. Any other sees all rows of a split at once, with what that takes of memory;
its answer must not depend on their order.

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
Bits = NDArray[np.uint64]


@dataclass(frozen=True)
class Filter(ABC):
    """Keeps some rows of a table. Fields are scalars, checked when the filter is made.

    `columns` are the columns that `keep` may read. `by_row` says that whether a row stays depends
    on that row alone, so that any part of the rows may be asked for.
    """

    columns: ClassVar[frozenset[str]]
    by_row: ClassVar[bool] = False

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


@dataclass(frozen=True)
class Deduplication(Filter):
    """Chooses among rows that have something in common, by the hashes of their keys.

    `columns` has `key`, which no two rows share.
    """

    @abstractmethod
    def digest(self, rows: Rows) -> Bits:
        """64 bits of what is compared: [n], each of its row alone."""

    @abstractmethod
    def choose(self, digests: Bits, ranks: Bits) -> Mask:
        """Which rows stay of those with `digests` [n]; those of the smallest `ranks` [n] do."""

    def keep(self, rows: Rows) -> Mask:
        digests = self.digest(rows)
        order = by_hash(column(rows, "key", self.name))
        ranks = np.empty(len(order), np.uint64)
        ranks[order] = np.arange(len(order), dtype=np.uint64)
        return self.choose(digests, ranks)


def first_of_each(digests: Bits, ranks: Bits, most: int = 1) -> Mask:
    """For each digest the `most` rows of the smallest ranks: bool [n]."""
    line = np.lexsort((ranks, digests))
    ordered = digests[line]
    first = np.ones(len(line), np.bool_)
    first[most:] = ordered[most:] != ordered[:-most]
    kept = np.empty(len(line), np.bool_)
    kept[line] = first
    return kept


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


def hashes(keys: Sequence[Any] | NDArray[Any]) -> Bits:
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
    text = np.array([str(key) for key in keys], dtype=object)
    return np.lexsort((text, hashes(text))).astype(np.int64)
