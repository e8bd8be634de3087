"""`seedbed index` on a bucket. Oracle: the folder that was copied there."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.commands.seedbed import main
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.shards.source import open_source
from seedbed.storage import s3 as store
from seedbed.storage.objects import write_object

pytestmark = pytest.mark.s3


@pytest.fixture
def prefix(s3: dict[str, str], shapes: Path) -> str:
    for path in sorted(shapes.glob("*.tar")):
        write_object(f"s3://corpus/indexed/{path.name}", path.read_bytes())
    return "s3://corpus/indexed"


def test_it_says_what_it_found_and_keeps_it_beside_the_shards(
    prefix: str, shapes: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", prefix]) == 0
    told = capsys.readouterr().out
    here = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    assert f"fingerprint  {open_source(str(shapes), home).manifest.fingerprint}" in told
    assert "8 read now" in told and "bad samples  0" in told
    kept = {entry.uri for entry in store.files(f"{prefix}/_seedbed/", deep=True)[0]}
    assert f"{prefix}/_seedbed/index.json" in kept
    assert any(uri.startswith(f"{prefix}/_seedbed/rows/") for uri in kept)
    assert main(["index", prefix]) == 0
    assert "0 read now" in capsys.readouterr().out
    there = open_corpus(Corpus(uri=prefix, caption="txt"), home)
    assert there.fingerprint == here.fingerprint


def test_what_is_wrong_is_said_with_status_2(
    s3: dict[str, str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", "s3://no-such-bucket/x"]) == 2
    assert "there is no bucket 'no-such-bucket'" in capsys.readouterr().err
