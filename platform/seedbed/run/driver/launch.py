"""Runs a plan: cohorts as Ray Tune trials, each a Ray Train worker group, until all is done.

The results folder is the truth. A trial with a record is finished; a cohort without one for
every member runs, from its checkpoint if it has one. So the driver may die at any moment, and
the same command goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import ray

from seedbed.cluster.asked import Asked
from seedbed.cluster.autoscaler import Scaling
from seedbed.cluster.capacity import cluster_capacity
from seedbed.cluster.choice import choose
from seedbed.cluster.layout import Layout
from seedbed.cluster.node_memory import pair_bytes
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.data.render.augmentation import all_assets
from seedbed.errors import StudyError
from seedbed.evaluate.prompted import OpenTest
from seedbed.interchange.beginning import copy_starts
from seedbed.plan.cohort import Cohort
from seedbed.plan.plan import Plan
from seedbed.plan.surface import Surface
from seedbed.run.driver.failures import failed_attempts, forgive
from seedbed.run.driver.layouts import note_layout
from seedbed.run.driver.live import Live
from seedbed.run.driver.outcome import Outcome, read_outcome, set_aside
from seedbed.run.driver.parts import fitted
from seedbed.run.driver.progress import StudyProgress
from seedbed.run.driver.resume import Start, forget, starts
from seedbed.run.driver.tune import tune
from seedbed.run.driver.watch import Watcher
from seedbed.run.worker.assignment import Assignment
from seedbed.run.worker.loop import train
from seedbed.run.worker.rehearse import Rehearsal, rehearse
from seedbed.storage.folder import Folder
from seedbed.storage.retry import retry_seconds
from seedbed.track.ledger import Ledger


def run_plan(
    plan: Plan,
    corpora: Mapping[Corpus, OpenCorpus],
    store: Folder,
    ledger: Ledger,
    *,
    asked: Asked,
    checkpoint_seconds: float | None,
    code_version: dict[str, str],
    surface: Surface | None = None,
    live: Live | None = None,
    keep_weights: bool = True,
    tests: Sequence[OpenTest] = (),
    validate_every: int = 0,
    most_failures: int = 0,
) -> Outcome:
    """Run what is missing of `plan`, and return what became of all of it.

    With a `surface` trials measure it instead of training, and no corpus is read. `live` follows
    what runs, and `keep_weights` keeps the final weights of what completes. Trials are scored on
    `tests` too, and every `validate_every` samples while they train; as many failures as
    `most_failures` (0: no number) stop it. Raises ResourceError before anything starts when a
    cohort cannot fit.
    """
    outcome = read_outcome(store, plan.trials, corpora)
    progress = StudyProgress(len(plan.trials), len(outcome.records), timed=surface is None)
    if outcome.stale:
        place = set_aside(store, outcome.stale)
        progress.say(
            f"caution {len(outcome.stale)} trials were recorded on other data or in another order: "
            f"they are trained anew, and what they left is in {place}"
        )
    chosen = starts(store, plan, outcome, corpora)
    if not chosen:
        progress.close()
        return outcome
    chosen, layout, scaling = _laid_out(
        plan, chosen, asked, store, trains=surface is None, pair_bytes=pair_bytes(corpora)
    )
    progress.say(f"layout  {layout.words}")
    forget(store, plan, outcome, chosen)
    forgive(store, [trial.key for start in chosen for trial in start.cohort.trials])
    attempts = failed_attempts(store)
    since = live.token if live is not None else uuid.uuid4().hex  # a name of this start
    jobs: Mapping[str, Assignment | Rehearsal]
    if surface is None:
        loop = train
        given = scaling, checkpoint_seconds, code_version, since, keep_weights
        jobs = {
            cohort: replace(job, tests=tuple(tests), validate_every=validate_every)
            for cohort, job in _assignments(plan, chosen, corpora, store, layout, *given).items()
        }
    else:
        loop, jobs = rehearse, _rehearsals(plan, chosen, surface, store, code_version)
    jobs = {id: replace(job, attempts=_of(job.cohort, attempts)) for id, job in jobs.items()}
    data = {corpus: opened.fingerprint for corpus, opened in corpora.items()}
    watcher = Watcher(plan, store, ledger, progress, outcome, chosen, data)
    watcher.most_failures, watcher.failed_attempts = most_failures, attempts
    outcome.attempts |= {key: 1 + number for key, number in attempts.items()}
    if live is not None:
        watcher.end = live.asks_to_stop
        live.follow(outcome, chosen, trains=surface is None)
    also = [live] if live is not None else []
    try:
        tune(loop, jobs, layout, store, watcher, checkpoint_seconds, since, also)
    finally:
        forget(store, plan, outcome, [])
        progress.close()
    return outcome


def _of(cohort: Cohort, attempts: Mapping[str, int]) -> dict[str, int]:
    return {t.key: attempts[t.key] for t in cohort.trials if t.key in attempts}


def _laid_out(
    plan: Plan,
    chosen: Sequence[Start],
    asked: Asked,
    store: Folder,
    *,
    trains: bool,
    pair_bytes: float,
) -> tuple[list[Start], Layout, Scaling | None]:
    """`chosen` as its devices hold them, and how they are laid out, which is kept in `store`; and
    what the cluster's autoscaler may start."""
    capacity = cluster_capacity()
    cohorts = [start.cohort for start in chosen]
    layout = choose(plan, cohorts, asked, capacity, trains=trains, pair_bytes=pair_bytes)
    found, said = fitted(chosen, layout)
    layout = replace(layout, words=f"{layout.words}{said}")
    note_layout(store, plan, layout, capacity)
    return found, layout, capacity.scaling


