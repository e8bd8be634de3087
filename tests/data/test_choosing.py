"""Selections of corpora. Oracles: a loop over all samples, and files that are gone."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import write_tar

from seedbed.data.choosing import JudgeJob, judge_shard
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpora, open_corpus
from seedbed.data.select.columns import HASHES, shard_columns
from seedbed.data.select.filters.filter import hashes
from seedbed.data.select.filters.image_side import MinImageSide
from seedbed.data.select.filters.length import Length
from seedbed.data.select.filters.near_duplicates import NearDuplicates
from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
from seedbed.data.select.judge import Question
from seedbed.data.select.selection import Selection
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.source import open_source
from seedbed.data.shards.spread import in_threads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three shards of 60 pairs whose keys come back in each, with uids for most."""
    rng = np.random.default_rng(0)
    (tmp_path / "pairs").mkdir()
    for shard in range(3):
        samples = []
        for row in range(60):
            out = io.BytesIO()
            side = int(rng.integers(8, 40))
            pixels = rng.integers(0, 256, (side, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(out, "PNG")
            words = " ".join(rng.choice(["red", "fox", "snow"], rng.integers(1, 4)))
            uid = f"{rng.integers(2**62):032x}" if row % 5 else ""
            fields = {"clean": words, "uid": uid}
            members = {"png": out.getvalue(), "json": json.dumps(fields).encode()}
            samples.append((f"{row:06}", members))
        write_tar(tmp_path / "pairs" / f"{shard}.tar", samples)
    time.sleep(0.02)  # past the tick of the disk's clock in which they were written
    return tmp_path / "pairs"


def rows_of(opened: OpenCorpus) -> set[tuple[int, int]]:
    train = opened.train
    every = [(s, r) for s in range(len(train.paths)) for r in train.of_shard(s).tolist()]
    assert len(set(every)) == len(every)
    return set(every)


def test_what_a_corpus_chooses_a_loop_over_its_samples_chooses(folder: Path, home: Path) -> None:
    plain = open_corpus(Corpus(uri=str(folder)), home)
    rules = (MinImageSide(14), RepeatedCaptions(9), Length(2, min_characters=1))
    corpus = Corpus(uri=str(folder), filters=rules, fraction=0.9, take=25)
    found = open_corpus(corpus, home)
    pairs = []
    for shard, row in sorted(rows_of(plain)):
        sample = read_shard(plain.train.paths[shard])[row]
        fields = sample.fields()
        height = Image.open(io.BytesIO(sample.image())).height
        name = f"{shard}/{sample.key}"  # keys come back
        pairs.append((shard, row, height, str(fields["clean"]), name, str(fields["uid"]) or name))
    left = [p for p in pairs if p[2] >= 14]
    counted: dict[str, int] = {}
    some = []
    for pair in sorted(left, key=lambda p: int(hashes([p[4]])[0])):
        counted[pair[3]] = counted.get(pair[3], 0) + 1
        if counted[pair[3]] <= 9 and len(pair[3].split()) >= 2:
            some.append(pair)
    part = [p for p in some if int(hashes([p[5]])[0]) < 0.9 * 2**64]
    taken = sorted(part, key=lambda p: int(hashes([p[5]])[0]))[:25]
    assert len(taken) == 25 < len(part) < len(some) < len(left) < len(pairs)
    assert rows_of(found) == {p[:2] for p in taken}
    assert found.steps[0].num_removed == len(pairs) - len(left)


def test_a_task_elsewhere_takes_along_what_is_kept_and_brings_what_is_not(
    folder: Path, home: Path
) -> None:
    train = open_corpus(Corpus(uri=str(folder)), home).train
    source = open_source(str(folder), home)
    asked = Question(Selection((NearDuplicates(), Length())))
    (columns,) = shard_columns(source, ["1.tar"], home, hashed=True)
    job = JudgeJob(1, columns, train.only(1), asked, "clean")
    assert job.num_bytes == (folder / "1.tar").stat().st_size
    judged, new = judge_shard(job)
    assert set(new) == set(columns.kept)
    columns.keep(new)
    assert job.num_bytes == sum(map(len, new.values()))
    sent = pickle.dumps(job)
    shutil.rmtree(folder)
    shutil.rmtree(home)  # as on another machine
    again, nothing = judge_shard(pickle.loads(sent))
    assert not nothing
    assert len(judged.refused) == len(train.of_shard(1)) < 60
    for name in ("refused", "keys", "names", "uids"):
        assert (getattr(again, name) == getattr(judged, name)).all()
    own = np.frombuffer(new[HASHES], np.uint64)[train.of_shard(1)]
    assert (again.digests[0] == own).all()


def test_another_selection_reads_no_shard_again(folder: Path, home: Path) -> None:
    asked: list[int] = []

    def counting(work: object, jobs: Sequence[object]) -> object:
        asked.append(sum(job.num_bytes for job in jobs))  # type: ignore[attr-defined]
        return in_threads(work, jobs)  # type: ignore[arg-type]

    one, other = (Corpus(uri=str(folder), filters=(Length(n, min_characters=1),)) for n in (1, 2))
    open_corpus(Corpus(uri=str(folder)), home)  # indexed
    for corpus in (one, other):
        open_corpora([corpus], home, spread=counting)  # type: ignore[arg-type]
    shards = sum(path.stat().st_size for path in folder.glob("*.tar"))
    kept = sum(path.stat().st_size for path in home.rglob("columns/*"))
    assert asked == [shards, kept] and kept < shards
