"""The rows of shards that somebody else has listed: of a manifest, or of a test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedbed.data.shards.formats import format_of
from seedbed.data.shards.kept.older import forget, older_reads
from seedbed.data.shards.kept.stock import begin, extended, finish, known_of, loose_parts, parts_in
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.manifest import check_digest
from seedbed.data.shards.row_index import row_index_of
from seedbed.data.shards.samples import indexed_samples
from seedbed.data.shards.shard_index import IndexedShard, Read
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.storage.objects import read_object


@dataclass(frozen=True)
class Shard:
    """A shard as it was listed: its name in the source, where it lies, its etag and size.

    `said` is the digest of its content that a manifest states; "" where none does.
    """

    name: str
    place: str
    etag: str
    num_bytes: int
    said: str = ""

    @property
    def held_bytes(self) -> int:
        return format_of(self.name).copies * self.num_bytes


def read_rows(shard: Shard) -> Read:
    """Where the rows of one shard begin, which is read whole, and their digests; no more is kept.

    Raises DataError where it is damaged, and where it is another one than was listed or `said`.
    """
    content = read_object(shard.place, etag=shard.etag)
    check_digest(shard.place, shard.said, content)
    indexed = list(indexed_samples(shard.place, content))
    bounds = [*(one.start for one in indexed), indexed[-1].stop if indexed else 0]
    rows = row_index_of(shard.place, content, (one.sample for one in indexed), bounds)
    known = IndexedShard(shard.name, len(indexed), shard.num_bytes, shard.etag, "", 0, ())
    return Read(known, [], rows)


def row_indexes(
    shards: Sequence[Shard], places: Sequence[str], *, spread: Spread = in_threads
) -> RowTable:
    """The rows of all `shards`; those that nobody knows are read.

    What is known is looked up in all of `places`; what had to be read is kept in the last one, on
    this machine alone, or in memory if that cannot be written.
    """
    etags = {shard.name: shard.etag for shard in shards}
    *others, own = places
    far = [part for place in others for part in parts_in(place)]
    mine = parts_in(own)
    table = RowTable([*far, *mine], etags, own)
    if len(table) == len(etags):
        return table
    elsewhere = RowTable(far, etags)

    def wanted(shard: IndexedShard) -> bool:
        return etags.get(shard.name) == shard.etag and shard.name not in elsewhere

    known = known_of([*mine, *loose_parts(own, mine)], wanted)
    done = {*elsewhere.number, *known.found}

    def left() -> list[Shard]:
        return [shard for shard in shards if shard.name not in done]

    def reads() -> Iterator[Read]:
        for place in places if left() else ():
            for read in older_reads(place, lambda one: wanted(one) and one.name not in done):
                done.add(read.shard.name)
                yield read
        yield from spread(read_rows, left())

    kept = own if begin(own) else ""
    parts = extended(kept, known, reads())
    if kept:
        finish(kept, known, parts)
        forget(kept)
    return RowTable([*far, *parts], etags, own)
