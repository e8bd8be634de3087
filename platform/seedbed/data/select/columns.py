"""The columns that filters read: captions, sizes, digests, hashes; one pass over the shards.

Cached for each shard under SEEDBED_HOME by its etag, so that another filter needs no second pass;
perceptual hashes, which need the pictures decoded, are cached apart.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from seedbed.data.decode import decode, size_of
from seedbed.data.shards.samples import RawSample, read_shard
from seedbed.data.shards.source import OpenSource
from seedbed.data.shards.spread import Spread, in_threads
from seedbed.errors import SampleFault
from seedbed.storage import local
from seedbed.storage.objects import exists, read_object
from seedbed.storage.tables import read_table

HASH_SIDE = 8  # of a dHash: 8 x 8 comparisons of neighbouring pixels
NO_HASH = 0
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
class ColumnJob:
    """One shard to be read for `what`: its columns, or its pictures' hashes."""

    path: str
    etag: str
    num_bytes: int
    kept: str
    what: str


def read_columns(
    source: OpenSource,
    shards: Sequence[str],
    names: Iterable[str],
    caption: str,
    home: Path,
    *,
    spread: Spread = in_threads,
) -> list[dict[str, NDArray[Any]]]:
    """For each of `shards`, the columns `names` [n] of its rows; `caption` is the field to read.

    Columns that no filter here knows are taken from the samples' fields, as numbers where all of
    them are; what a sample lacks is "" or NaN.
    """
    mark = hashlib.sha256(source.uri.encode()).hexdigest()[:16]
    folder = home / "indexes" / mark / "columns"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(names)
    parts = _stored(source, shards, folder, "columns", spread)
    hashes = _stored(source, shards, folder, "phash", spread) if "phash" in wanted else None
    out = []
    for number, content in enumerate(parts):
        table = read_table(content)
        columns = _columns(table, wanted - {"phash"}, caption)
        if hashes is not None:
            columns["phash"] = np.frombuffer(hashes[number], np.uint64)
        out.append(columns)
    return out


def _stored(
    source: OpenSource, shards: Sequence[str], folder: Path, what: str, spread: Spread
) -> list[bytes]:
    jobs = []
    sizes = {shard.name: shard.num_bytes for shard in source.manifest.shards}
    for name in shards:
        mark = hashlib.sha256(f"{name}/{source.etags[name]}".encode()).hexdigest()[:24]
        kept = str(folder / f"{mark}.{what}")
        jobs.append(ColumnJob(source.places[name], source.etags[name], sizes[name], kept, what))
    left = [job for job in jobs if not Path(job.kept).exists()]
    for job, content in zip(left, spread(read_job, left), strict=True):
        local.write(job.kept, content)
    return [Path(job.kept).read_bytes() for job in jobs]


def read_job(job: ColumnJob) -> bytes:
    """The bytes to keep for one shard. Raises DataError where it cannot be read."""
    samples = read_shard(job.path, job.etag)
    if job.what == "phash":
        return np.array([difference_hash(sample) for sample in samples], np.uint64).tobytes()
    beside = _sidecar(job.path)
    rows = [_row(sample, beside.get(sample.key, {})) for sample in samples]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out, compression="zstd")
    return out.getvalue()


def _sidecar(path: str) -> dict[str, dict[str, Any]]:
    """img2dataset's table about a tar, by key: NAME.parquet beside NAME.tar."""
    place = f"{path.removesuffix('.tar')}.parquet"
    if not path.endswith(".tar") or not exists(place):
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
        name: np.asarray(table.column(name).to_pylist())
        for name in ("key", "uid", "width", "height", "sha256")
    }
    left = names - columns.keys()
    if not left:
        return columns
    fields = [json.loads(text) for text in table.column("fields").to_pylist()]
    for name in left:
        if name == "caption":
            plain = table.column("txt").to_pylist()
            columns[name] = np.array(
                [
                    text
                    if text is not None and (caption == "txt" or not values)
                    else _text(values.get(caption))
                    for text, values in zip(plain, fields, strict=True)
                ],
                dtype=np.str_,
            )
        elif name == "clip_score":
            known = next((s for s in SCORES if any(s in v for v in fields)), "")
            columns[name] = _values([v.get(known) for v in fields]).astype(np.float64)
        elif any(name in values for values in fields):
            columns[name] = _values([values.get(name) for values in fields])
    return columns


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _values(values: list[Any]) -> NDArray[Any]:
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return np.array([np.nan if v is None else float(v) for v in values])
    return np.array(["" if v is None else str(v) for v in values], dtype=np.str_)
