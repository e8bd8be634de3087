"""A study from a bucket into a bucket. Oracle: the same study from a folder into a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from tests.fixtures.planning import Prepared

from seedbed.storage import s3 as store
from seedbed.storage.objects import read_object, write_object
from seedbed.track.mlflow.reader import read_artifact

pytestmark = [pytest.mark.s3, pytest.mark.ray]

STUDY = """
from seedbed import Factor, Recipe, Study, main
from seedbed.variants import CLIP

study = Study(
    name="from_a_bucket",
    question="Does it matter where the shards lie?",
    base=Recipe.paper(objective=CLIP),
    factors=(Factor("depth", at="text.layers", levels=(1, 2), baseline=1),),
    responses=("zeroshot/top1_of_100",),
    seeds=1,
)

if __name__ == "__main__":
    main(study)
"""


def run(
    folder: Path, joins: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "study.py", "--scale", "smoke", "--set", "corpus.caption=txt"]
    environment = os.environ | {"SEEDBED_HOME": str(folder / "home"), **joins}
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def trials(content: bytes, folder: Path) -> pd.DataFrame:
    (folder / "trials.csv").write_bytes(content)
    return pd.read_csv(folder / "trials.csv")


def test_a_study_reads_a_bucket_and_writes_one_and_learns_the_same(
    s3: dict[str, str],
    head: Mapping[str, str],
    shapes: Path,
    tmp_path: Path,
    prepared: Prepared,
) -> None:
    (tmp_path / "study.py").write_text(STUDY)
    prepared(tmp_path / "home")
    for path in sorted(shapes.glob("*.tar")):
        write_object(f"s3://corpus/shapes/{path.name}", path.read_bytes())
    bucket = ("--data", "s3://corpus/shapes", "--storage", "s3://corpus/results")
    there = run(tmp_path, head, *bucket)
    assert there.returncode == 0, there.stderr
    local = ("--data", str(shapes), "--storage", str(tmp_path / "results"))
    here = run(tmp_path, head, *local)
    assert here.returncode == 0, here.stderr
    kept = [entry.uri for entry in store.files("s3://corpus/results/from_a_bucket/", deep=True)[0]]
    (found,) = [uri for uri in kept if uri.endswith("report/trials.csv")]
    (table,) = (tmp_path / "results").glob("**/report/trials.csv")
    ours, theirs = (trials(c, tmp_path) for c in (read_object(found), table.read_bytes()))
    same = ["depth", "seed", "status", "zeroshot/top1_of_100", "data_fingerprint", "order_hash"]
    pd.testing.assert_frame_equal(ours[same], theirs[same])
    tracked = f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}"
    tables = [uri for uri in kept if uri.endswith("/examples.parquet")]
    assert len(tables) == 2
    for uri in tables:
        key = uri.split("/")[-2]
        told = read_artifact(tracked, "from_a_bucket", key, "examples.parquet")
        assert told == read_object(uri)
    assert not any(uri.endswith("driver.lock") for uri in kept)
    assert "report  s3://corpus/results/from_a_bucket/" in there.stdout
    again = run(tmp_path, head, *bucket)
    assert again.returncode == 0 and "2 done already" in again.stderr
