"""What a format of shards is: a file of this folder that says how its samples lie in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from seedbed.data.shards.sample import RawSample
from seedbed.errors import DataError


class Indexed(NamedTuple):
    """A sample, its first byte and the one past its last (0 in a format that is `grouped`)."""

    sample: RawSample
    start: int
    stop: int


class Range(NamedTuple):
    """Neighbouring rows of one shard: which of a `Reads`' shards, rows `first` to `last` - 1.

    They are the bytes `start` to `stop` - 1; in a format that is `grouped` they are group number
    `group`, of about as many bytes, and `wanted` are the numbers of the rows that are asked for: ()
    for all.
    """

    shard: int
    first: int
    last: int
    start: int
    stop: int
    group: int = -1
    wanted: tuple[int, ...] = ()

    @property
    def num_rows(self) -> int:
        return self.last - self.first

    @property
    def num_bytes(self) -> int:
        return self.stop - self.start


class Ranged(Protocol):
    """A shard of which any bytes can be read, and no more is."""

    def bytes_at(self, start: int, stop: int) -> bytes: ...

    def as_file(self) -> Any: ...


class ShardFormat(ABC):
    """A format of shards. Files are told by the end of their names.

    Where rows begin is kept in an index as 32 bits each: in a format that is not `grouped`, each
    row's first byte and the last one's end, in units of `unit` bytes; in one that is, no less than
    a group of rows can be read, and the first row of each group is kept, and the number of rows.
    A shard that is read whole takes `copies` times its bytes of memory.
    `sidecar` is the end of a file beside a shard, of its name, which holds a table about it and is
    no shard.
    """

    suffix: ClassVar[str]
    name: ClassVar[str]  # as messages name it
    grouped: ClassVar[bool] = False
    unit: ClassVar[int] = 1
    sidecar: ClassVar[str] = ""
    copies: ClassVar[int] = 2

    @abstractmethod
    def indexed(self, path: str, content: bytes) -> Iterator[Indexed]:
        """The samples of a whole shard, in their order; `path` is for messages.

        Raises DataError for a shard that is damaged or cut short.
        """

    @abstractmethod
    def starts(self, path: str, content: bytes, bounds: Sequence[int]) -> Sequence[int]:
        """What is kept of where rows begin; `bounds` are those of `indexed`, and the last end."""

    @abstractmethod
    def read(self, path: str, shard: Ranged, one: Range) -> list[RawSample]:
        """The samples of one range, of a group those that are wanted.

        Raises DataError for one that is damaged.
        """

    def cut_short(self, path: str, why: str) -> DataError:
        """The error for a shard that does not end as one ends."""
        return DataError(
            f"shard {path} is cut short or is not a {self.name}",
            why=why,
            mend="copy it again, or leave it out of the folder",
        )
