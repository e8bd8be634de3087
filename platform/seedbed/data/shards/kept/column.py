"""Neighbouring numbers in a file, of which no more is read than is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seedbed.errors import DataError
from seedbed.storage.objects import at


class Column(ABC):
    """Numbers of one kind; `is_away` where each question is a request over the network."""

    is_away: ClassVar[bool] = False

    @abstractmethod
    def whole(self) -> NDArray[Any]:
        """All of them. Raises DataError where the file is gone."""

    def part(self, first: int, stop: int) -> NDArray[Any]:
        """Numbers `first` to `stop` - 1. Raises DataError where the file is gone."""
        return self.whole()[first:stop]


@dataclass(frozen=True, eq=False)
class Held(Column):
    """Numbers in memory."""

    values: NDArray[Any]

    def whole(self) -> NDArray[Any]:
        return self.values


@dataclass(frozen=True, eq=False)
class Mapped(Column):
    """`count` numbers from byte `start` of a file on this disk, which is mapped.

    Of a `private` file, which may be on no other machine, the numbers are sent in its place.
    """

    place: str
    start: int
    count: int
    kind: str
    private: bool

    def part(self, first: int, stop: int) -> NDArray[Any]:
        return self._values[first:stop]

    @cached_property
    def _values(self) -> NDArray[Any]:
        return self.whole()

    def whole(self) -> NDArray[Any]:  # mapped anew: who passes over all lets go of what it has seen
        if not self.count:
            return np.empty(0, self.kind)
        try:
            with pa.memory_map(self.place) as opened:  # what was mapped outlives it
                return np.frombuffer(opened.read_buffer(), self.kind, self.count, self.start)
        except (OSError, ValueError) as error:
            raise gone(self.place, str(error)) from error

    def __reduce__(self) -> tuple[Any, ...]:
        if self.private:
            return Held, (self.whole(),)
        return Mapped, (self.place, self.start, self.count, self.kind, self.private)


@dataclass(frozen=True, eq=False)
class Ranged(Column):
    """`count` numbers from byte `start` of an object in a bucket.

    Those that are `kept` are few: they are read as a whole, once in each process.
    """

    place: str
    start: int
    count: int
    kind: str
    kept: bool
    _guard: Any = field(default_factory=Lock, repr=False)

    is_away: ClassVar[bool] = True

    def whole(self) -> NDArray[Any]:
        if not self.kept:
            return self._read(0, self.count)
        with self._guard:  # threads that ask at a time read it once
            return self._values

    def part(self, first: int, stop: int) -> NDArray[Any]:
        return self.whole()[first:stop] if self.kept else self._read(first, stop)

    @cached_property
    def _values(self) -> NDArray[Any]:
        return self._read(0, self.count)

    def _read(self, first: int, stop: int) -> NDArray[Any]:
        size = np.dtype(self.kind).itemsize
        begin, end = self.start + first * size, self.start + stop * size
        content = at(self.place).read(self.place, begin, end)
        if content is None or len(content) != end - begin:
            raise gone(self.place, f"bytes {begin:,} to {end:,} of it were asked for")
        return np.frombuffer(content, self.kind)

    def __reduce__(self) -> tuple[Any, ...]:
        return Ranged, (self.place, self.start, self.count, self.kind, self.kept)


def gone(place: str, why: str) -> DataError:
    """The error for a part of an index that was there when the index was opened."""
    return DataError(
        f"{place}, a part of the index, is gone or cut short",
        why=why,
        mend="start again: the shards that it told of are read anew; of a corpus in a folder "
        "every machine needs the folder of the index too",
    )
