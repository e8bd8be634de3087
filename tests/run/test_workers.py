"""Cohorts on real Ray. Oracles: one worker against two, and a stream without Ray."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from seedbed.cluster.asked import Asked
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpora, open_corpus
from seedbed.data.order import SHARD_BIT
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.data.stream import stream
from seedbed.plan.plan import Cohort, Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.launch import run_plan
from seedbed.run.driver.outcome import Outcome
from seedbed.run.worker.cohort import order_of, rendering_of
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.track.ledger import InMemoryLedger
from seedbed.variants import CLIP

sys.path.insert(0, str(Path(__file__).parent))

from interrupting import Interrupting

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
VERSION = {"seedbed": "test", "git_commit": "test"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A private Ray that counts four CPUs, so that two workers and their tasks fit anywhere."""
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def small(shapes: Path, **overrides: object) -> Plan:
    study = Study(
        name="workers",
        question="?",
        base=Recipe.paper(objective=CLIP),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {"corpus.uri": str(shapes), "corpus.caption": "txt"} | overrides
    return plan(study, SCALES["smoke"], overrides=settings, seeds=(0,))


def run(
    what: Plan,
    folder: Path,
    num_workers: int,
    *,
    results: str = "",
    ledger: InMemoryLedger | None = None,
    checkpoint_seconds: float = 30,
) -> tuple[Outcome, InMemoryLedger]:
    ledger = ledger or InMemoryLedger()
    corpora = open_corpora([what.trials[0].recipe.corpus], folder / "home")
    outcome = run_plan(
        what,
        corpora,
        Folder(str(folder / (results or f"results-{num_workers}"))),
        ledger,
        asked=Asked(num_workers, num_workers),
        checkpoint_seconds=checkpoint_seconds,
        code_version=VERSION,
    )
    return outcome, ledger


@pytest.fixture(scope="module")
def what(shapes: Path) -> Plan:
    """Without batch norm: its statistics are a worker's own."""
    return small(shapes, **{"image.name": "test_vit", "budget.samples": 6_400})


@pytest.fixture(scope="module")
def alone(
    cluster: None, what: Plan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Outcome, InMemoryLedger]:
    """What one worker makes of it, uninterrupted."""
    return run(what, tmp_path_factory.mktemp("alone"), 1)


def test_two_workers_see_what_one_sees_and_learn_the_same(
    what: Plan, alone: tuple[Outcome, InMemoryLedger], tmp_path: Path
) -> None:
    (one, ledger), (two, _) = alone, run(what, tmp_path, 2)
    assert one.missing(what.trials) == two.missing(what.trials) == []
    for trial in what.trials:
        a, b = one.records[trial.key], two.records[trial.key]
        assert a.order_hash == b.order_hash
        losses = [[point["train/loss"] for point in record.curve] for record in (a, b)]
        assert np.allclose(*losses, rtol=2e-4)
        assert a.metrics["cost/samples"] == b.metrics["cost/samples"]
        assert a.metrics["zeroshot/num_images"] == b.metrics["zeroshot/num_images"]
        assert len(ledger.points[trial.key]) == len(a.curve) == 100
    assert ledger.statuses == {trial.key: "completed" for trial in what.trials}


def test_stopped_with_two_workers_and_continued_with_one_it_reads_every_sample_once(
    what: Plan, alone: tuple[Outcome, InMemoryLedger], tmp_path: Path
) -> None:
    whole, _ = alone
    ledger = Interrupting(tmp_path / "both" / "cohorts", after=4)
    first, _ = run(what, tmp_path, 2, results="both", ledger=ledger, checkpoint_seconds=0)
    assert first.interrupted and not first.records
    kept = len(ledger.points[what.trials[0].key])
    second, _ = run(what, tmp_path, 1, results="both")
    assert second.missing(what.trials) == []
    for trial in what.trials:
        a, b = whole.records[trial.key], second.records[trial.key]
        assert a.order_hash == b.order_hash
        assert [p["samples"] for p in a.curve] == [p["samples"] for p in b.curve]
        losses = [[point["train/loss"] for point in record.curve] for record in (a, b)]
        assert np.allclose(*losses, rtol=2e-4)
    assert 0 < kept < len(whole.records[what.trials[0].key].curve)


def test_too_many_bad_samples_end_the_cohort_in_words(
    cluster: None, shapes: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for shard in sorted(shapes.glob("*.tar")):
        with_half_pictures(shard, broken / shard.name)
    what = small(broken)
    outcome, ledger = run(what, tmp_path, 1)
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


@pytest.mark.parametrize("world", [1, 2])
def test_the_ray_stream_equals_a_plain_loop(
    cluster: None, shapes: Path, home: Path, world: int
) -> None:
    what = small(shapes)
    cohort: Cohort = what.cohorts[0]
    corpus = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    start, steps, batch = 3, 9, 64  # over an epoch's end, and another
    for rank in range(world):
        span = Span(start * batch, (start + steps) * batch, batch, rank, world)
        expected = list(render_span(corpus.train, order, span, rendering, 7))
        whole = {name: np.concatenate([p[name] for p in expected]) for name in expected[0]}
        got = list(stream(corpus.train, order, span, rendering, num_tasks=2))
        assert [len(columns["id"]) for columns in got] == [batch // world] * steps
        for name, column in whole.items():
            assert (np.concatenate([columns[name] for columns in got]) == column).all(), name
        assert set(whole["id"] >> SHARD_BIT) == set(range(8))