def _assignments(
    plan: Plan,
    chosen: Sequence[Start],
    corpora: Mapping[Corpus, OpenCorpus],
    store: Folder,
    layout: Layout,
    scaling: Scaling | None,
    checkpoint_seconds: float | None,
    code_version: dict[str, str],
    since: str,
    keep_weights: bool,
) -> dict[str, Assignment]:
    """What the workers of each cohort are told to train, by the cohort's id."""
    for start in chosen:
        copy_starts((trial.recipe for trial in start.cohort.trials), store)
    # Nodes may have none of their own, and no way to fetch them. Packed once a study.
    needed = all_assets(start.cohort for start in chosen)
    packed = {asset.name: ray.put(asset.pack()) for asset in needed}
    # By reference: where each of 15 million rows begins is 60 MB, and Ray refuses a function that
    # holds more than 100.
    wanted = dict.fromkeys(start.cohort.recipe.corpus for start in chosen)
    # All in one: what several corpora on one source have in common is there once.
    opened = ray.put({corpus: corpora[corpus] for corpus in wanted})
    costs = plan.costs()
    seconds = retry_seconds()
    return {
        start.cohort.id: Assignment(
            study=plan.study.name,
            scale=plan.scale.name,
            cohort=start.cohort,
            part_of=start.cohort.id,
            since=since,
            kept=start.kept,
            data=opened,
            storage=store.uri,
            code_version=code_version,
            threads=layout.threads,
            data_parallel=layout.data_parallel,
            layout=layout.words,
            device_memory=layout.device_memory,
            device_known=not layout.use_gpu or layout.variants > 0,
            on_cpu=layout.on_cpu,
            num_tasks=layout.data_tasks,
            task_cpus=layout.task_cpus,
            task_memory=layout.task_memory,
            scaling=scaling,
            checkpoint_seconds=checkpoint_seconds,
            costs={trial.key: costs[trial.key] for trial in start.cohort.trials},
            retry_seconds=seconds,
            keep_weights=keep_weights,
            assets={asset.name: packed[asset.name] for asset in start.cohort.assets},
        )
        for start in chosen
    }


def _rehearsals(
    plan: Plan,
    chosen: Sequence[Start],
    surface: Surface,
    store: Folder,
    code_version: dict[str, str],
) -> dict[str, Rehearsal]:
    """The same for cohorts that only pretend."""
    costs = plan.costs()
    return {
        start.cohort.id: Rehearsal(
            study=plan.study.name,
            scale=plan.scale.name,
            cohort=start.cohort,
            surface=surface,
            responses=tuple(plan.metrics[name] for name in plan.responses),
            costs={trial.key: costs[trial.key] for trial in start.cohort.trials},
            storage=store.uri,
            code_version=code_version,
        )
        for start in chosen
    }


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
            mend="set Corpus.test_uri, the same for all, to pairs that no trial trains on: a "
            "folder of their own, by --set corpus.test_uri=FOLDER",
        )
