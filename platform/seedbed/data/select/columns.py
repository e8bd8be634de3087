"""The columns that filters read: captions, sizes, digests, hashes; one pass over the shards.

Cached for each shard under SEEDBED_HOME by its etag, so that another filter needs no second pass;
perceptual hashes, which need the pictures decoded, are cached apart.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from seedbed.data.decode import decode, size_of
from seedbed.data.shards.formats import format_of
from seedbed.data.shards.sample import RawSample
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.source import OpenSource
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import SampleFault
from seedbed.storage import local
from seedbed.storage.objects import at, exists, read_object
from seedbed.storage.tables import read_table

COLUMNS, HASHES = "columns", "phash"  # kinds of what is kept of a shard
HASH_SIDE, NO_HASH = 8, 0  # a dHash is 8 x 8 comparisons of neighbouring pixels
TABLE_COPIES = 10  # of what is kept: as a compressed table, a table, and columns
# What corpora call a pair's CLIP similarity (img2dataset, LAION, DataComp).
SCORES = ("clip_score", "similarity", "clip_l14_similarity_score", "clip_b32_similarity_score")
SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("uid", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("txt", pa.string()),
        ("fields", pa.string()),
    ]
)


@dataclass(frozen=True)
class ShardColumns:
    """The columns of one shard: kept on this disk, or read from the shard.

    `kept` says where by kind, COLUMNS and, where they are asked for, HASHES. What is kept goes
    along (`content`) where a task on another machine is told of the shard.
    """

    path: str
    etag: str
    shard_bytes: int
    kept: Mapping[str, str]
    content: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        return all(Path(place).exists() for place in self.kept.values())

    @property
    def num_bytes(self) -> int:
        """To be read."""
        kept = (Path(place).stat().st_size for place in self.kept.values())
        return sum(kept) if self.is_kept else self.shard_bytes

    @property
    def held_bytes(self) -> int:
        return self.num_bytes * (TABLE_COPIES if self.is_kept else format_of(self.path).copies)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "content": self._known()}

    def read(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """All that is asked for, and what of it was read from the shard: once, for both kinds.

        Raises DataError where it cannot be read.
        """
        known = self._known()
        new: dict[str, bytes] = {}
        if left := self.kept.keys() - known.keys():
            samples = read_shard(self.path, self.etag)
            if COLUMNS in left:
                new[COLUMNS] = _table_of(self.path, samples)
            if HASHES in left:
                found = [difference_hash(sample) for sample in samples]
                new[HASHES] = np.array(found, np.uint64).tobytes()
        return known | new, new

    def keep(self, new: Mapping[str, bytes]) -> None:
        for kind, content in new.items():
            local.write(self.kept[kind], content)

    def _known(self) -> dict[str, bytes]:
        places = {kind: Path(place) for kind, place in self.kept.items()}
        here = {kind: place.read_bytes() for kind, place in places.items() if place.exists()}
        return {**self.content, **here}


def tables_beside(places: Iterable[str]) -> dict[str, str]:
    """Which of the shards at `places` have a table beside them, with that table's etag.

    A folder is listed once.
    """
    wanted = {}
    for place in places:
        kind = format_of(place)
        if kind.sidecar:
            wanted[place.removesuffix(kind.suffix) + kind.sidecar] = place
    found: dict[str, str] = {}
    for folder in sorted({table[: table.rindex("/") + 1] for table in wanted}):
        entries, _ = at(folder).files(folder, deep=False)
        found |= {wanted[one.uri]: one.etag for one in entries if one.uri in wanted}
    return found


def shard_columns(
    source: OpenSource,
    shards: Iterable[str],
    home: Path,
    *,
    hashed: bool = False,
    beside: Mapping[str, str] = MappingProxyType({}),
) -> list[ShardColumns]:
    """Where the columns of `shards` are or will be kept, with hashes of pictures where `hashed`.

    `beside` are their tables, as `tables_beside` finds them: another table is another content.
    """
    mark = hashlib.sha256(source.uri.encode()).hexdigest()[:16]
    folder = home / "indexes" / mark / "columns"
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {shard.name: shard.num_bytes for shard in source.manifest.shards}
    found = []
    for name in shards:
        place = source.places[name]
        words = "/".join([name, source.etags[name], *filter(None, [beside.get(place)])])
        mark = hashlib.sha256(words.encode()).hexdigest()[:24]
        kinds = (COLUMNS, HASHES) if hashed else (COLUMNS,)
        kept = {kind: str(folder / f"{mark}.{kind}") for kind in kinds}
        found.append(ShardColumns(place, source.etags[name], sizes[name], kept))
    return found


def keep_columns(shards: Sequence[ShardColumns], *, spread: Spread = in_threads) -> None:
    """Read the columns that are not kept yet, and keep them."""
    left = [shard for shard in shards if not shard.is_kept]
    for shard, new in zip(left, spread(_new, left), strict=True):
        shard.keep(new)


def _new(shard: ShardColumns) -> dict[str, bytes]:
    return shard.read()[1]


def columns_of(
    content: Mapping[str, bytes], names: Iterable[str], caption: str
) -> dict[str, NDArray[Any]]:
    """The columns `names` [n] of a shard's rows; `caption` is the field to read.

    Columns that no filter here knows are taken from the samples' fields, as numbers where all of
    them are; what a sample lacks is "" or NaN.
    """
    wanted = set(names)
    columns = _columns(read_table(content[COLUMNS]), wanted - {"phash"}, caption)
    if "phash" in wanted:
        columns["phash"] = np.frombuffer(content[HASHES], np.uint64)
    return columns


def _table_of(path: str, samples: Sequence[RawSample]) -> bytes:
    beside = _sidecar(path)
    rows = [_row(sample, beside.get(sample.key, {})) for sample in samples]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out, compression="zstd")
    return out.getvalue()


def _sidecar(path: str) -> dict[str, dict[str, Any]]:
    """The table beside a shard by key, where its format has one: img2dataset's about a tar."""
    kind = format_of(path)
    place = path.removesuffix(kind.suffix) + kind.sidecar
    if not kind.sidecar or not exists(place):
        return {}
    rows = read_table(read_object(place)).to_pylist()
    return {str(row["key"]): row for row in rows if row.get("key") is not None}


