"""Cohorts on real Ray. Oracles: one worker against two, and a stream without Ray."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group
from tests.fixtures.interrupting import Interrupting
from tests.fixtures.studies import Undisturbed, run_study, small_plan

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import NodeType, Scaling
from seedbed.data.corpus import Corpus
from seedbed.data.footprint import PROCESS_BYTES, task_bytes
from seedbed.data.opening import open_corpus
from seedbed.data.order import SHARD_BIT
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.data.stream import stream
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.run.worker.near import near_here
from seedbed.run.worker.reading import order_of
from seedbed.track.ledger import InMemoryLedger

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
TWO, FOUR = Asked(2, 2), Asked(4, 2)


def test_two_workers_see_what_one_sees_and_learn_the_same(
    cluster: None, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    what, one, ledger, _ = undisturbed
    two = run_study(what, tmp_path, asked=TWO)
    assert two.missing(what.trials) == []
    for trial in what.trials:
        a, b = one.records[trial.key], two.records[trial.key]
        assert a.order_hash == b.order_hash
        losses = [[point["train/loss"] for point in record.curve] for record in (a, b)]
        assert np.allclose(*losses, rtol=2e-4)
        assert a.metrics["cost/samples"] == b.metrics["cost/samples"]
        assert a.metrics["zeroshot/num_images"] == b.metrics["zeroshot/num_images"]
        assert len(ledger.points[trial.key]) == len(a.curve) == trial.recipe.budget.steps
    assert ledger.statuses == {trial.key: "completed" for trial in what.trials}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Asked(1), TWO),
        pytest.param(TWO, Asked(1), marks=pytest.mark.long),
        pytest.param(Asked(2), FOUR, marks=pytest.mark.long),
        pytest.param(FOUR, TWO, marks=pytest.mark.long),
        pytest.param(TWO, FOUR, marks=pytest.mark.long),
    ],
    ids=lambda asked: f"{asked.workers // (asked.data_parallel or 1)}x{asked.data_parallel or 1}",
)
def test_stopped_on_one_mesh_and_continued_on_another_it_reads_every_sample_once(
    cluster: None, undisturbed: Undisturbed, tmp_path: Path, before: Asked, after: Asked
) -> None:
    """Variants x workers to each: another number of these has the same batches."""
    what, whole, *_ = undisturbed
    ledger = Interrupting(tmp_path / "results" / "cohorts", after=8)
    first = run_study(what, tmp_path, asked=before, ledger=ledger, checkpoint_seconds=0)
    assert first.interrupted and not first.records
    kept = len(ledger.points[what.trials[0].key])
    second = run_study(what, tmp_path, asked=after)
    assert second.missing(what.trials) == []
    for trial in what.trials:
        a, b = whole.records[trial.key], second.records[trial.key]
        assert a.order_hash == b.order_hash
        assert [p["samples"] for p in a.curve] == [p["samples"] for p in b.curve]
        losses = [[point["train/loss"] for point in record.curve] for record in (a, b)]
        assert np.allclose(*losses, rtol=2e-4)
    assert 0 < kept < len(whole.records[what.trials[0].key].curve)


@pytest.mark.long
def test_too_many_bad_samples_end_the_cohort_in_words(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for shard in sorted(shapes.glob("*.tar")):
        with_half_pictures(shard, broken / shard.name)
    what, ledger = small_plan(broken), InMemoryLedger()
    outcome = run_study(what, tmp_path, ledger=ledger)
    assert len(outcome.missing(what.trials)) == 2
    reason = outcome.reasons[what.trials[0].key]
    assert "cannot be used" in reason
    assert "does not decode" in reason
    assert set(ledger.statuses.values()) == {"failed"}


def with_half_pictures(source: Path, target: Path) -> None:
    """All pictures but the first, which an index decodes, are cut short."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for number, member in enumerate(old):
            content = old.extractfile(member).read()
            if number and member.name.endswith(".png"):
                content = content[: len(content) // 2]
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))


@pytest.fixture
def no_core_is_left(cluster: None) -> Iterator[None]:
    """Placement groups hold all cores, as where two studies' workers start at the same time."""
    held = placement_group([{"CPU": 1}] * int(ray.cluster_resources()["CPU"]))
    ray.get(held.ready())
    yield
    remove_placement_group(held)


def test_where_workers_hold_every_core_data_is_read_all_the_same(
    no_core_is_left: None, shapes: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = partial(near_here, Scaling())
    the_ray_stream_equals_a_plain_loop(monkeypatch, shapes, home, 1, here)
    # An autoscaler is to hear of what waits, while it can start a node for it.
    node = NodeType("node", {"CPU": 2.0}, 1)
    assert near_here(None) == near_here(Scaling((node,), 1)) == {}
    assert near_here(Scaling((node,), 0)) == {"num_cpus": 0}


def test_a_task_asks_for_no_more_memory_than_nodes_keep_for_one(
    cluster: None, shapes: Path, home: Path
) -> None:
    """What it needs is known shard by shard, and what is kept for it by the corpus' average: where
    workers hold the rest, a task that asked for more would wait for ever."""
    cohort = small_plan(shapes).cohorts[0]
    corpus = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    kept = float(PROCESS_BYTES)  # less than that and its chunks
    assert task_bytes(rendering, 0) > kept
    others = ray.available_resources()["memory"] - kept
    held = placement_group([{"memory": others}])
    assert held.wait(60)
    try:
        batches = stream(corpus.train, order, Span(0, 128, 64), rendering, task_memory=kept)
        assert [len(columns["id"]) for columns in batches] == [64, 64]
    finally:
        remove_placement_group(held)


@pytest.mark.parametrize("world", [1, 2])
def test_the_ray_stream_equals_a_plain_loop(
    cluster: None, shapes: Path, home: Path, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = partial(near_here, Scaling())
    the_ray_stream_equals_a_plain_loop(monkeypatch, shapes, home, world, here)


def the_ray_stream_equals_a_plain_loop(
    patch: pytest.MonkeyPatch,
    shapes: Path,
    home: Path,
    world: int,
    placed: Callable[[], dict[str, Any]],
) -> None:
    what = small_plan(shapes)
    cohort: Cohort = what.cohorts[0]
    corpus = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    start, steps, batch = 3, 9, 64  # over an epoch's end, and another
    declared: list[float] = []
    whole_map = ray.data.Dataset.map_batches

    def noted(dataset: ray.data.Dataset, *given: Any, **named: Any) -> ray.data.Dataset:
        declared.append(named["memory"])
        return whole_map(dataset, *given, **named)

    patch.setattr(ray.data.Dataset, "map_batches", noted)
    for rank in range(world):
        span = Span(start * batch, (start + steps) * batch, batch, rank, world)
        expected = list(render_span(corpus.train, order, span, rendering, 7))
        whole = {name: np.concatenate([p[name] for p in expected]) for name in expected[0]}
        got = list(stream(corpus.train, order, span, rendering, num_tasks=2, placed=placed))
        assert [len(columns["id"]) for columns in got] == [batch // world] * steps
        for name, column in whole.items():
            assert (np.concatenate([columns[name] for columns in got]) == column).all(), name
        assert set(whole["id"] >> SHARD_BIT) == set(range(8))
    # A node has no more tasks than it has memory for: what a process needs, and more.
    assert declared and min(declared) > PROCESS_BYTES
