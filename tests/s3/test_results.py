"""Results in a bucket. Oracle: the same calls on a folder, and the store in calm."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import UnavailableError
from seedbed.run.driver.outcome import record_files
from seedbed.storage.results import Store
from seedbed.track.ledger import Remote

pytestmark = [pytest.mark.s3, pytest.mark.timeout(120)]

CALLS: dict[str, Callable[[Store], Any]] = {
    "write": lambda store: store.write_bytes(b"new", "trials", "k", "model.pt"),
    "read": lambda store: store.read_json("trials", "k", "record.json"),
    "absent": lambda store: store.read_json("trials", "k", "failure.json"),
    "names": lambda store: store.names("trials"),
    "sizes": lambda store: store.sizes("trials"),
    "remove": lambda store: store.remove("trials", "k", "record.json"),
    "mark": lambda store: len(store.mark()),
}


def filled(uri: str) -> Store:
    store = Store(uri)
    store.write_json({"a": 1}, "trials", "k", "record.json")
    store.write_bytes(b"some rows", "trials", "k", "examples.parquet")
    return store


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_is_away_for_a_while_is_waited_for_by_every_call(
    weather: Any, tmp_path: Path, name: str
) -> None:
    store, folder = filled(f"s3://corpus/{uuid.uuid4().hex}"), filled(str(tmp_path))
    weather.away = True
    back = threading.Timer(1.0, lambda: setattr(weather, "away", False))
    back.start()
    began = time.monotonic()
    assert CALLS[name](store) == CALLS[name](folder)
    assert time.monotonic() - began > 0.9
    assert store.sizes("trials") == folder.sizes("trials")


def test_one_that_stays_away_is_named_when_the_patience_ends(
    weather: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(f"s3://corpus/{uuid.uuid4().hex}")
    monkeypatch.setenv("SEEDBED_PATIENCE_SECONDS", "1")
    weather.away = True
    with pytest.raises(UnavailableError, match="did not answer soundly") as caught:
        store.write_bytes(b"x", "trials", "k", "record.json")
    assert f"writing {store.uri}/trials/k/record.json" in str(caught.value)


def test_the_files_of_a_record_are_listed_at_once_and_read_when_they_are_wanted(
    weather: Any,
) -> None:
    store = filled(f"s3://corpus/{uuid.uuid4().hex}")
    before = len(weather.requests)
    sizes = store.sizes("trials")
    listed = len(weather.requests) - before
    files = record_files(store, "k", sizes)
    assert len(weather.requests) - before == listed
    assert record_files(store, "k").keys() == files.keys() == {"examples.parquet"}
    file = files["examples.parquet"]
    assert isinstance(file, Remote)
    assert file.num_bytes == 9
    assert file.read() == b"some rows"
