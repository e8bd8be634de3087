"""What one pass over a source's shards finds: counts, contents, rows, and bad samples.

Kept as `index.json` (a list of shards), `bad_samples.parquet` and `rows.parquet` (where each row
begins, and a digest of its picture), in `_seedbed/` beside the shards or under SEEDBED_HOME. A
shard is read again only when its etag has changed.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.shards.formats import all_formats, suffixes
from seedbed.data.shards.manifest import MANIFEST_NAME, parse_manifest
from seedbed.data.shards.row_index import Known, read_known, write_known
from seedbed.data.shards.shard_index import Bad, IndexedShard, IndexJob, read_shard_index
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import DataError
from seedbed.storage.address import Object, has_braces, has_glob, literal_prefix
from seedbed.storage.objects import exists, list_objects, read_object, write_object
from seedbed.storage.tables import read_table

FORMAT, OLDER = "seedbed-index/3", ("seedbed-index/1", "seedbed-index/2")
FOLDER, INDEX_NAME, BAD_NAME = "_seedbed", "index.json", "bad_samples.parquet"
BAD_SCHEMA = pa.schema([("shard", pa.string()), ("key", pa.string()), ("reason", pa.string())])


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
) -> Index:
    """The index of `uri`, of which only new and changed shards are read.

    What is known is looked up in all of `read_from`; what was read is written to the first of
    `write_to` that can be written. Raises DataError for a source without shards, and for a shard
    that is damaged.
    """
    shards = shards_of(uri)
    if not shards:
        raise DataError(
            f"'{uri}' holds no .tar shards, and no .parquet of its own",
            mend="give a folder of webdataset tars (KEY.jpg|png|webp, KEY.txt, KEY.json)",
        )
    said = _said(uri)
    same: dict[str, IndexedShard] = {}
    kept: list[Bad] = []
    for place in read_from:
        taken = {
            shard.name: shard
            for shard in read_shards(place)
            if shard.name not in same
            and _is_same(shard, shards.get(shard.name))
            and not _contradicts(shard.digest, said.get(shard.name, ""))
        }
        same |= taken
        if any(shard.num_bad for shard in taken.values()):
            kept += [fault for fault in read_bad(place) if fault[0] in taken]
    rows: Known = {}
    if len(same) < len(shards):  # what is known is written again with the rest
        for known in map(read_known, read_from):
            rows |= {k: known[k] for k in known if k[0] in same and same[k[0]].etag == k[1]}
        same = {name: shard for name, shard in same.items() if (name, shard.etag) in rows}
        kept = [fault for fault in kept if fault[0] in same]
    left = [name for name in shards if name not in same]
    if not left:
        return Index(tuple(same[name] for name in sorted(shards)))
    for place in read_from:
        if _values(place).get("format") in OLDER:
            print(
                f"index   {place}/{INDEX_NAME} is of an older version of seedbed and is not used: "
                f"{len(left):,} shards are read",
                file=sys.stderr,
            )
    # Writing what is known tries the place, and shows the time by its disk's clock.
    place = next((place for place in write_to if _written(place, kept)), "")
    begun_ns = _clock_ns(place)
    jobs = [IndexJob(name, shards[name], said.get(name, "")) for name in left]
    for read in spread(read_shard_index, jobs):
        same[read.shard.name] = read.shard
        kept += read.bad
        rows[read.shard.name, read.shard.etag] = read.rows
    index = Index(tuple(same[name] for name in sorted(shards)), place, len(left))
    if place:
        _written(place, sorted(kept))
        write_known(place, rows)
        write_index(index, begun_ns)
    return index


def bad_samples(bad: Iterable[Bad]) -> bytes:
    """The parquet file of bad samples: shard, key, reason."""
    rows = list(bad)
    columns = [[row[n] for row in rows] for n in range(3)]
    out = io.BytesIO()
    pq.write_table(pa.table(columns, schema=BAD_SCHEMA), out)
    return out.getvalue()


def read_bad(place: str) -> list[Bad]:
    """The bad samples that the index in `place` names."""
    try:
        table = read_table(read_object(f"{place}/{BAD_NAME}"))
        return [(row["shard"], row["key"], row["reason"]) for row in table.to_pylist()]
    except (DataError, pa.ArrowInvalid, KeyError):
        return []


def _is_same(known: IndexedShard, now: Object | None) -> bool:
    return now is not None and (known.etag, known.num_bytes) == (now.etag, now.num_bytes)


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


def _values(place: str) -> dict[str, Any]:
    """What stands in the index in `place`; nothing where there is none."""
    try:
        values = json.loads(read_object(f"{place}/{INDEX_NAME}"))
    except (DataError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def read_shards(place: str) -> list[IndexedShard]:
    """The shards that the index in `place` knows; none where it cannot be believed."""
    try:
        values = _values(place)
        if values["format"] != FORMAT:
            return []
        listed = values["shards"]
        shards = [
            IndexedShard(**dict(zip(listed, row, strict=True)))
            for row in zip(*listed.values(), strict=True)
        ]
        # A disk's clock is coarse: a change in the tick of the reading does not show in the time.
        # A bucket's etag is no time, and does not begin with one of 19 digits.
        return [
            replace(shard, captions=tuple(shard.captions))
            for shard in shards
            if not (time_ns := _time_ns(shard.etag)) or time_ns < int(values["begun_ns"])
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _time_ns(etag: str) -> int:
    first, dash, _ = etag.partition("-")
    return int(first) if dash and first.isdigit() and len(first) == 19 else 0


def write_index(index: Index, begun_ns: int) -> None:
    """Keep `index` in its folder, whole or not at all; it was begun at `begun_ns` unix time."""
    rows = [asdict(shard) for shard in index.shards]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    values = {"format": FORMAT, "begun_ns": begun_ns, "shards": columns}
    write_object(f"{index.kept}/{INDEX_NAME}", json.dumps(values).encode())


def _clock_ns(place: str) -> int:
    written = Path(place) / BAD_NAME
    return written.stat().st_mtime_ns if place and written.exists() else time.time_ns()


def _written(place: str, bad: Sequence[Bad]) -> bool:
    """Whether the bad samples could be written to `place`: rights are not told beforehand."""
    try:
        write_object(f"{place}/{BAD_NAME}", bad_samples(bad))
    except DataError:
        return False
    return True
