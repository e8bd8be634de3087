"""The test set of a study, kept with its results: rendered once, and mapped by every worker.

One Arrow IPC file, `held_out/<mark>.arrow`, with one record batch: a row for each sound pair, and
the faults of the others in the schema's metadata. The pictures are pages of the file, of which a
worker touches those that it scores, and which all workers of a node share; of a bucket's file they
share a copy, which is fetched once, whatever the number of workers and of their cohorts. They are
rendered some at a time onto a disk, so that nobody ever holds them all in memory.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from seedbed.data.fault import Fault
from seedbed.data.render.render import Rendering, TestSet, test_set_parts
from seedbed.data.rows import Rows
from seedbed.storage.folder import Folder
from seedbed.storage.scratch import scratch_folder

# Raised when the same pictures would be rendered otherwise, or are kept otherwise.
FORMAT = b"seedbed-held-out/1"
FOLDER = "held_out"
Alone = Callable[[str], AbstractContextManager[object]]  # within it nobody else makes what it names


def kept_test_set(
    store: Folder,
    rows: Rows,
    rendering: Rendering,
    rank: int = 0,
    world: int = 1,
    alone: Alone = nullcontext,
) -> TestSet:
    """The test set `rows` as `test_set_parts` makes it, which is asked only where none is kept.

    Every `world`-th picture from `rank` on is compared with its digest, and all that is known of
    the pairs: a file that is damaged, or of another version, is made anew, with a line. Several
    may make it at a time, of equal bytes, where `alone` lets them. The pictures are read-only.
    """
    return kept(
        store,
        mark(rows, rendering),
        rendering.image_size,
        lambda: test_set_parts(rows, rendering),
        rank,
        world,
        alone,
    )


def kept(
    store: Folder,
    mark: str,
    image_size: int,
    make: Callable[[], Iterable[TestSet]],
    rank: int = 0,
    world: int = 1,
    alone: Alone = nullcontext,
) -> TestSet:
    """What is kept under `mark`, or else made by `make` in parts: see `kept_test_set`."""
    name = f"{mark}.arrow"
    shape, mine = (image_size, image_size, 3), slice(rank, None, world)

    def found() -> TestSet | None:
        path = store.on_node(FOLDER, name)
        if path is None:
            return None
        try:
            return _read(path, shape, mine)
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            place = store.place(FOLDER, name)
            print(f"test    {place} is made anew: {error}", file=sys.stderr)
            store.forget_on_node(FOLDER, name)
            return None

    if (there := found()) is not None:
        return there
    with alone(mark):
        # Somebody may have made it while this one waited.
        if alone is not nullcontext and (there := found()) is not None:
            return there
        return _made(store, name, make, shape, mine)


def _made(
    store: Folder,
    name: str,
    make: Callable[[], Iterable[TestSet]],
    shape: tuple[int, ...],
    mine: slice,
) -> TestSet:
    with scratch_folder() as folder:
        with scratch_folder() as aside:
            _write(_on_disk(make(), Path(aside) / "pictures", shape), Path(folder) / name)
        store.upload(Path(folder), FOLDER)
        path = store.on_node(FOLDER, name, made=Path(folder) / name)
        try:
            return _read(path or Path(folder) / name, shape, mine)
        except FileNotFoundError:  # another worker has just taken it away, to make it anew
            return _read(Path(folder) / name, shape, mine)


def mark(rows: Rows, rendering: Rendering) -> str:
    """What tells a rendered test set from others: its content, and all that makes its pixels.

    Etags too: a shard that was damaged and has been restored may have the fingerprint it had.
    """
    pixels = (rendering.image_size, rendering.test_crop, rendering.test_caption)
    words = repr((rows.fingerprint, rows.etags, *pixels))
    return hashlib.sha256(words.encode()).hexdigest()[:24]


def num_bytes(num_pairs: int, image_size: int) -> int:
    """About what is kept of so many pairs."""
    return num_pairs * 3 * image_size**2


def _on_disk(parts: Iterable[TestSet], path: Path, shape: tuple[int, ...]) -> TestSet:
    """The pairs of all `parts`, with the pictures mapped from a file at `path`."""
    none = np.empty((0, *shape), np.uint8)
    told = [TestSet(none, (), np.empty(0, np.int64), ())]
    with path.open("wb") as out:
        for part in parts:
            out.write(np.ascontiguousarray(part.images).data)
            told.append(TestSet(none, part.captions, part.ids, part.faults))
    every = TestSet.joined(told)
    if not every.captions:  # an empty file cannot be mapped
        return every
    images = np.memmap(path, np.uint8, "r", shape=(len(every.captions), *shape))
    return TestSet(images, every.captions, every.ids, every.faults)


def _write(made: TestSet, path: Path) -> None:
    images = np.ascontiguousarray(made.images)
    width = int(np.prod(images.shape[1:]))
    pictures = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(images), [None, pa.py_buffer(images)]
    )
    columns = {
        "id": pa.array(made.ids),
        "caption": pa.array(made.captions, pa.large_string()),
        "digest": pa.array(_digests(images)),
    }
    said = json.dumps([fault.line for fault in made.faults]).encode()
    metadata = {b"format": FORMAT, b"faults": said, b"sum": _sum(columns, said)}
    batch = pa.record_batch({**columns, "picture": pictures})
    batch = batch.replace_schema_metadata(metadata)
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch)


def _read(path: Path, shape: tuple[int, ...], mine: slice) -> TestSet:
    """Raises ValueError, KeyError, OSError or an error of Arrow's for what cannot be believed."""
    options = pa.ipc.IpcReadOptions(use_threads=False)
    with pa.ipc.open_file(pa.memory_map(str(path)), options=options) as opened:
        metadata = opened.schema.metadata or {}
        if metadata.get(b"format") != FORMAT:
            raise ValueError(f"it is of {metadata.get(b'format', b'an unknown version').decode()}")
        batch = opened.get_batch(0)
    batch.validate(full=True)
    columns = {name: batch.column(name) for name in ("id", "caption", "digest")}
    if metadata[b"sum"] != _sum(columns, metadata[b"faults"]):
        raise ValueError("what it says of the pairs is damaged")
    # An array of Arrow's own memory, which is the file's.
    flat = np.frombuffer(batch.column("picture").buffers()[1], np.uint8)
    images = flat[: len(batch) * int(np.prod(shape))].reshape(-1, *shape)
    if (_digests(images[mine]) != columns["digest"].to_numpy()[mine]).any():
        raise ValueError("pictures in it are damaged")
    return TestSet(
        images,
        tuple(columns["caption"].to_pylist()),
        columns["id"].to_numpy(),
        tuple(Fault.parse(line) for line in json.loads(metadata[b"faults"])),
    )


def _digests(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits of each picture [n]."""
    return np.fromiter((xxhash.xxh3_64_intdigest(one) for one in images), np.uint64, len(images))


def _sum(columns: dict[str, pa.Array], said: bytes) -> bytes:
    """A digest of all but the pictures."""
    told: Sequence[object] = [columns[name].to_pylist() for name in sorted(columns)]
    return xxhash.xxh3_64_hexdigest(repr(told).encode() + said).encode()
