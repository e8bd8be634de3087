"""Storage on a real server. Oracle: the same files in a local folder, and counted requests."""

from __future__ import annotations

import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from seedbed.errors import DataError, UnavailableError
from seedbed.storage.folder import Folder
from seedbed.storage.objects import exists, list_objects, read_object, write_object
from seedbed.storage.retry import retry_seconds

pytestmark = pytest.mark.s3
NAMES = [f"{n:05}.tar" for n in range(12)] + ["extra.parquet", "notes.txt", "deep/00000.tar"]
CONTENT = bytes(range(256)) * 2_000
SHARDS = (".tar", ".parquet")


@pytest.fixture(scope="module")
def twins(s3_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The same files in a folder and in the bucket."""
    folder = str(tmp_path_factory.mktemp("twin"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.items():
            patch.setenv(name, value)
        for number, name in enumerate(NAMES):
            for place in (folder, "s3://corpus/twin"):
                write_object(f"{place}/{name}", CONTENT[: 1000 + number])
        write_object("s3://corpus/twin/big.bin", CONTENT)
    return folder, "s3://corpus/twin"


BIG = "s3://corpus/twin/big.bin"


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "/", "/*.tar", "/0000?.tar", "/0000[1-3].tar", "/0000[!1-3].tar", "/*/*.tar"),
        *("/{00000..00011}.tar", "/{00001,extra}.*", "/00003.tar", "/{00003..00003}.tar"),
    ],
)
def test_a_bucket_lists_as_a_folder_does(s3: Any, twins: tuple[str, str], pattern: str) -> None:
    local, remote = (
        [(o.uri.removeprefix(place), o.num_bytes) for o in list_objects(place + pattern, SHARDS)]
        for place in twins
    )
    assert local
    assert remote == local
    assert local == sorted(local)


def test_reads_equal_the_bytes(s3: Any, twins: tuple[str, str]) -> None:
    assert read_object(BIG) == CONTENT
    for start, stop in ((0, 1), (5, 999), (100_000, None), (511_999, 9**9), (7, 7), (9**9, None)):
        assert read_object(BIG, start=start, stop=stop) == CONTENT[start:stop]


def test_an_etag_changes_with_the_content(s3: Any) -> None:
    uri = "s3://corpus/etag/one.tar"
    tags = []
    for content in (b"one", b"two", b"one"):
        write_object(uri, content)
        tags += [found.etag for found in list_objects(uri)]
    assert tags[0] == tags[2] != tags[1]
    assert exists(uri)
    assert not exists(uri + "x")


def disturb(flaky_s3: Any, kind: str, times: int) -> None:
    if kind.isdigit():
        flaky_s3.statuses = [int(kind)] * times
    elif kind == "delay":
        flaky_s3.delays, flaky_s3.delay_seconds = times, 1.5
    else:
        setattr(flaky_s3, kind, times)


@pytest.mark.parametrize("kind", ["500", "503", "429", "cuts", "resets", "delay"])
@pytest.mark.parametrize("deed", ["read", "list"])
def test_passing_faults_are_waited_out(
    flaky_s3: Any, twins: Any, kind: str, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDBED_READ_TIMEOUT_SECONDS", "0.5")
    disturb(flaky_s3, kind, 2)
    if deed == "read":
        assert read_object(BIG) == CONTENT
    else:
        assert len(list_objects(twins[1], SHARDS)) == 13
    assert len(flaky_s3.requests) >= 3


@pytest.mark.parametrize("kind", ["500", "503", "cuts", "resets", "delay"])
def test_lasting_faults_are_said_in_words_when_the_patience_ends(
    flaky_s3: Any, twins: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDBED_READ_TIMEOUT_SECONDS", "0.3")
    assert read_object(BIG)  # the server has answered, and this environment's client is made
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "2")
    disturb(flaky_s3, kind, 9_999)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"\d attempts in [2-6]\.\d s") as caught:
        read_object(BIG)
    assert 2 <= time.monotonic() - began < 7
    assert BIG in str(caught.value)
    assert "SEEDBED_RETRY_SECONDS" in caught.value.mend


def test_a_store_that_never_answered_is_waited_for_less_than_one_that_has(
    flaky_s3: Any, twins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.storage.retry.FIRST_SECONDS", 0.2)
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "5")
    flaky_s3.away = True
    for least, most in ((0.2, 5.0), (5.0, math.inf)):
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            list_objects(BIG)
        assert least <= time.monotonic() - began < most
        flaky_s3.away = False
        assert list_objects(BIG)
        flaky_s3.away = True


@pytest.mark.parametrize("text", ["-1", "soon", "inf"])
def test_a_patience_that_is_no_number_is_refused(
    flaky_s3: Any, twins: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", text)
    with pytest.raises(DataError, match=f"SEEDBED_RETRY_SECONDS is '{text}'"):
        retry_seconds()


def test_what_waiting_does_not_mend_is_asked_once(flaky_s3: Any, twins: Any) -> None:
    with pytest.raises(DataError, match=r"absent\.tar is gone") as caught:
        read_object("s3://corpus/twin/absent.tar")
    assert not isinstance(caught.value, UnavailableError)
    assert len(flaky_s3.requests) == 1
    for status in (400, 403, 404):
        flaky_s3.requests.clear()
        flaky_s3.statuses = [status]
        with pytest.raises(DataError) as caught:
            read_object(BIG)
        assert not isinstance(caught.value, UnavailableError)
        assert len(flaky_s3.requests) == 1


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("deed", [read_object, list_objects])
def test_wrong_credentials_are_named_and_not_shown(
    flaky_s3: Any, twins: Any, monkeypatch: pytest.MonkeyPatch, name: str, deed: Any
) -> None:
    monkeypatch.setenv(name, "wrongwrongwrong")
    with pytest.raises(DataError, match="refuses the credentials") as caught:
        deed(BIG)
    assert len(flaky_s3.requests) == 1
    for secret in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert os.environ[secret] not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3: Any) -> None:
    with pytest.raises(DataError, match="there is no bucket 'nowhere'"):
        list_objects("s3://nowhere/a/*.tar")


@pytest.mark.parametrize("deed", [read_object, list_objects])
def test_an_endpoint_without_a_server_is_named(
    s3: Any, monkeypatch: pytest.MonkeyPatch, deed: Any
) -> None:
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "0.3")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(UnavailableError, match="nothing can be reached") as caught:
            deed(BIG)
    assert url in str(caught.value)


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_missing_is_named_with_the_nearest(s3: Any, twins: Any, place: int) -> None:
    with pytest.raises(DataError, match="10 of the 22 shards") as caught:
        list_objects(twins[place] + "/{00000..00021}.tar")
    assert "00016.tar and 5 more" in str(caught.value)
    with pytest.raises(DataError, match=r"Did you mean 'extra\.parquet'"):
        list_objects(twins[place] + "/extras.parquet")
    with pytest.raises(DataError, match="Did you mean 'twin") as caught:
        list_objects(str(Path(twins[place]).parent).replace("s3:/c", "s3://c") + "/twinn")


def test_a_file_of_the_results_moves_in_a_bucket(s3: Any) -> None:
    store = Folder("s3://corpus/results-moved")
    store.write_bytes(b"abc", "trials", "k", "record.json")
    store.write_bytes(b"old", "aside", "k", "record.json")
    store.move(("trials", "k", "record.json"), ("aside", "k", "record.json"))
    assert store.read_bytes("aside", "k", "record.json") == b"abc"
    assert not store.exists("trials", "k", "record.json")
    assert store.num_bytes("aside", "k", "record.json") == 3
    assert store.num_bytes("trials", "k", "record.json") is None
