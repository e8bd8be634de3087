"""Scores in tables beside tars, as img2dataset leaves them. Oracle: a machine that kept nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import shape_shards

from seedbed.data import assembly
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpus
from seedbed.data.select.filters.clip_score import ClipScore
from seedbed.data.shards.samples import read_shard

Pairs = set[tuple[str, int]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shape_shards(tmp_path / "pairs", 256)


def put_beside(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for tar in sorted(folder.glob("*.tar")):
        keys = [sample.key for sample in read_shard(str(tar), "")]
        table = pa.table({"key": keys, "clip_score": rng.random(len(keys))})
        pq.write_table(table, tar.with_suffix(".parquet"))


def scored(folder: Path) -> Corpus:
    return Corpus(uri=str(folder), caption="txt", filters=(ClipScore(0.5),))


def pairs(opened: OpenCorpus) -> Pairs:
    rows = opened.train
    return {
        (Path(p).name, row) for n, p in enumerate(rows.paths) for row in rows.of_shard(n).tolist()
    }


def marks(opened: OpenCorpus) -> tuple[str, str]:
    return opened.fingerprint, opened.train.fingerprint


def test_scores_that_were_computed_anew_are_used_and_are_other_data(
    folder: Path, tmp_path: Path
) -> None:
    put_beside(folder, seed=1)
    here = tmp_path / "here"
    first = open_corpus(scored(folder), here)
    again = open_corpus(scored(folder), here)
    assert pairs(again) == pairs(first) and marks(again) == marks(first)
    put_beside(folder, seed=2)
    second = open_corpus(scored(folder), here)
    nothing_kept = open_corpus(scored(folder), tmp_path / "elsewhere")
    assert pairs(second) == pairs(nothing_kept) != pairs(first)
    assert marks(second) == marks(nothing_kept)
    assert not set(marks(second)) & set(marks(first))
    # What it is called by is its content: the same scores at another time are the same data.
    put_beside(folder, seed=1)
    third = open_corpus(scored(folder), here)
    assert pairs(third) == pairs(first) and marks(third) == marks(first)


def test_scores_that_come_later_are_seen(folder: Path, home: Path) -> None:
    plain = Corpus(uri=str(folder), caption="txt", fraction=0.5)
    without = marks(open_corpus(plain, home))
    put_beside(folder, seed=1)
    assert 0 < len(pairs(open_corpus(scored(folder), home))) < 240
    # Tables of which nothing is asked choose the same rows.
    assert len(pairs(open_corpus(plain, home))) and without != marks(open_corpus(plain, home))


def test_whole_weights_need_no_column(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: what the columns' way gives, which reads every shard."""
    uri = f"{folder}@3"
    one = open_corpus(Corpus(uri=str(folder), caption="txt"), home).train
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "shard_columns", None)  # calling it fails
        whole = open_corpus(Corpus(uri=uri, caption="txt"), home).train
    for shard in range(len(one.paths)):
        assert (whole.of_shard(shard) == np.repeat(one.of_shard(shard), 3)).all()
    assert whole.num_samples == 3 * one.num_samples
