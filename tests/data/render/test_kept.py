"""The kept test set. Oracles: the same rendered anew, shards that are gone, requests counted."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.conftest import shape_shards, write_tar
from tests.fixtures.s3 import PassingFaults

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.render.image import ONECROP, CenterCrop
from seedbed.data.render.kept import FOLDER, kept, kept_test_set, num_bytes
from seedbed.data.render.render import Rendering, TestSet, render_test_set
from seedbed.data.rows import Rows
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import DataError
from seedbed.storage.copies import let_go_of_copies
from seedbed.storage.folder import Folder
from seedbed.storage.objects import write_object

pytestmark = pytest.mark.slow

RENDERING = Rendering({IMAGE: CenterCrop()}, (TEXT,), 16, 12, "txt", seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shapes of which one, held out or not, is no picture in each shard."""
    folder = shape_shards(tmp_path / "pairs", 256)
    for number in range(4):
        noise = [(f"x{n}", {"png": b"none", "txt": b"no picture"}) for n in range(40)]
        write_tar(folder / f"bad{number}.tar", noise[: 10 * number + 1])
    return folder


def rows_of(folder: Path | str, home: Path) -> Rows:
    return open_corpus(Corpus(uri=str(folder), caption="txt"), home).test


def same(a: TestSet, b: TestSet) -> bool:
    assert a.images.dtype == b.images.dtype == np.uint8 and a.ids.dtype == b.ids.dtype == np.int64
    assert (a.captions, a.faults) == (b.captions, b.faults)
    return np.array_equal(a.images, b.images) and np.array_equal(a.ids, b.ids)


def only_file(store: Folder) -> Path:
    (name,) = store.names(FOLDER)
    return Path(store.path(FOLDER, name))


