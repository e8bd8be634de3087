"""Faults of a store while cohorts train. Oracle: the pure order, from a folder."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from tests.fixtures.studies import BATCH, opened, run_study, small_plan

from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.plan.plan import Plan
from seedbed.plan.rendering import rendering_of
from seedbed.run.driver.outcome import Outcome
from seedbed.run.worker.cohort import roll
from seedbed.run.worker.reading import order_of
from seedbed.storage.objects import write_object
from seedbed.study.record import TrialRecord
from seedbed.track.ledger import InMemoryLedger

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]
NUM_STEPS = 50  # 25 rounds of at least 8 requests each
SAMPLES = NUM_STEPS * BATCH


@pytest.fixture
def place(flaky_s3: Any, shapes: Path) -> str:
    """The shapes in a bucket, behind a proxy that makes faults."""
    where = f"s3://corpus/{uuid.uuid4().hex}"
    for path in sorted(shapes.glob("*.tar")):
        write_object(f"{where}/{path.name}", path.read_bytes())
    return where


@pytest.fixture
def own_ray() -> Iterator[None]:
    """A private Ray with the environment of the test."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def small(uri: str) -> Plan:
    # Rounds of two steps: most is read while others train.
    return small_plan(uri, num_steps=NUM_STEPS, settings={"corpus.window_rows": 16})


class Live(InMemoryLedger):
    """Knows which samples were told while a trial ran, and not with its record."""

    def __init__(self) -> None:
        super().__init__()
        self.live: list[int] = []
        self._ending = False

    def log(self, key: str, samples: int, metrics: Any) -> None:
        super().log(key, samples, metrics)
        if not self._ending:
            self.live.append(samples)

    def finish(self, record: TrialRecord, files: Any = None) -> None:
        self._ending = True
        super().finish(record, files)
        self._ending = False


def run(
    what: Plan, folder: Path, results: str, flaky_s3: Any = None, checkpoint_seconds: float = 0
) -> tuple[Outcome, Live]:
    """Run `what`; with `flaky_s3`, its store goes away when some shards of the study were read."""
    ledger = Live()
    corpora = opened(what, folder)
    if flaky_s3 is not None:
        flaky_s3.away_after = len(flaky_s3.requests) + 100
    done = run_study(
        what,
        folder,
        results=results,
        ledger=ledger,
        checkpoint_seconds=checkpoint_seconds,
        corpora=corpora,
    )
    return done, ledger


def check_order(outcome: Outcome, what: Plan, shapes: Path, home: Path) -> None:
    """Every trial read every sample once, in the order of the same shards in a folder."""
    cohort = what.cohorts[0]
    corpus = open_corpus(Corpus(uri=str(shapes), caption="txt"), home)
    order, rendering = order_of(corpus, cohort.recipe), rendering_of(cohort)
    span = Span(0, SAMPLES, cohort.recipe.budget.batch)
    ids = np.concatenate(
        [part["id"] for part in render_span(corpus.train, order, span, rendering, 64)]
    )
    digest = hashlib.sha256(b"").hexdigest()
    for batch in ids.reshape(-1, span.batch):
        digest = roll(digest, batch)
    for record in outcome.records.values():
        assert record.order_hash == digest
        assert [p["samples"] for p in record.curve] == list(range(64, SAMPLES + 1, 64))


@pytest.mark.long
def test_an_outage_that_six_attempts_would_not_outlast_is_waited_out(
    flaky_s3: Any,
    place: str,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "120")
    monkeypatch.delenv("SEEDBED_READ_BACKOFF_SECONDS")
    request.getfixturevalue("own_ray")
    flaky_s3.away_seconds = 60.0  # six attempts with their pauses take 15.5 s at most
    there, _ = run(small(place), tmp_path, "there", flaky_s3, checkpoint_seconds=30)
    assert flaky_s3.away_since and not flaky_s3.is_away
    assert there.missing(small(place).trials) == []
    check_order(there, small(place), shapes, tmp_path / "undisturbed")


@pytest.mark.long
def test_when_the_patience_runs_out_the_reason_is_ours_and_the_same_command_goes_on(
    flaky_s3: Any,
    place: str,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "8")
    request.getfixturevalue("own_ray")
    what = small(place)
    outcome, ledger = run(what, tmp_path, "there", flaky_s3)
    assert not outcome.records and set(outcome.reasons) == {t.key for t in what.trials}
    for reason in outcome.reasons.values():
        assert reason.startswith(("asking for s3://", "reading s3://"))
        assert f"{flaky_s3.url} gave no valid answer" in reason
        assert "SEEDBED_RETRY_SECONDS" in reason
        assert "UDF" not in reason
    assert set(ledger.statuses.values()) == {"failed"}
    flaky_s3.away_after = None
    again, later = run(what, tmp_path, "there")
    assert again.missing(what.trials) == []
    assert 0 < min(ledger.live) < min(later.live)  # from its checkpoint, not from the start
    check_order(again, what, shapes, tmp_path / "undisturbed")


@pytest.mark.long
@pytest.mark.parametrize("fault", ["changed", "refused"])
def test_what_waiting_does_not_mend_ends_the_cohort_at_once_by_name(
    flaky_s3: Any,
    place: str,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    fault: str,
) -> None:
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "900")
    what, ledger = small(place), Live()
    corpora = opened(what, tmp_path)
    if fault == "changed":
        write_object(f"{place}/00003.tar", (shapes / "00004.tar").read_bytes())
        words = f"shard {place}/00003.tar has changed since the corpus was indexed"
    else:
        # In the driver too: Ray Tune gives its AWS_* to every worker, whatever theirs are.
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrongwrongwrong")
        words = f"refuses the credentials for '{place}/"
    request.getfixturevalue("own_ray")
    began = time.monotonic()
    outcome = run_study(what, tmp_path, ledger=ledger, checkpoint_seconds=0, corpora=corpora)
    assert time.monotonic() - began < 300  # with the start of all processes
    assert [r for r in outcome.reasons.values() if words not in r] == []
    assert len(outcome.reasons) == 2
    assert set(ledger.statuses.values()) == {"failed"}
