"""An index of many shards that do not exist, as it is kept and as it was kept before, and the rows
of a corpus opened from it."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seedbed.data.holdout import HOLDOUT_MAX
from seedbed.data.order import Order
from seedbed.data.reads import plan_reads
from seedbed.data.rounds import Span, rounds
from seedbed.data.rows import Rows
from seedbed.data.shards.index import read_shards
from seedbed.data.shards.kept.older import older_reads
from seedbed.data.shards.kept.stock import extended, finish, known_of, parts_in
from seedbed.data.shards.kept.table import RowTable
from seedbed.data.shards.row_index import RowIndex
from seedbed.data.shards.shard_index import IndexedShard, Read
from seedbed.data.shards.starts import SourceStarts, Starts

EACH, WORLD, BATCH = 4_000, 64, 32_768
LEG = 8  # rounds that are planned before the first batch
Found = dict[str, float]


def reads(num_shards: int) -> Iterator[Read]:
    rng = np.random.default_rng(0)
    starts = np.arange(EACH + 1, dtype=np.uint32) * 40
    for n in range(num_shards):
        shard = IndexedShard(
            f"{n:06}.tar",
            EACH,
            80_000_000 + n,
            hashlib.md5(b"%d" % n).hexdigest(),
            hashlib.sha256(b"%d" % n).hexdigest(),
            0,
            ("caption", "txt"),
        )
        yield Read(shard, [], RowIndex(rng.integers(1, 2**63, EACH, np.uint64), starts))


def write(folder: Path, num_shards: int) -> Found:
    """In parts, as shards are read."""
    before = held()
    began = time.perf_counter()
    known = known_of([], lambda shard: True)
    finish(str(folder), known, extended(str(folder), known, reads(num_shards)))
    found = {"write the index, s": time.perf_counter() - began, **_sizes(folder)}
    return found | _grown("indexing driver", before)


def write_before(folder: Path, num_shards: int) -> Found:
    """In two files, at the end of all; written in pieces here, since its readers are measured."""
    schema = pa.schema(
        [
            ("shard", pa.string()),
            ("etag", pa.string()),
            ("digests", pa.large_binary()),
            ("starts", pa.large_binary()),
        ]
    )
    began = time.perf_counter()
    known = []
    with pq.ParquetWriter(folder / "rows.parquet", schema, compression="none") as writer:
        for one, _, rows in reads(num_shards):
            known.append(asdict(one))
            line = [one.name, one.etag, rows.digests.tobytes(), rows.starts.tobytes()]
            writer.write_table(pa.table([[value] for value in line], schema=schema))
    columns = {name: [row[name] for row in known] for name in known[0]}
    values = {"format": "seedbed-index/3", "begun_ns": 2**62, "shards": columns}
    (folder / "index.json").write_text(json.dumps(values))
    return {"write the index, s": time.perf_counter() - began, **_sizes(folder)}


def take_up(folder: Path) -> Found:
    """The index as it was before becomes one in parts."""
    before = held()
    began = time.perf_counter()
    place, known = str(folder), known_of([], lambda shard: True)
    finish(place, known, extended(place, known, older_reads(place, lambda shard: True)))
    found = {"indexing driver: take it up, s": time.perf_counter() - began}
    return found | _grown("indexing driver", before)


def plan(folder: Path) -> Found:
    """What a driver does that opens a corpus, and what it holds."""

    def opened() -> tuple[list[IndexedShard], SourceStarts, Callable[[], int]]:
        shards = read_shards(str(folder))
        table = RowTable(parts_in(str(folder)), {s.name: s.etag for s in shards})
        return (
            shards,
            SourceStarts.of_table(table),
            lambda: sum(len(digests) for _, digests in table.all_digests(table.number)),
        )

    return _planned(folder, opened)


def plan_before(folder: Path) -> Found:
    """The same, with all rows in lists of Python's."""

    def opened() -> tuple[list[IndexedShard], SourceStarts, Callable[[], int]]:
        shards = read_shards(str(folder))
        content = (folder / "rows.parquet").read_bytes()
        table = pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)
        names, etags, digests, starts = (column.to_pylist() for column in table.columns)
        known = {
            (name, etag): RowIndex(np.frombuffer(one, "<u8"), np.frombuffer(other, "<u4"))
            for name, etag, one, other in zip(names, etags, digests, starts, strict=True)
        }
        source = SourceStarts.of({s.name: known[s.name, s.etag].starts for s in shards})
        return shards, source, lambda: sum(len(rows.digests) for rows in known.values())

    return _planned(folder, opened)


