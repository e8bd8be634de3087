"""Which trials have ended, by key. Oracle: Python's own sets of the keys that were written."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from seedbed.storage.folder import Folder
from seedbed.track.finished import PLACE, finished_elsewhere, forget_finished, note_finished


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.s3)])
def top(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "folder":
        return Folder(str(tmp_path))
    request.getfixturevalue("s3")
    from seedbed.storage import client

    bucket = f"b{secrets.token_hex(6)}"
    client.client().create_bucket(Bucket=bucket)
    return Folder(f"s3://{bucket}/results")


def keys(number: int) -> list[str]:
    return [secrets.token_hex(8) for _ in range(number)]


def test_a_key_is_found_in_the_study_that_has_it_and_never_in_the_one_that_asks(
    top: Folder,
) -> None:
    mine, theirs = keys(50), [*keys(30), "00000000000000ff"]
    for name, own in (("mine", mine), ("theirs", theirs), ("third", mine[:5])):
        top.write_json({}, name, "state.json")
        note_finished(top, name, own)
    asked = [*mine[:10], *theirs[:10], theirs[-1], *keys(10)]
    expected = dict.fromkeys([*theirs[:10], theirs[-1]], "theirs") | dict.fromkeys(
        mine[:5], "third"
    )
    assert finished_elsewhere(top, asked, "mine") == expected
    assert finished_elsewhere(top, [], "mine") == {}
    # More of it later; of one that is removed nothing.
    more = keys(3)
    note_finished(top, "theirs", more)
    assert finished_elsewhere(top, [*theirs, *more], "mine") == dict.fromkeys(
        [*theirs, *more], "theirs"
    )
    forget_finished(top, "theirs")
    top.remove("theirs")
    assert finished_elsewhere(top, [*theirs, *more], "mine") == {}


def test_a_study_without_a_file_is_listed_until_its_driver_writes_one(top: Folder) -> None:
    old = keys(4)
    for key in [*old, "no key at all"]:
        top.write_json({}, "older", "trials", key, "record.json")
    assert finished_elsewhere(top, old, "mine") == dict.fromkeys(old, "older")
    note_finished(top, "older", keys(2))
    assert top.num_bytes(PLACE, "older") == 8 * 6
    assert finished_elsewhere(top, old, "mine") == dict.fromkeys(old, "older")


@pytest.mark.slow
def test_a_file_of_a_study_of_10_000_trials_is_80_kb_whatever_it_holds_else(tmp_path: Path) -> None:
    top = Folder(str(tmp_path))
    note_finished(top, "large", keys(10_000))
    assert top.num_bytes(PLACE, "large") == 80_000