def test_what_is_kept_is_what_was_rendered_and_needs_no_shard(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    rows, store = rows_of(folder, home), Folder(str(tmp_path / "results"))
    anew = render_test_set(rows, RENDERING)
    assert len(anew.ids) > 20 and anew.faults
    assert same(kept_test_set(store, rows, RENDERING), anew)
    shutil.rmtree(folder)
    again = kept_test_set(store, rows, RENDERING)
    assert same(again, anew)
    assert not again.images.flags.writeable
    assert same(again.part(1, 3), anew.part(1, 3))
    size = only_file(store).stat().st_size
    assert 0 < size - num_bytes(len(anew.ids), 16) < 200 * len(anew.ids) + 4_096


def test_pictures_are_never_in_memory_together(tmp_path: Path) -> None:
    store, size, part = Folder(str(tmp_path)), 64, 100
    one = part * size * size * 3

    def parts() -> Iterator[TestSet]:
        for first in range(0, 40 * part, part):
            ids = np.arange(first, first + part)
            images = np.full((part, size, size, 3), first // part, np.uint8)
            yield TestSet(images, ("a",) * part, ids, ())

    tracemalloc.start()
    found = kept(store, "m", size, parts)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1 * one < most < 4 * one, "of forty parts"
    assert [int(found.images[n * part].mean()) for n in range(40)] == list(range(40))
    assert found.ids.tolist() == list(range(40 * part))


def test_parts_are_every_pair_once(folder: Path, home: Path) -> None:
    whole = render_test_set(rows_of(folder, home), RENDERING)
    parts = [whole.part(rank, 3) for rank in range(3)]
    assert max(len(p.ids) for p in parts) - min(len(p.ids) for p in parts) <= 1
    for n in range(len(whole.ids)):
        part = parts[n % 3]
        assert part.ids[n // 3] == whole.ids[n] and part.captions[n // 3] == whole.captions[n]
        assert (part.images[n // 3] == whole.images[n]).all()


def test_what_makes_other_pixels_or_names_is_kept_apart(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    rows, store = rows_of(folder, home), Folder(str(tmp_path / "results"))
    alike = replace(RENDERING, seed=1, context=7, caption="other", test_caption="txt")
    kept_test_set(store, rows, RENDERING)
    kept_test_set(store, rows, alike)
    only_file(store)
    restored = replace(rows, etags=tuple(f"{etag}-restored" for etag in rows.etags))
    for other in (replace(RENDERING, image_size=8), replace(RENDERING, test_crop=ONECROP)):
        assert same(kept_test_set(store, rows, other), render_test_set(rows, other))
    assert len(store.names(FOLDER)) == 3
    with pytest.raises(DataError, match="has changed"):  # it is read anew
        kept_test_set(store, restored, RENDERING)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def of_another_version(content: bytes) -> bytes:
    with pa.ipc.open_file(content) as opened:
        batch = opened.get_batch(0)
    metadata = {**batch.schema.metadata, b"format": b"seedbed-held-out/0"}
    out = pa.BufferOutputStream()
    batch = batch.replace_schema_metadata(metadata)
    with pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda c: flipped(c, c.index(b"a red")), "what it says of the pairs is damaged"),
        (lambda c: flipped(c, len(c) * 3 // 4), "pictures in it are damaged"),
        (lambda c: c[: len(c) // 2], "rrow"),
        (lambda c: b"", "too small"),
        (lambda c: flipped(c, len(c) - 3), "rrow"),
        (lambda c: flipped(c, len(c) - 8), ""),
        (of_another_version, "seedbed-held-out/0"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_version_is_made_anew(
    folder: Path,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: object,
    words: str,
) -> None:
    rows, store = rows_of(folder, home), Folder(str(tmp_path / "results"))
    made = render_test_set(rows, RENDERING)
    kept_test_set(store, rows, RENDERING)
    path = only_file(store)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))  # type: ignore[operator]
    assert same(kept_test_set(store, rows, RENDERING), made)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "is made anew" in said and str(path) in said and words in said
    assert path.read_bytes() == sound
    kept_test_set(store, rows, RENDERING)
    assert capsys.readouterr().err == ""


def test_every_flipped_bit_is_seen_or_changes_nothing(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    rows, store = rows_of(folder, home), Folder(str(tmp_path / "results"))
    made = render_test_set(rows, RENDERING)
    kept_test_set(store, rows, RENDERING)
    path = only_file(store)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    inside = rng.integers(0, len(sound), 40)  # mostly pictures
    edges = [*rng.integers(0, 2_500, 40), *rng.integers(len(sound) - 1_500, len(sound), 40)]
    for place in [*inside, *edges]:
        path.write_bytes(flipped(sound, int(place)))
        assert same(kept_test_set(store, rows, RENDERING), made), place


WRITER = """
import sys, pickle, pathlib
from seedbed.data.render.kept import kept_test_set
from seedbed.storage.folder import Folder
rows, rendering = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
store = Folder(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    for name in store.names("held_out"):
        if name.endswith(".arrow"):
            store.remove("held_out", name)
    kept = kept_test_set(store, rows, rendering)
    print(kept.images.sum(), len(kept.captions), flush=True)
"""


def test_writers_at_the_same_time_do_not_harm_each_other(
    folder: Path, home: Path, tmp_path: Path
) -> None:
    rows, store = rows_of(folder, home), Folder(str(tmp_path / "results"))
    anew = render_test_set(rows, RENDERING)
    (tmp_path / "asked").write_bytes(pickle.dumps((rows, RENDERING)))
    command = [sys.executable, "-c", WRITER, str(tmp_path / "asked"), store.uri]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    expected = f"{anew.images.sum()} {len(anew.captions)}\n" * 5
    assert [writer.communicate()[0] for writer in writers] == [expected] * 3
    assert same(kept_test_set(store, rows, RENDERING), anew)
    left = [path.name for path in Path(store.path(FOLDER)).iterdir()]
    assert left == [only_file(store).name], "no half-written file stays"


@pytest.mark.s3
def test_in_a_bucket_the_second_asks_for_the_kept_file_and_for_no_shard(
    flaky_s3: PassingFaults, folder: Path, home: Path
) -> None:
    prefix = f"s3://corpus/{home.parent.name}"
    for path in folder.glob("*.tar"):
        write_object(f"{prefix}/pairs/{path.name}", path.read_bytes())
    rows, store = rows_of(f"{prefix}/pairs", home), Folder(f"{prefix}/results")
    first = kept_test_set(store, rows, RENDERING)
    assert any(".tar" in request for request in flaky_s3.requests)
    flaky_s3.requests.clear()
    let_go_of_copies()  # as on another node
    second = kept_test_set(store, rows, RENDERING)
    assert same(first, second) and len(second.ids)
    asked = [request for request in flaky_s3.requests if not request.startswith("HEAD")]
    assert asked and all("/results/held_out/" in request for request in asked), asked
    assert not any(".tar" in request for request in flaky_s3.requests)
    assert same(render_test_set(rows, RENDERING), second)


SECOND = """
import sys, pickle, pathlib
from seedbed.data.render.kept import kept_test_set
from seedbed.storage.folder import Folder
rows, rendering = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
kept = kept_test_set(Folder(sys.argv[2]), rows, rendering, rank=1, world=2)
print(int(kept.images.sum()), len(kept.captions), flush=True)
"""


@pytest.mark.s3
def test_in_a_bucket_the_next_cohort_and_another_worker_of_the_node_download_nothing(
    flaky_s3: PassingFaults, folder: Path, home: Path, tmp_path: Path
) -> None:
    prefix = f"s3://corpus/{home.parent.name}-shared"
    rows, store = rows_of(folder, home), Folder(f"{prefix}/results")
    (tmp_path / "asked").write_bytes(pickle.dumps((rows, RENDERING)))
    command = [sys.executable, "-c", SECOND, str(tmp_path / "asked"), store.uri]

    def second_worker() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def requests_of(act: Callable[[], object]) -> list[str]:
        flaky_s3.requests.clear()
        act()
        return [request.partition(" ")[0] for request in flaky_s3.requests]

    first = kept_test_set(store, rows, RENDERING)
    shutil.rmtree(folder)
    said = f"{first.images.sum()} {len(first.captions)}\n"
    assert requests_of(lambda: same(kept_test_set(store, rows, RENDERING), first)) == ["HEAD"]
    told: list[str] = []
    assert requests_of(lambda: told.append(second_worker())) == ["HEAD"]
    assert told == [said]
    # A node of its own, as far as its files go, has to fetch it, once.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.MonkeyPatch.context() as other:
        other.setenv("TMPDIR", str(elsewhere))
        assert "GET" in requests_of(second_worker)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.s3
def test_a_damaged_copy_of_a_buckets_file_is_dropped_and_the_next_is_sound(
    flaky_s3: PassingFaults, folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, store = rows_of(folder, home), Folder(f"s3://corpus/{home.parent.name}-damaged/results")
    first = render_test_set(rows, RENDERING)
    kept_test_set(store, rows, RENDERING)
    (name,) = store.names(FOLDER)
    copy = store.on_node(FOLDER, name)
    assert copy is not None
    copy.write_bytes(flipped(copy.read_bytes(), copy.stat().st_size * 3 // 4))
    assert same(kept_test_set(store, rows, RENDERING), first)
    assert capsys.readouterr().err.count("is made anew") == 1
    assert same(kept_test_set(store, rows, RENDERING), first)
    assert capsys.readouterr().err == ""