def work(folder: Path) -> Found:
    """What a rank does that is sent the rows, until it can ask for its first batch."""
    before = held()
    began = time.perf_counter()
    rows: Rows = pickle.loads((folder / "rows.pickle").read_bytes())
    order = Order(rows.blocks, fingerprint="f", seed=0, lanes=WORLD, window_rows=1_024)
    found: Found = {}
    planned = rounds(order, Span(0, 2**40 // BATCH * BATCH, BATCH, 17, WORLD))
    leg = [plan_reads(rows, next(planned).picks) for _ in range(LEG)]
    found["worker: know the first batch's bytes, s"] = time.perf_counter() - began
    found["a round, MB"] = leg[0].num_bytes / 1e6
    found["a round as it is sent, MB"] = len(pickle.dumps(leg[0])) / 1e6
    start = int(1.9 * order.num_samples) // BATCH * BATCH
    began = time.perf_counter()
    span = Span(start, 2**40 // BATCH * BATCH, BATCH, 17, WORLD)
    plan_reads(rows, next(rounds(order, span)).picks)
    found["worker: its place at 90 % of the next epoch, s"] = time.perf_counter() - began
    return found | _grown("worker", before)


def _planned(
    folder: Path, opened: Callable[[], tuple[list[IndexedShard], SourceStarts, Callable[[], int]]]
) -> Found:
    found: Found = {}
    before = held()
    began = time.perf_counter()
    shards, source, seen = opened()
    found["driver: open the index, s"] = time.perf_counter() - began
    found |= {f"{name} once open": n for name, n in _grown("driver", before).items()}
    num_rows = sum(one.num_samples for one in shards)
    began = time.perf_counter()
    rows = Rows(
        tuple(f"s3://bucket/prefix/{one.name}" for one in shards),
        tuple(one.num_samples for one in shards),
        "fingerprint",
        Starts.of([(source, one.name) for one in shards]),
        holdout=False,
        limits=(int(HOLDOUT_MAX / num_rows * 2.0**64),) * len(shards),
        etags=tuple(one.etag for one in shards),
    )
    blocks = rows.blocks
    found["driver: count the rows to train on, s"] = time.perf_counter() - began
    began = time.perf_counter()
    order = Order(blocks, fingerprint="f", seed=0, lanes=WORLD, window_rows=1_024)
    next(rounds(order, Span(0, 2**40 // BATCH * BATCH, BATCH, 17, WORLD)))
    found["driver: plan an epoch, s"] = time.perf_counter() - began
    began = time.perf_counter()
    assert seen() == num_rows
    found["driver: pass over all digests, s"] = time.perf_counter() - began
    sent = pickle.dumps(rows, protocol=5)
    (folder / "rows.pickle").write_bytes(sent)
    found["rows as they are sent, MB"] = len(sent) / 1e6
    return found | _grown("driver", before)


def held() -> Found:
    """Megabytes of this process: its own now, and the most it had with what it has mapped."""
    said = Path("/proc/self/status").read_text()

    def value(name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", said)
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    return {"own memory, MB": value("RssAnon"), "most memory, MB": value("VmHWM")}


def _grown(whose: str, before: Found) -> Found:
    return {f"{whose}: {name}": now - before[name] for name, now in held().items()}


def _sizes(folder: Path) -> Found:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "index, MB": sum(path.stat().st_size for path in files) / 1e6,
        "manifest, MB": (folder / "index.json").stat().st_size / 1e6,
    }
