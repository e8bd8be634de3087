"""One stream of prepared pictures for several models: each is decoded once."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seedbed.errors import DataError, SampleFault
from seedbed.evaluate.encoder import Encoder
from seedbed.evaluate.test_set import Example, TestSet

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 256
THREADS = 4  # that decode: Pillow lets go of the interpreter while it does


@dataclass(frozen=True)
class Batch:
    """Some examples in their order, and their pictures as each encoder takes them."""

    examples: tuple[Example, ...]
    pictures: tuple[Tensor, ...]


def parts(
    test_set: TestSet,
    encoders: Sequence[Encoder],
    *,
    batch: int = BATCH,
    rank: int = 0,
    of: int = 1,
) -> Iterator[Batch]:
    """The examples numbered `rank` modulo `of`, in batches.

    The parts of all ranks are the test set, each example once. Raises DataError for shards without
    an example, and for a picture that does not decode: a result on fewer pictures would be another
    number.
    """
    kinds = list(dict.fromkeys(encoder.pixels for encoder in encoders))
    makers = {encoder.pixels: encoder for encoder in reversed(encoders)}

    def prepared(example: Example) -> list[Tensor]:
        decoded: dict[object, Image] = {}  # once for all that decode alike
        try:
            for kind in kinds:
                how = type(makers[kind]).decode
                if how not in decoded:
                    decoded[how] = makers[kind].decode(example.picture)
        except SampleFault as fault:
            raise test_set.broken(example, fault) from None
        return [makers[kind].prepare(decoded[type(makers[kind]).decode]) for kind in kinds]

    mine = itertools.islice(test_set.examples(), rank, None, of)

    def part(some: tuple[Example, ...], made: list[Future[list[Tensor]]]) -> Batch:
        columns = zip(*(one.result() for one in made), strict=True)
        stacked = [torch.stack(column) for column in columns]
        return Batch(some, tuple(stacked[kinds.index(one.pixels)] for one in encoders))

    with ThreadPoolExecutor(THREADS) as pool:
        # The next batch is decoded while the last one is scored.
        ahead: deque[tuple[tuple[Example, ...], list[Future[list[Tensor]]]]] = deque()
        try:
            while some := tuple(itertools.islice(mine, batch)):
                ahead.append((some, [pool.submit(prepared, example) for example in some]))
                if len(ahead) > 1:
                    yield part(*ahead.popleft())
            if not ahead and not rank:  # the first batch stays here until there is a second
                raise DataError(
                    f"{test_set.uri} has no picture in its {len(test_set.shards)} shards",
                    why=f"{test_set.shards[0]} and those after it hold no member with an example",
                    mend="copy them again: a copy that was cut off may be empty",
                )
            while ahead:
                yield part(*ahead.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
