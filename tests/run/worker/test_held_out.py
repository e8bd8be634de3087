"""Held-out faults. Oracle: a folder of sound pairs, and the same with some that were spoiled."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.anew import index_anew

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.shards.kept.bad import read_bad
from seedbed.errors import DataError, StudyError
from seedbed.evaluate.tasks.held_out_captions import WithCandidates
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.recall import check_scored_alike
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.held_out import HeldOutPairs, read_held_out
from seedbed.run.worker.recording import Recorder
from seedbed.storage.folder import Folder
from seedbed.study.cell import Cell
from seedbed.study.record import Status, TrialRecord
from seedbed.study.trial import Trial
from seedbed.variants import CLIP


def assignment(folder: Path, home: Path, results: Path, **fields: float) -> Assignment:
    corpus = Corpus(uri=str(folder), caption="txt", **fields)  # type: ignore[arg-type]
    recipe = Recipe(
        objective=CLIP,
        corpus=corpus,
        image=ImageTower("test_resnet", size=32),
        text=TextTower(layers=1, width=32, heads=2, context=12),
        embed_dim=16,
        budget=Budget(samples=64, warmup_samples=32, batch=32),
    )
    return Assignment(
        study="s",
        scale="smoke",
        cohort=Cohort((Trial((("n", 0),), recipe),)),
        data={corpus: open_corpus(corpus, home)},
        storage=str(results),
        code_version={"seedbed": "test"},
        threads=1,
        data_parallel=1,
        num_tasks=1,
        checkpoint_seconds=30,
        costs={recipe.key(): estimate(recipe)},
    )


def recorded(what: Assignment) -> TrialRecord:
    left = Recorder(what, CohortTraining(what.cohort, torch.device("cpu")), rank=0, world=1)
    (key,) = left.training.variants
    left.record(left.training.variants[key])
    return TrialRecord.from_json(left.store.read_json("trials", key, "record.json"))


Spoil = Callable[[int], list[str]]


@pytest.fixture
def folder(shapes: Path, tmp_path: Path) -> Path:
    shutil.copytree(shapes, tmp_path / "pairs", ignore=shutil.ignore_patterns("_seedbed"))
    return tmp_path / "pairs"


@pytest.fixture
def spoil(folder: Path, home: Path) -> Spoil:
    """Spoil so many held-out pictures, and give their keys."""

    def run(wanted: int) -> list[str]:
        test = open_corpus(Corpus(uri=str(folder), caption="txt"), home).test
        keys: list[str] = []
        for shard, path in enumerate(test.paths):
            with tarfile.open(path) as tar:
                members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
            for row in test.of_shard(shard).tolist()[: wanted - len(keys)]:
                name, content = members[2 * row]
                assert name.endswith(".png")
                members[2 * row] = (name, content[: len(content) // 2])
                keys.append(name.removesuffix(".png"))
            with tarfile.open(path, "w") as tar:
                for name, content in members:
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        index_anew(folder, home)
        return keys

    return run


@pytest.mark.slow
def test_held_out_pairs_that_cannot_be_used_are_counted_and_named_beside_trainings(
    folder: Path, home: Path, tmp_path: Path, spoil: Spoil
) -> None:
    sound = recorded(assignment(folder, home, tmp_path / "sound"))
    assert sound.metrics["data/bad_test_samples"] == 0
    keys = spoil(3)
    what = assignment(folder, home, tmp_path / "spoilt")
    record = recorded(what)
    assert record.metrics["data/bad_test_samples"] == 3
    assert record.metrics["zeroshot/num_images"] == sound.metrics["zeroshot/num_images"] - 3
    named = read_bad(Folder(what.storage).path("trials", record.key))
    assert sorted(key for _, key, _ in named) == sorted(keys)
    assert all(
        reason.startswith("picture does not decode") and reason.endswith("(held out)")
        for _, _, reason in named
    )


def test_more_than_the_corpus_allows_stop_the_cohort_before_it_trains(
    folder: Path, home: Path, tmp_path: Path, spoil: Spoil
) -> None:
    num_pairs = assignment(folder, home, tmp_path).corpus.test.num_samples
    spoil(14)
    what = assignment(folder, home, tmp_path)
    with pytest.raises(
        DataError, match=rf"14 of the {num_pairs} held-out pairs (.|\n)*at most 1\.00%(.|\n)*00000"
    ):
        read_held_out(what, 0, 1)
    allowed = assignment(folder, home, tmp_path, max_bad_fraction=0.2)
    assert len(read_held_out(allowed, 0, 1).faults) == 14


def test_the_digest_tells_which_pictures_and_names_were_scored(
    folder: Path, home: Path, tmp_path: Path, spoil: Spoil
) -> None:
    first = read_held_out(assignment(folder, home, tmp_path), 0, 1)
    assert read_held_out(assignment(folder, home, tmp_path), 0, 1).digest == first.digest
    spoil(1)
    assert read_held_out(assignment(folder, home, tmp_path), 0, 1).digest != first.digest


def test_a_study_whose_trials_were_scored_on_different_pictures_is_refused() -> None:
    def record(key: str, digest: str, status: Status = "completed") -> TrialRecord:
        cell = Cell({"n": key})
        return TrialRecord(
            key=key,
            study="s",
            scale="smoke",
            cell=cell,
            seed=0,
            cohort="c",
            status=status,
            test_digest=digest,
        )

    rows = [record(f"k{n}", digest) for n, digest in enumerate(["a", "a", "b", "a", ""])]
    failed = record("f", "c", "failed")
    with pytest.raises(StudyError, match=r"3 of them on those of k0, and 1 on others: k2\n"):
        check_scored_alike([*rows, failed])
    check_scored_alike([row for row in rows if row.key != "k2"] + [failed])


def of_captions(pairs: HeldOutPairs) -> WithCandidates:
    """What the retrieval of captions made of them."""
    (made,) = (made for _, made in pairs.asked if isinstance(made, WithCandidates))
    return made


def test_a_second_cohort_reads_no_held_out_row_of_the_corpus(
    folder: Path, home: Path, tmp_path: Path, spoil: Spoil
) -> None:
    spoil(3)
    what = assignment(folder, home, tmp_path / "results")
    first = read_held_out(what, 0, 1)
    shutil.rmtree(folder)  # there is nothing left to read
    second = read_held_out(what, 0, 1)
    parts = [read_held_out(what, rank, 2) for rank in range(2)]
    for other in (second, *parts):
        assert (other.digest, other.faults) == (first.digest, first.faults)
    whole, again = of_captions(first), of_captions(second)
    assert np.array_equal(whole.pairs.images, again.pairs.images)
    assert np.array_equal(whole.candidates.of_100, again.candidates.of_100)
    for rank, part in enumerate(parts):
        mine = of_captions(part)
        assert mine.candidates.names == whole.candidates.names
        assert np.array_equal(mine.pairs.ids, whole.pairs.ids[rank::2])
        assert np.array_equal(mine.pairs.images, whole.pairs.images[rank::2])
