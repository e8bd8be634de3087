"""Results in a bucket. Oracle: the same calls on a folder, and an undisturbed store."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import UnavailableError
from seedbed.run.driver.outcome import files_of_records, record_files
from seedbed.storage.folder import Folder
from seedbed.storage.local import write
from seedbed.track.ledger import Remote

pytestmark = [pytest.mark.s3, pytest.mark.timeout(120)]

CALLS: dict[str, Callable[[Folder], Any]] = {
    "write": lambda store: store.write_bytes(b"new", "trials", "k", "model.pt"),
    "read": lambda store: store.read_json("trials", "k", "record.json"),
    "aged": lambda store: (
        (found := store.read_aged("trials", "k", "record.json")) and (found[0], found[1] < 60)
    ),
    "absent": lambda store: store.read_json("trials", "k", "failure.json"),
    "names": lambda store: store.names("trials"),
    "sizes": lambda store: store.sizes("trials"),
    "size": lambda store: store.num_bytes("trials", "k", "examples.parquet"),
    "move": lambda store: store.move(("trials", "k", "record.json"), ("aside", "k", "record.json")),
    "upload": lambda store: upload_tree(store),
    "copy": lambda store: read_copy(store, "trials", "k", "examples.parquet"),
    "remove": lambda store: store.remove("trials", "k", "record.json"),
    "mark": lambda store: len(store.mark()),
}
TREE = {"place.json": b"{}", "parts/weights.pt": bytes(9_000_000)}  # in several parts


def upload_tree(store: Folder) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in TREE.items():
            write(Path(scratch) / name, content)
        store.upload(Path(scratch), "cohorts", "run", "checkpoint_0")


def read_copy(store: Folder, *parts: str) -> bytes:
    with store.as_file(*parts) as file:
        return file.read_bytes()


def filled(uri: str) -> Folder:
    store = Folder(uri)
    store.write_json({"a": 1}, "trials", "k", "record.json")
    store.write_bytes(b"some rows", "trials", "k", "examples.parquet")
    return store


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_is_away_for_a_while_is_waited_for_by_every_call(
    flaky_s3: Any, tmp_path: Path, name: str
) -> None:
    store, folder = filled(f"s3://corpus/{uuid.uuid4().hex}"), filled(str(tmp_path))
    flaky_s3.away = True
    back = threading.Timer(1.0, lambda: setattr(flaky_s3, "away", False))
    back.start()
    began = time.monotonic()
    assert CALLS[name](store) == CALLS[name](folder)
    assert time.monotonic() - began > 0.9
    assert store.sizes() == folder.sizes()


def test_one_that_stays_away_is_named_when_the_patience_ends(
    flaky_s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(f"s3://corpus/{uuid.uuid4().hex}")
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "1")
    flaky_s3.away = True
    with pytest.raises(UnavailableError, match="gave no valid answer") as caught:
        store.write_bytes(b"x", "trials", "k", "record.json")
    assert f"writing {store.uri}/trials/k/record.json" in str(caught.value)


def test_the_files_of_a_record_are_listed_at_once_and_read_when_they_are_wanted(
    flaky_s3: Any,
) -> None:
    store = filled(f"s3://corpus/{uuid.uuid4().hex}")
    # One whose name begins as another's does, and one that has nothing beside it.
    store.write_bytes(b"more", "trials", "k2", "examples.parquet")
    before = len(flaky_s3.requests)
    store.sizes("trials")
    listed = len(flaky_s3.requests) - before
    found = dict(files_of_records(store, ["k", "k2", "k3"]))
    assert len(flaky_s3.requests) - before == 2 * listed
    assert {key: set(them) for key, them in found.items()} == {
        "k": {"examples.parquet"},
        "k2": {"examples.parquet"},
        "k3": set(),
    }
    files = found["k"]
    assert record_files(store, "k").keys() == files.keys()
    file = files["examples.parquet"]
    assert isinstance(file, Remote)
    assert file.num_bytes == 9
    assert file.read() == b"some rows"