def _row(sample: RawSample, beside: dict[str, Any]) -> dict[str, Any]:
    try:
        fields = beside | sample.fields()
    except SampleFault:
        fields = dict(beside)
    width, height, digest = 0, 0, ""
    try:
        content = sample.image()
        digest = hashlib.sha256(content).hexdigest()
        width, height = size_of(content)
    except Exception:  # a bad sample: training counts it, and leaves it out
        pass
    raw = sample.members.get("txt")
    return {
        "key": sample.key,
        "uid": str(fields.get("uid") or ""),
        "width": width,
        "height": height,
        "sha256": digest,
        "txt": raw.decode("utf-8", "replace") if raw is not None else None,
        "fields": json.dumps(fields, default=str),
    }


def difference_hash(sample: RawSample) -> int:
    """64 bits: whether each of 8 x 8 cells is brighter than its right neighbour (Krawetz 2013).

    Of the gray picture at 9 x 8 pixels; 0 for one that does not decode.
    """
    try:
        picture = decode(sample.image())
    except SampleFault:
        return NO_HASH
    gray = picture.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(gray, np.int16)
    bits = (pixels[:, :-1] > pixels[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _columns(table: pa.Table, names: set[str], caption: str) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        name: _text(table.column(name).to_pylist()) for name in ("key", "uid", "sha256")
    }
    columns |= {name: table.column(name).to_numpy() for name in ("width", "height")}
    left = names - columns.keys()
    if not left:
        return columns
    fields = [json.loads(text) for text in table.column("fields").to_pylist()]
    for name in left:
        if name == "caption":
            plain = table.column("txt").to_pylist()
            columns[name] = _text(
                [
                    text
                    if text is not None and (caption == "txt" or not values)
                    else _words(values.get(caption))
                    for text, values in zip(plain, fields, strict=True)
                ]
            )
        elif name == "clip_score":
            known = next((s for s in SCORES if any(s in v for v in fields)), "")
            columns[name] = _values([v.get(known) for v in fields]).astype(np.float64)
        elif any(name in values for values in fields):
            columns[name] = _values([values.get(name) for values in fields])
    return columns


def _text(values: list[str]) -> NDArray[Any]:
    """Each as long as it is: in an array of fixed width all take the room of the longest."""
    return np.array(values, dtype=np.dtypes.StringDType())


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _values(values: list[Any]) -> NDArray[Any]:
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return np.array([np.nan if v is None else float(v) for v in values])
    return _text(["" if v is None else str(v) for v in values])
