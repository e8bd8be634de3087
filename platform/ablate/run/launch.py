"""Runs a plan: cohorts as Ray Tune trials, each a Ray Train worker group, until all is done.

The results folder is the truth. A trial with a record is finished; a cohort without one for
every member runs, from its checkpoint if it has one. So the driver may die at any moment, and
the same command goes on.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from ablate.data.corpus import Corpus, OpenCorpus
from ablate.data.views import TEXT_AUG
from ablate.data.wordnet import packed_wordnet
from ablate.errors import StudyError
from ablate.run.progress import StudyProgress
from ablate.run.resources import KEPT_CHECKPOINTS, Layout, lay_out
from ablate.run.store import Store
from ablate.run.worker import Assignment, train
from ablate.study.plan import Cohort, Plan
from ablate.study.recipe import Recipe
from ablate.study.study import Trial
from ablate.track.ledger import Ledger, TrialEntry
from ablate.track.record import TrialRecord

MAX_FAILURES = 3  # of a cohort's workers or nodes, each from the last checkpoint
RAY_SETTINGS = {
    # The end of fit() waits for the next health check: 3 s by default, 0.3 s so.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@dataclass
class Outcome:
    """What became of every planned trial, by key."""

    records: dict[str, TrialRecord] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Trials that are not completed."""
        return [
            t
            for t in trials
            if t.key not in self.records or self.records[t.key].status != "completed"
        ]


def read_outcome(
    store: Store, trials: Sequence[Trial], corpora: Mapping[Corpus, OpenCorpus] | None
) -> Outcome:
    """The records that the results folder holds for `trials`.

    A record of other data (another fingerprint behind the same address) is not one of them.
    """
    outcome = Outcome()
    for trial in trials:
        values = store.read_json("trials", trial.key, "record.json")
        if values is None:
            continue
        record = TrialRecord.from_json(values)
        corpus = corpora[trial.recipe.corpus] if corpora else None
        if corpus is None or record.data_fingerprint == corpus.fingerprint:
            outcome.records[trial.key] = record
        else:
            outcome.reasons[trial.key] = "recorded on other data; the corpus has changed"
    return outcome


