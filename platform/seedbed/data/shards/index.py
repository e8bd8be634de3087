"""What one pass over a source's shards finds: counts, contents, rows, and bad samples.

Kept as parts (`rows/`), a manifest that names them (`index.json`) and `bad_samples.parquet`, in
`_seedbed/` beside the shards or under SEEDBED_HOME. Parts are written while shards are read, so
that an index that is interrupted goes on where it was. A shard is read again only when its etag has
changed, and only by `seedbed index`: what opens a corpus to train on it refuses an old index.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seedbed.data.shards.formats import all_formats, suffixes
from seedbed.data.shards.kept.bad import write_bad
from seedbed.data.shards.kept.older import (
    UNUSED,
    forget,
    is_settled,
    older_reads,
    older_shards,
)
from seedbed.data.shards.kept.part import Part
from seedbed.data.shards.kept.stock import (
    BEGUN,
    INDEX_NAME,
    begin,
    extended,
    finish,
    known_of,
    lines_in,
    loose_parts,
    parts_in,
    values_in,
)
from seedbed.data.shards.manifest import MANIFEST_NAME, parse_manifest
from seedbed.data.shards.shard_index import IndexedShard, IndexJob, Read, read_shard_index
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import DataError
from seedbed.storage.address import Object, has_braces, has_glob, literal_prefix
from seedbed.storage.objects import exists, list_objects, read_object

FOLDER = "_seedbed"
MAX_NAMED = 3  # of the shards that differ from an index


@dataclass(frozen=True)
class Index:
    """The shards of a source by name, and where the index is kept ("" for nowhere)."""

    shards: tuple[IndexedShard, ...]
    kept: str = ""
    num_read: int = 0  # shards that had to be read

    @property
    def num_samples(self) -> int:
        return sum(shard.num_samples for shard in self.shards)


def shards_of(uri: str) -> dict[str, Object]:
    """The shards that `uri` names, by their name below its folder.

    A parquet file beside a tar of its name is img2dataset's table about that tar, and no shard.
    """
    folder = folder_of(uri)
    listed = list_objects(uri, suffixes())
    objects = {o.uri[len(folder) :]: o for o in listed if f"/{FOLDER}/" not in o.uri}
    beside = {
        name.removesuffix(one.suffix) + one.sidecar
        for one in all_formats()
        for name in objects
        if one.sidecar and name.endswith(one.suffix)
    }
    return {
        name: item
        for name, item in objects.items()
        if name.endswith(suffixes()) and name not in beside
    }


def folder_of(uri: str) -> str:
    """The folder below which every shard of `uri` lies, with its `/`."""
    literal = literal_prefix(uri.split("{", 1)[0] if has_braces(uri) else uri)
    if literal == uri and not uri.endswith(suffixes()):
        return uri.rstrip("/") + "/"
    return literal[: literal.rindex("/") + 1]


def index_source(
    uri: str,
    read_from: Sequence[str],
    write_to: Sequence[str],
    *,
    spread: Spread = in_threads,
    renew: bool = True,
) -> Index:
    """The index of `uri`, of which only new and changed shards are read.

    What is known is looked up in all of `read_from`; what was read is written to the first of
    `write_to` that can be written. Raises DataError for a source without shards, and for a shard
    that is damaged; where it is not to `renew` an index, for one that is older than the shards.
    """
    shards = shards_of(uri)
    if not shards:
        raise DataError(
            f"'{uri}' holds no .tar shards, and no .parquet of its own",
            mend="give a folder of webdataset tars (KEY.jpg|png|webp, KEY.txt, KEY.json)",
        )
    said = _said(uri)

    def wanted(shard: IndexedShard) -> bool:
        return _is_same(shard, shards.get(shard.name)) and not _contradicts(
            shard.digest, said.get(shard.name, "")
        )

    at_places = {place: parts_in(place) for place in read_from}
    parts = [part for found in at_places.values() for part in found]
    known = known_of(parts, wanted)
    counted = {sum(part.num_shards for part in found) for found in at_places.values()}
    if len(known.found) == len(shards) and len(shards) in counted:  # and nothing that has gone
        return Index(tuple(known.found[name] for name in sorted(shards)))
    if not renew:
        up_to_date(uri, at_places, shards)
    parts += [part for place in read_from for part in loose_parts(place, parts)]
    known = known_of(parts, wanted)
    same = dict(known.found)
    place = next((place for place in write_to if begin(place)), "")
    begun_ns = _clock_ns(place)
    num_read = 0

    def reads() -> Iterator[Read]:
        nonlocal num_read
        for older in read_from if len(same) < len(shards) else ():
            for read in older_reads(older, lambda one: one.name not in same and wanted(one)):
                same[read.shard.name] = read.shard
                yield read
        jobs = [IndexJob(n, shards[n], said.get(n, "")) for n in shards if n not in same]
        _tell_of_unused(read_from, len(jobs))
        for read in spread(read_shard_index, jobs):
            num_read += 1
            same[read.shard.name] = read.shard
            yield read if is_settled(read.shard.etag, begun_ns) else _unsettled(read)

    if place:
        made = extended(place, known, reads())
        write_bad(place, made)
        finish(place, known, made)
        forget(place)
    else:  # nobody could find it again
        for _ in reads():
            pass
    return Index(tuple(same[name] for name in sorted(shards)), place, num_read)


def up_to_date(
    uri: str, at_places: Mapping[str, Sequence[Part]], shards: Mapping[str, Object]
) -> list[str]:
    """The places of indexes that know the `shards` of `uri` as they are; none without an index.

    `at_places` are the parts of each. Shards that were too young to be sure of when they were
    indexed, and those of a part that cannot be read, are read again without a word. Raises
    DataError where every index is older than the shards, with what differs.
    """
    differing = {place: _differs(parts, shards) for place, parts in at_places.items() if parts}
    current = [place for place, words in differing.items() if not words]
    if current or not differing:
        return current
    raise DataError(
        f"the index of '{uri}' is older than its shards",
        why=f"{min(differing.values(), key=len)}; pairs would be others than were counted",
        mend=f"restore the shards, or index what is there now: seedbed index {uri}",
    )


def _differs(parts: Sequence[Part], shards: Mapping[str, Object]) -> str:
    """How an index and the shards differ, in words; "" where they do not."""
    known = {line.shard.name: line.shard for _, lines in lines_in(parts) for line in lines}
    changed = [
        f"{name} ({one.num_bytes:,} bytes then, {shards[name].num_bytes:,} now)"
        if one.num_bytes != shards[name].num_bytes
        else f"{name} ({one.num_bytes:,} bytes, written since)"
        for name, one in sorted(known.items())
        if one.digest and name in shards and not _is_same(one, shards[name])
    ]
    gone = sorted(known.keys() - shards.keys())
    whole = len(known) == sum(part.num_shards for part in parts)
    new = sorted(shards.keys() - known.keys()) if whole else []
    said = [
        f"{len(names):,} {verb}: {', '.join(names[:MAX_NAMED])}"
        + (", …" if len(names) > MAX_NAMED else "")
        for names, verb in ((changed, "changed"), (new, "new"), (gone, "gone"))
        if names
    ]
    if not said:
        return ""
    counted = f"{len(known):,} shards were indexed and there are {len(shards):,}"
    return "; ".join((counted, *said))


def read_shards(place: str) -> list[IndexedShard]:
    """The shards that the index in `place` knows; none where it cannot be believed."""
    lines = [line for _, found in lines_in(parts_in(place)) for line in found]
    known = [line.shard for line in lines] or older_shards(place)
    return [shard for shard in known if shard.digest]


def _tell_of_unused(places: Sequence[str], num_left: int) -> None:
    for place in places:
        if num_left and values_in(place).get("format") in UNUSED:
            print(
                f"index   {place}/{INDEX_NAME} is of an older version of seedbed and is not used: "
                f"{num_left:,} shards are read",
                file=sys.stderr,
            )


def _unsettled(read: Read) -> Read:
    """A shard that may have changed while it was read is read again next time."""
    return read._replace(shard=replace(read.shard, digest=""))


def _is_same(known: IndexedShard, now: Object | None) -> bool:
    """Whether all is known of a shard as it is now."""
    return (
        bool(known.digest)
        and now is not None
        and ((known.etag, known.num_bytes) == (now.etag, now.num_bytes))
    )


def _said(uri: str) -> dict[str, str]:
    """The digests of shards that a manifest beside them states, by name; none without one."""
    listed = folder_of(uri) + MANIFEST_NAME
    # A pattern's corpus is what it names, whatever a manifest says of the folder.
    if has_glob(uri) or has_braces(uri) or uri.endswith(suffixes()) or not exists(listed):
        return {}
    return {s.name: s.sha256 for s in parse_manifest(read_object(listed), listed).shards}


def _contradicts(known: str, said: str) -> bool:
    """Whether two digests of one kind differ; of two kinds nothing is known."""
    return known.rpartition(":")[0] == said.rpartition(":")[0] and known != said


def _clock_ns(place: str) -> int:
    """The time of the disk that holds the mark of an index under way, or else of this machine."""
    written = Path(place) / BEGUN
    return written.stat().st_mtime_ns if place and written.exists() else time.time_ns()
