"""What is known of every row of a source: where it begins in its shard, and its picture's digest.

Found in the pass that indexes a source and kept beside its index, one line for each shard, so
that a shard that has changed is another one. By where rows begin, any of them are read without
the rest of their shard. By its digest, 64 bits of the encoded bytes, a picture is known again
under another name: two of 15 million pictures against 10,000 agree by chance once in a hundred
million studies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from seedbed.data.shards.formats import format_of
from seedbed.data.shards.sample import RawSample
from seedbed.errors import SampleFault

NO_PICTURE = 0
Digests = NDArray[np.uint64]
Starts = NDArray[np.uint32]


class RowIndex(NamedTuple):
    """Of one shard with n rows: digests [n] of their pictures, and `starts`.

    These are [n + 1] where any row can be read, in the unit of the shard's format; of a tar that
    is blocks of 512 bytes, so that 32 bits reach 2 TB. Where no less than a group of rows can be,
    they are the first row of each group, and n.
    """

    digests: Digests
    starts: Starts


def digest_of(sample: RawSample) -> int:
    """64 bits of a sample's picture; NO_PICTURE where it has none."""
    try:
        content = sample.image()
    except SampleFault:
        return NO_PICTURE
    return (xxhash.xxh3_64_intdigest(content) or 1) if content else NO_PICTURE


def row_index_of(
    path: str, content: bytes, samples: Iterable[RawSample], bounds: Sequence[int]
) -> RowIndex:
    """The index of a shard's rows, which begin at the first n of `bounds` and end at the last."""
    digests = np.array([digest_of(sample) for sample in samples], "<u8")
    starts = format_of(path).starts(path, content, bounds)
    return RowIndex(digests, np.array(starts, "<u4"))