def connect() -> str:
    """Join the cluster of RAY_ADDRESS (a job's own, too), or start a private one. Says which."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        return "the Ray that is already connected"
    address = os.environ.get("RAY_ADDRESS")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # its tables are not ours
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        return f"the Ray cluster at {address}"
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    return "a private Ray on this machine (RAY_ADDRESS joins another)"


def cohorts_to_run(store: Store, plan: Plan, outcome: Outcome) -> list[Cohort]:
    """The cohorts that still have trials to run, under the names they started with.

    A cohort that was interrupted after some of its members finished is continued as it was,
    since its checkpoint holds the others; only what no cohort has begun is grouped anew.
    """
    by_key = {trial.key: trial for trial in plan.trials}
    left = {t.key for t in plan.trials if t.key not in outcome.records}
    found: list[Cohort] = []
    for name in store.names("cohorts"):
        if not name.endswith(".json"):
            continue
        members = store.read_json("cohorts", name)["trials"]
        if left & set(members) and all(key in by_key for key in members):
            found.append(Cohort(tuple(by_key[key] for key in members)))
            left -= set(members)
    for cohort in plan.cohorts:
        trials = tuple(t for t in cohort.trials if t.key in left)
        if trials:
            found.append(Cohort(trials))
    return found


def run_plan(
    plan: Plan,
    corpora: Mapping[Corpus, OpenCorpus],
    store: Store,
    ledger: Ledger,
    *,
    num_workers: int,
    checkpoint_seconds: float,
    code_version: dict[str, str],
) -> Outcome:
    """Run what is missing of `plan`, and return what became of all of it.

    Raises ResourceError before anything starts when a cohort cannot fit.
    """
    outcome = read_outcome(store, plan.trials, corpora)
    cohorts = cohorts_to_run(store, plan, outcome)
    progress = StudyProgress(len(plan.trials), len(outcome.records))
    if not cohorts:
        progress.close()
        return outcome
    layout = lay_out(ray.cluster_resources(), num_workers, len(cohorts))
    for cohort in cohorts:
        members = [trial.key for trial in cohort.trials]
        store.write_json({"trials": members}, "cohorts", f"{cohort.id}.json")
    synonyms = any(reads_synonyms(trial.recipe) for c in cohorts for trial in c.trials)
    # Nodes may have none of their own, and no way to fetch it.
    wordnet = ray.put(packed_wordnet()) if synonyms else None
    assignments = {
        cohort.id: Assignment(
            study=plan.study.name,
            scale=plan.scale.name,
            cohort=cohort,
            corpus=corpora[cohort.recipe.corpus],
            storage=store.uri,
            code_version=code_version,
            threads=layout.threads,
            num_tasks=layout.data_tasks,
            checkpoint_seconds=checkpoint_seconds,
            wordnet=wordnet,
        )
        for cohort in cohorts
    }
    watcher = _Watcher(plan, store, ledger, progress, outcome, cohorts)
    try:
        _tune(assignments, layout, store, watcher)
    finally:
        progress.close()
    return outcome


def _tune(
    assignments: Mapping[str, Assignment], layout: Layout, store: Store, watcher: _Watcher
) -> None:
    def run_cohort(config: dict[str, Any]) -> None:
        os.environ.update(RAY_SETTINGS)
        assignment = assignments[config["cohort"]]
        TorchTrainer(
            train,
            train_loop_config={"assignment": assignment},
            scaling_config=ray.train.ScalingConfig(
                num_workers=layout.num_workers,
                use_gpu=layout.use_gpu,
                resources_per_worker={"CPU": layout.cpus_per_worker}
                | ({"GPU": 1} if layout.use_gpu else {}),
            ),
            run_config=ray.train.RunConfig(
                name=assignment.cohort.id,
                storage_path=store.sub("cohorts").uri,
                failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS),
                callbacks=[TuneReportCallback()],
            ),
        ).fit()

    # Tune's own bookkeeping is of no use to a later run: ours is in the results folder.
    scratch = tempfile.mkdtemp(prefix="ablate-tune-")
    with _stoppable(watcher):
        tuner = ray.tune.Tuner(
            # The trial only waits for its workers; without CPUs of its own it starves no task.
            ray.tune.with_resources(run_cohort, {"memory": 100e6}),
            param_space={"cohort": ray.tune.grid_search(list(assignments))},
            tune_config=ray.tune.TuneConfig(max_concurrent_trials=layout.concurrent),
            run_config=ray.tune.RunConfig(
                name="schedule",
                storage_path=scratch,
                callbacks=[watcher],
                verbose=0,
                failure_config=ray.tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        # Tune answers Ctrl-C itself: it stops the cohorts and returns as if all were well.
        if watcher.unsettled:
            watcher.stop()
    shutil.rmtree(scratch, ignore_errors=True)


class _Watcher(ray.tune.Callback):
    """Carries what cohorts report to the ledger and to the person who watches."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        ledger: Ledger,
        progress: StudyProgress,
        outcome: Outcome,
        cohorts: Sequence[Cohort],
    ) -> None:
        self.plan, self.store, self.ledger = plan, store, ledger
        self.progress, self.outcome = progress, outcome
        self.cohorts = {cohort.id: cohort for cohort in cohorts}
        self._opened: set[str] = set()

    def __reduce__(self) -> tuple[object, ...]:
        # The Tuner pickles its callbacks to be restored one day; ours live with the driver.
        return (ray.tune.Callback, ())

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        cohort = self.cohorts[trial.config["cohort"]]
        self.progress.begin(cohort)
        for member in cohort.trials:
            if member.key in self.outcome.records:
                continue
            self._opened.add(member.key)
            self.ledger.open_trial(
                TrialEntry(
                    key=member.key,
                    cell=dict(member.cell),
                    seed=member.seed,
                    cohort=cohort.id,
                    recipe=member.recipe.flatten(),
                )
            )

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        cohort = self.cohorts[trial.config["cohort"]]
        if result.get("error"):
            self._fail(cohort, result["error"])
            return
        if "points" not in result:
            return
        self.progress.update(cohort, int(result["samples"]))
        for key, samples, metrics in result["points"]:
            self.ledger.log(key, int(samples), metrics)
        for key in result["finished"]:
            self._finish(cohort, key)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._settle(trial, "the cohort ended without a record of it")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._settle(trial, _root_cause(getattr(trial, "get_error", lambda: None)()))

    def _settle(self, trial: Any, reason: str) -> None:
        """A report may be lost with its worker, a record may not: look into the folder."""
        cohort = self.cohorts[trial.config["cohort"]]
        for member in cohort.trials:
            self._finish(cohort, member.key)
        if all(member.key in self.outcome.records for member in cohort.trials):
            # Every member has its record and its weights: nothing will ever be resumed.
            self.store.remove("cohorts", cohort.id)
            self.store.remove("cohorts", f"{cohort.id}.json")
        self._fail(cohort, reason)

    def _finish(self, cohort: Cohort, key: str) -> None:
        if key in self.outcome.records or key in self.outcome.reasons:
            return
        for name in ("record.json", "failure.json"):
            values = self.store.read_json("trials", key, name)
            if values is not None:
                break
        else:
            return
        record = TrialRecord.from_json(values)
        if record.status == "failed":
            self.outcome.reasons[key] = record.reason
        else:
            self.outcome.records[key] = record
        name = next(t.name for t in cohort.trials if t.key == key)
        self.progress.finished(name, record.status, dict(record.metrics), self.plan.responses[0])
        self.ledger.finish(record, record_files(self.store, key))

    def _fail(self, cohort: Cohort, reason: str) -> None:
        for member in cohort.trials:
            if member.key in self.outcome.records or member.key in self.outcome.reasons:
                continue
            self.outcome.reasons[member.key] = reason
            self.progress.say(f"{member.name}  failed: {reason}")
            self.ledger.finish(failed(self.plan, member, cohort.id, reason))

    @property
    def unsettled(self) -> bool:
        """Whether a trial that was started has neither ended nor failed."""
        ended = self.outcome.records.keys() | self.outcome.reasons.keys()
        return bool(self._opened - ended)

    def stop(self) -> None:
        """The study was stopped: what has started is interrupted, not failed."""
        self.outcome.interrupted = True
        for key in self._opened:
            if key not in self.outcome.records and key not in self.outcome.reasons:
                self.ledger.interrupt(key, "the study was stopped")
                self.outcome.reasons[key] = "stopped; the same command goes on"


