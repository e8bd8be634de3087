"""How work on many shards is spread: in threads here, or by whoever has a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")
THREADS = 8  # shards at a time: reading and hashing leave Python's lock


class ShardJob(Protocol):
    """A shard to be read, whatever for."""

    @property
    def num_bytes(self) -> int:
        """To be read."""
        ...

    @property
    def held_bytes(self) -> int:
        """In memory while it is read, at most, beside what every process needs."""
        ...


Spread = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


def in_threads(work: Callable[[Any], Result], jobs: Sequence[Any]) -> Iterator[Result]:
    """`work` of each job, in their order."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(work, jobs)
