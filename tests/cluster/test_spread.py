"""Work over Ray. Oracle: the same work in threads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from seedbed.cluster.asked import Asked
from seedbed.cluster.spread import over_ray
from seedbed.commands.study import corpora
from seedbed.commands.study.corpora import spread_by_size
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpora
from seedbed.data.select.filters.filter import Filter, Mask, Rows
from seedbed.data.select.filters.near_duplicates import NearDuplicates
from seedbed.data.shards.index import index_source
from seedbed.data.shards.source import open_source
from seedbed.data.shards.spread import in_threads
from seedbed.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]


def test_an_index_over_ray_is_that_of_threads(cluster: None, shapes: Path, tmp_path: Path) -> None:
    ours = index_source(str(shapes), (), (str(tmp_path / "a"),), spread=over_ray)
    theirs = index_source(str(shapes), (), (str(tmp_path / "b"),), spread=in_threads)
    assert ours.shards == theirs.shards
    names = [path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*.*")]
    assert {name.suffix for name in names} == {".arrow", ".json", ".parquet"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("many", [False, True])
def test_a_corpus_without_an_index_is_indexed_first_and_a_large_one_on_the_cluster(
    cluster: None,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    many: bool,
) -> None:
    def by_size(work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterable[Any]:
        def whose(job: Any) -> tuple[Any, int]:
            return work(job), os.getpid()

        told = list(spread_by_size(Asked(), whose, jobs))
        processes.update(process for _, process in told)
        return [result for result, _ in told]

    processes = set[int]()
    monkeypatch.setattr(corpora, "READ_HERE_BYTES", 0 if many else 2**29)
    folder = shutil.copytree(shapes, tmp_path / "pairs", ignore=shutil.ignore_patterns("_seedbed"))
    opened = open_source(str(folder), tmp_path / "home", spread=by_size)
    assert sum(shard.num_samples for shard in opened.manifest.shards) == 512
    assert (os.getpid() in processes) is not many
    assert ("8 shards of 0.0 GB are read once, on the cluster" in capsys.readouterr().err) is many
    processes.clear()
    open_source(str(folder), tmp_path / "home", spread=by_size)
    assert processes == set()  # by then there is one


def test_a_selection_over_ray_is_that_of_threads(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Mine(Filter):
        """Of a study's own file, which no other process can import."""

        columns: ClassVar[frozenset[str]] = frozenset({"caption"})
        by_row: ClassVar[bool] = True

        def keep(self, rows: Rows) -> Mask:
            return np.array(["red" not in words for words in rows["caption"]], bool)

    @dataclass(frozen=True)
    class Whole(Filter):
        """One that sees all rows at once."""

        columns: ClassVar[frozenset[str]] = frozenset({"caption", "key"})

        def keep(self, rows: Rows) -> Mask:
            longest = max(map(len, rows["caption"]))
            pairs = zip(rows["key"], rows["caption"], strict=True)
            return np.array([key[-1] != "7" or len(words) == longest for key, words in pairs], bool)

    rules = (Mine(), NearDuplicates(1), Whole())
    corpus = Corpus(uri=str(shapes), caption="txt", filters=rules, fraction=0.8, take=40)
    found = []
    for spread in (over_ray, in_threads, over_ray):  # the last one reads what the first one kept
        home = tmp_path / spread.__name__
        found.append(open_corpora([corpus], home, spread=spread)[corpus])
    ours, theirs, again = found
    for other in (ours, again):
        assert other.steps == theirs.steps and other.fingerprint == theirs.fingerprint
        for shard in range(len(theirs.train.paths)):
            assert (other.train.of_shard(shard) == theirs.train.of_shard(shard)).all()
    assert all(step.num_removed for step in theirs.steps)
    kept = sorted((tmp_path / "in_threads").rglob("columns/*"))
    assert len(kept) == 16
    for path in kept:
        place = tmp_path / "over_ray" / path.relative_to(tmp_path / "in_threads")
        assert place.read_bytes() == path.read_bytes()


@dataclass(frozen=True)
class Numbered:
    """A job that reads nothing."""

    number: int
    num_bytes: int = 0
    held_bytes: int = 0


def test_results_come_in_the_order_of_the_jobs_and_errors_as_they_were(cluster: None) -> None:
    def work(job: Numbered) -> int:
        if job.number == 70:
            raise DataError("job 70 is bad", mend="leave it out")
        return job.number**2

    jobs = [Numbered(number) for number in range(100)]
    assert list(over_ray(work, jobs[:50])) == [n * n for n in range(50)]
    with pytest.raises(DataError, match=r"^job 70 is bad\n  mend: leave it out$"):
        list(over_ray(work, jobs))