def failed(plan: Plan, trial: Trial, cohort: str, reason: str) -> TrialRecord:
    """The record of a trial that ended without one of its own."""
    return TrialRecord(
        key=trial.key,
        study=plan.study.name,
        scale=plan.scale.name,
        cell=dict(trial.cell),
        seed=trial.seed,
        cohort=cohort,
        status="failed",
        reason=reason,
        recipe=trial.recipe.flatten(),
    )


def record_files(store: Store, key: str) -> dict[str, Path]:
    """The small files beside a record that the ledger keeps, where the folder is local."""
    if not store.local:
        return {}
    names = ("examples.parquet", "bad_samples.parquet")
    paths = {name: Path(store.path("trials", key, name)) for name in names}
    return {name: path for name, path in paths.items() if path.exists()}


def _root_cause(error: Any) -> str:
    """The last line of what a worker raised, without the frames of Ray around it."""
    if error is None:
        return "the cohort's workers failed; Ray's log has the reason"
    failures = getattr(error, "worker_failures", None)
    if failures:
        error = next(iter(failures.values()))
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(error).__name__


@contextmanager
def _stoppable(watcher: _Watcher) -> Iterator[None]:
    """SIGTERM (a job's stop) ends a study as Ctrl-C does: Tune saves, and statuses come true."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        watcher.stop()
        raise KeyboardInterrupt

    before = {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        watcher.stop()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def reads_synonyms(recipe: Recipe) -> bool:
    """Whether a view of `recipe` needs WordNet."""
    return TEXT_AUG in recipe.objective.views and recipe.augment.text_aug.synonyms == "wordnet"


def check_one_test(corpora: Iterable[OpenCorpus]) -> None:
    """Raise StudyError where trials would be scored on different pictures or names.

    A difference between their numbers would then say nothing about what they learned from.
    """
    opened = list(corpora)
    captions = sorted({c.corpus.held_out_caption for c in opened})
    if len(captions) > 1:
        raise StudyError(
            f"trials would be scored on different captions: {', '.join(captions)}",
            why="the names to choose among are the held-out captions, and some are easier",
            mend=f"set Corpus.test_caption to one of them for all: test_caption='{captions[0]}'",
        )
    if len({c.test.fingerprint for c in opened}) > 1:
        uris = sorted({c.corpus.uri for c in opened})
        raise StudyError(
            f"trials would be scored on different pictures: {', '.join(uris)}",
            why="each corpus has a held-out part of its own, and some are easier",
            mend=f"set Corpus.test_uri to one corpus for all: test_uri='{uris[0]}'",
        )
