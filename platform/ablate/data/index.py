"""What one pass over a source's shards finds: counts, contents, offsets, and bad samples.

Kept as `index.json` (a list of shards), `members/SHARD.parquet` (where each sample's members
lie) and `bad_samples.parquet`, in `_ablate/` beside the shards or under ABLATE_HOME. A shard is
read again only when its etag has changed.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ablate.data import parquet
from ablate.data.manifest import digest
from ablate.data.shard import (
    IMAGE_EXTENSIONS,
    MAX_CAPTION_BYTES,
    RawSample,
    SampleFault,
    Spans,
    spans_of,
)
from ablate.data.sources import has_braces, literal_prefix
from ablate.data.storage import Object, list_objects, read_object, write_object
from ablate.data.tar import cut_short
from ablate.errors import DataError
from ablate.tables import read_table

FORMAT, OLDER = "ablate-index/2", ("ablate-index/1",)
FOLDER, INDEX_NAME, BAD_NAME = "_ablate", "index.json", "bad_samples.parquet"
BAD_SCHEMA = pa.schema([("shard", pa.string()), ("key", pa.string()), ("reason", pa.string())])
THREADS = 8  # shards read at a time where nobody else spreads the work

Bad = tuple[str, str, str]  # shard, key, reason


@dataclass(frozen=True)
class IndexedShard:
    """A shard as it was read: its name in the source, and what it holds.

    `etag` changes with the content, and so does `digest`, which is the same wherever the shard
    lies; `captions` are the fields of its first sample that hold text.
    """

    name: str
    num_samples: int
    num_bytes: int
    etag: str
    digest: str
    num_bad: int
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """The shards of a source by name, and where the index is kept ("" for nowhere)."""

    shards: tuple[IndexedShard, ...]
    kept: str = ""
    num_read: int = 0  # shards that had to be read

    @property
    def num_samples(self) -> int:
        return sum(shard.num_samples for shard in self.shards)


@dataclass(frozen=True)
class Job:
    """One shard to be read; its members' offsets are written under `members`, if that is set."""

    name: str
    found: Object
    members: str


class Offsets:
    """Per member: the sample's row and key, the extension, first byte and the one past it."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.keys: list[str] = []
        self.extensions: list[str] = []
        self.starts: list[int] = []
        self.stops: list[int] = []

    def add(self, row: int, key: str, spans: Spans) -> None:
        for extension, (start, stop) in spans.items():
            self.rows.append(row)
            self.keys.append(key)
            self.extensions.append(extension)
            self.starts.append(start)
            self.stops.append(stop)

    def file(self) -> bytes:
        """As a parquet file."""
        table = pa.table(
            {
                "row": self.rows,
                "key": self.keys,
                "extension": self.extensions,
                "start": self.starts,
                "stop": self.stops,
            }
        )
        out = io.BytesIO()
        # Only extensions come back: for the rest a dictionary is time, and twice the size.
        pq.write_table(table, out, compression="zstd", use_dictionary=["extension"])
        return out.getvalue()


Read = tuple[IndexedShard, list[Bad]]
Spread = Callable[[Callable[[Job], Read], Sequence[Job]], Iterable[Read]]


def in_threads(work: Callable[[Job], Read], jobs: Sequence[Job]) -> Iterator[Read]:
    """`work` of each job, in their order: reading and hashing leave Python's lock."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(work, jobs)


def shards_of(uri: str) -> dict[str, Object]:
    """The shards that `uri` names, by their name below its folder.

    A parquet file beside a tar of its name is img2dataset's table about that tar, and no shard.
    """
    folder = folder_of(uri)
    found = {o.uri[len(folder) :]: o for o in list_objects(uri) if f"/{FOLDER}/" not in o.uri}
    tars = {name.removesuffix(".tar") for name in found if name.endswith(".tar")}
    return {
        name: item
        for name, item in found.items()
        if name.endswith(".tar")
        or (name.endswith(".parquet") and name.removesuffix(".parquet") not in tars)
    }


def folder_of(uri: str) -> str:
    """The folder below which every shard of `uri` lies, with its `/`."""
    literal = literal_prefix(uri.split("{", 1)[0] if has_braces(uri) else uri)
    if literal == uri and not uri.endswith((".tar", ".parquet")):
        return uri.rstrip("/") + "/"
    return literal[: literal.rindex("/") + 1]


