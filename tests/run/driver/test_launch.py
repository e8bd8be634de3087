"""What workers are given, without Ray. Oracle: what is pickled of a small corpus."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures.studies import opened, small_plan

from seedbed.cluster.layout import Layout
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.data.rows import Rows
from seedbed.data.shards.starts import SourceStarts, Starts
from seedbed.plan.plan import Plan
from seedbed.run.driver import launch
from seedbed.run.driver.resume import Start
from seedbed.run.worker.assignment import Assignment
from seedbed.storage.folder import Folder

SHARDS, EACH = 1_000, 1_000
LAYOUT = Layout(
    num_workers=1, data_parallel=1, cpus_per_worker=1.0, use_gpu=False, concurrent=1, threads=1,
    data_tasks=1,
)  # fmt: skip


def a_million() -> Rows:
    """The index of a million pairs, a thousand shards in a bucket."""
    names = [f"{number:06}.tar" for number in range(SHARDS)]
    starts = np.arange(EACH + 1, dtype=np.uint32) * 40
    source = SourceStarts.of(dict.fromkeys(names, starts))
    return Rows(
        tuple(f"s3://bucket/prefix/{name}" for name in names),
        (EACH,) * SHARDS,
        "fingerprint",
        Starts.of([(source, name) for name in names]),
        etags=tuple(f"{number:032x}" for number in range(SHARDS)),
    )


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands for Ray's store: what is put into it, of which the driver has the number."""
    held: list[Any] = []

    def put(value: Any) -> int:
        held.append(value)
        return len(held) - 1

    monkeypatch.setattr(launch.ray, "put", put)
    return held


def told(plan: Plan, corpora: dict[Corpus, OpenCorpus], folder: Path) -> dict[str, Assignment]:
    chosen = [Start(cohort) for cohort in plan.cohorts]
    given = None, None, {"git_commit": "test"}, "since", True
    return launch._assignments(plan, chosen, corpora, Folder(str(folder)), LAYOUT, *given)


def test_a_worker_is_given_a_reference_however_large_the_corpus_index_is(
    shapes: Path, tmp_path: Path, store: list[Any]
) -> None:
    plan = small_plan(shapes, depths=(1, 2, 3, 4), cohort_size=1)
    small = opened(plan, tmp_path)
    ((corpus, one),) = small.items()
    large = {corpus: replace(one, train=a_million())}
    assert len(pickle.dumps(large)) > 1_000_000 * 4
    pickled = {}
    for name, corpora in (("small", small), ("large", large)):
        store.clear()
        jobs = told(plan, corpora, tmp_path)
        assert len(jobs) == 4
        # All cohorts' corpora once, and each job refers to that.
        assert [held for held in store if held == corpora] == [corpora]
        assert {id(store[job.data][corpus]) for job in jobs.values()} == {id(corpora[corpus])}
        pickled[name] = [len(pickle.dumps(job)) for job in jobs.values()]
    assert pickled["large"] == pickled["small"]
    assert max(pickled["large"]) < 32_000
