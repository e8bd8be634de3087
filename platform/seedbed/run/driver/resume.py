"""What a start can go on from: the checkpoints that earlier ones left, and who goes on together.

Every worker group is a Ray Train run of its own name, so that nothing goes on from a checkpoint
that was not chosen here: one that is whole, of the same data in the same order, and holds the
trial in a sound state. Variants have nothing in common but the stream, so any of a
checkpoint's trials may go on from it, with any of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.plan.cohort import Cohort
from seedbed.plan.ladder import grouped
from seedbed.plan.plan import Plan
from seedbed.run.driver.failures import failed_before
from seedbed.run.driver.outcome import Outcome
from seedbed.run.worker.checkpoint import Kept, checkpoints_of, data_mark, runs_of
from seedbed.storage.folder import Folder
from seedbed.study.trial import Trial


@dataclass(frozen=True)
class Start:
    """A cohort that is to run, and what it goes on from."""

    cohort: Cohort
    kept: Kept | None = None


def starts(
    store: Folder, plan: Plan, outcome: Outcome, corpora: Mapping[Corpus, OpenCorpus]
) -> list[Start]:
    """The cohorts that still have trials to run, of at most the plan's cohort size.

    Trials that a checkpoint holds go on together, but for those that failed, whose neighbours
    may have been the cause: they go on apart. What no checkpoint holds is grouped as planned.
    """
    left = {t.key: t for t in plan.trials if t.key not in outcome.records}
    failed = failed_before(store, left)
    best = _best(store, left, corpora)
    size = max(len(cohort.trials) for cohort in plan.cohorts)
    groups: dict[tuple[Kept, bool], list[Trial]] = {}
    for key, trial in left.items():
        if key in best:
            groups.setdefault((best[key], key in failed), []).append(trial)
    found = [
        Start(Cohort(part), kept)
        for (kept, _), group in groups.items()
        for part in grouped(group, size)
    ]
    for cohort in plan.cohorts:
        trials = [t for t in cohort.trials if t.key in left and t.key not in best]
        if trials:
            found.append(Start(Cohort(tuple(trials))))
    return found


def forget(store: Folder, plan: Plan, outcome: Outcome, chosen: Sequence[Start]) -> None:
    """Remove the runs that nothing will ever go on from.

    Their trials have their records or go on from something further, or they left no checkpoint.
    A checkpoint of other data stays: the data may come back.
    """
    keys = {trial.key for trial in plan.trials}
    used = {start.kept.run for start in chosen if start.kept is not None}
    going_on = {t.key for start in chosen if start.kept is not None for t in start.cohort.trials}
    for run in runs_of(store, keys):
        settled = outcome.records.keys() | going_on
        unused = run.name not in used and keys >= set(run.trials)
        if unused and (settled >= set(run.trials) or not has_checkpoint(store, run.name)):
            remove_run(store, run.name)


def has_checkpoint(store: Folder, run: str) -> bool:
    """Whether a run left a checkpoint, whole or not."""
    return any(name.startswith("checkpoint_") for name in store.names("cohorts", run))


def remove_run(store: Folder, run: str) -> None:
    """Remove a run's checkpoints and what is known of it."""
    store.remove("cohorts", run)
    store.remove("cohorts", f"{run}.json")


def _best(
    store: Folder, left: Mapping[str, Trial], corpora: Mapping[Corpus, OpenCorpus]
) -> dict[str, Kept]:
    """For each trial the sound checkpoint that is furthest on, where there is one."""
    best: dict[str, Kept] = {}
    if not corpora:  # a rehearsal has none
        return best
    marks = {key: data_mark(corpora[t.recipe.corpus].fingerprint) for key, t in left.items()}
    for run in runs_of(store, set(left)):
        for kept, place in checkpoints_of(store, run.name):
            for key in kept.keys & left.keys():
                further = key not in best or best[key].step_number < kept.step_number
                if further and marks[key].items() <= place.items():
                    best[key] = kept
    return best