def index_source(
    uri: str,
    read_from: Sequence[str],
    write_to: Sequence[str],
    *,
    spread: Spread = in_threads,
    members: bool = False,
) -> Index:
    """The index of `uri`, of which only new and changed shards are read.

    What is known is looked up in all of `read_from`; what was read is written to the first of
    `write_to` that can be written, with `members` the offsets too. Raises DataError for a source
    without shards, and for a shard that is damaged.
    """
    found = shards_of(uri)
    if not found:
        raise DataError(
            f"'{uri}' holds no .tar shards, and no .parquet of its own",
            mend="give a folder of webdataset tars (KEY.jpg|png|webp, KEY.txt, KEY.json)",
        )
    same: dict[str, IndexedShard] = {}
    kept: list[Bad] = []
    for place in read_from:
        taken = {
            shard.name: shard
            for shard in _read(place)
            if shard.name not in same and _is_same(shard, found.get(shard.name))
        }
        same |= taken
        if any(shard.num_bad for shard in taken.values()):
            kept += [fault for fault in read_bad(place) if fault[0] in taken]
    left = [name for name in found if name not in same]
    if not left:
        return Index(tuple(same[name] for name in sorted(found)))
    for place in read_from:
        if _values(place).get("format") in OLDER:
            print(
                f"index   {place}/{INDEX_NAME} is of an older version of ablate and is not used: "
                f"{len(left):,} shards are read",
                file=sys.stderr,
            )
    # Writing what is known tries the place, and shows the time by its disk's clock.
    place = next((place for place in write_to if _written(place, kept)), "")
    begun_ns = _clock_ns(place)
    inside = f"{place}/members" if place and members else ""
    for shard, faults in spread(read_shard_index, [Job(n, found[n], inside) for n in left]):
        same[shard.name] = shard
        kept += faults
    index = Index(tuple(same[name] for name in sorted(found)), place, len(left))
    if place:
        _written(place, sorted(kept))
        _write(index, begun_ns)
    return index


def read_shard_index(job: Job) -> Read:
    """Read one shard whole. Raises DataError where it is damaged, or holds nothing."""
    uri = job.found.uri
    content = read_object(uri)
    faults: list[Bad] = []
    captions: tuple[str, ...] = ()
    num_samples = 0
    if uri.endswith(".parquet"):
        num_samples = parquet.count(uri, content)
        captions = parquet.text_columns(uri, content)
    else:
        places = Offsets()
        for key, spans in spans_of(uri, content):
            if not num_samples:
                captions = _captions(key, spans, content)
            if reason := _fault(spans, content):
                faults.append((job.name, key, reason))
            places.add(num_samples, key, spans)
            num_samples += 1
        if job.members:
            write_object(f"{job.members}/{job.name}.parquet", places.file())
    if not num_samples:
        raise cut_short(uri, "it holds no samples")
    shard = IndexedShard(
        job.name, num_samples, len(content), job.found.etag, digest(content), len(faults), captions
    )
    return shard, faults


def _fault(spans: Spans, content: bytes) -> str:
    """What can be seen of a sample's faults without decoding its picture."""
    picture = next((spans[e] for e in IMAGE_EXTENSIONS if e in spans), None)
    if picture is None:
        return f"no picture (it has {', '.join(sorted(spans))})"
    if picture[0] == picture[1]:
        return "the picture has zero bytes"
    if "txt" not in spans:
        return "" if "json" in spans else "no caption: neither txt nor json"
    start, stop = spans["txt"]
    if stop - start > MAX_CAPTION_BYTES:
        return f"caption of {stop - start:,} bytes"
    try:
        text = content[start:stop].decode()
    except UnicodeDecodeError as error:
        return f"caption is not UTF-8 at byte {error.start}"
    return "" if text.strip() else "caption is empty"


def _captions(key: str, spans: Spans, content: bytes) -> tuple[str, ...]:
    start, stop = spans.get("json", (0, 0))
    try:
        values = RawSample(key, {"json": content[start:stop]} if stop else {}).fields()
    except SampleFault:  # a fault of this sample, and not of the shard
        values = {}
    fields = {name for name, value in values.items() if isinstance(value, str)}
    return tuple(sorted(fields | ({"txt"} & spans.keys())))


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


def _is_same(known: IndexedShard, found: Object | None) -> bool:
    return found is not None and (known.etag, known.num_bytes) == (found.etag, found.num_bytes)


def _values(place: str) -> dict[str, Any]:
    """What stands in the index in `place`; nothing where there is none."""
    try:
        values = json.loads(read_object(f"{place}/{INDEX_NAME}"))
    except (DataError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _read(place: str) -> list[IndexedShard]:
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


def _write(index: Index, begun_ns: int) -> None:
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
