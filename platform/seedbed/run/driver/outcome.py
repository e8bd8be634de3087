"""The outcome of a plan's trials, read from the results folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import failure_in
from seedbed.evaluate.named import FOLDER as TESTS
from seedbed.evaluate.tasks import all_tasks
from seedbed.plan.plan import Plan
from seedbed.storage.folder import Folder
from seedbed.study.record import Status, TrialRecord
from seedbed.study.trial import Trial
from seedbed.track.ledger import File, Remote

THREADS = 16  # that ask a bucket for records, each for one at a time
ASIDE = "aside"  # the folder of what was recorded on other data


@dataclass
class Outcome:
    """The outcome of every planned trial, by key.

    `reasons` are those of trials that were started and have no record; of these `stopped` were
    stopped, and the others failed; a Reason has the class of the failure. `attempts` is how often
    trials were begun that failed at least once. `stale` are the data of records that do not count.
    `limit` says by which limit on failures the study stopped, in words.
    """

    records: dict[str, TrialRecord] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    limit: str = ""

    @property
    def failed(self) -> list[str]:
        """The keys of trials that failed, and were not stopped."""
        return [key for key in self.reasons if key not in self.stopped]

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Trials that are not completed."""
        return [
            t
            for t in trials
            if t.key not in self.records or self.records[t.key].status != "completed"
        ]


def read_outcome(
    store: Folder, trials: Sequence[Trial], corpora: Mapping[Corpus, OpenCorpus] | None
) -> Outcome:
    """The records that the results folder holds for `trials`.

    A record of other data (another fingerprint behind the same address), or of the same data in
    another order, does not count.
    """
    outcome = Outcome()
    begun = set(store.names("trials"))  # one listing: most of 10,000 trials may not have
    some = [trial for trial in trials if trial.key in begun]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda t: store.read_json("trials", t.key, "record.json"), some))
    for trial, values in zip(some, found, strict=True):
        if values is None:
            continue
        record = TrialRecord.from_json(values)
        corpus = corpora[trial.recipe.corpus] if corpora else None
        if corpus is None or (
            record.data_fingerprint == corpus.fingerprint and record.order_schema == ORDER_SCHEMA
        ):
            # Of before a factor was added, or a label changed: it is the cell of this plan now.
            same = record.cell == trial.cell
            outcome.records[trial.key] = record if same else replace(record, cell=trial.cell)
        else:
            outcome.stale[trial.key] = record.data_fingerprint
    return outcome


def set_aside(store: Folder, stale: Mapping[str, str]) -> str:
    """Move what trials left on other data out of the way of new records; returns where it is."""
    for key, fingerprint in stale.items():
        names = store.sizes("trials", key)
        # The record first: without it the files beside it do not count, should this be interrupted.
        for name in sorted(names, key=lambda name: name != "record.json"):
            parts = name.split("/")
            store.move(("trials", key, *parts), (ASIDE, f"{key}-{fingerprint[:12]}", *parts))
    return store.place(ASIDE)


def failed(
    plan: Plan, trial: Trial, cohort: str, reason: str, attempt: int = 1, status: Status = "failed"
) -> TrialRecord:
    """A record for a trial that ended without leaving one."""
    return TrialRecord(
        key=trial.key,
        study=plan.study.name,
        scale=plan.scale.name,
        cell=trial.cell,
        seed=trial.seed,
        cohort=cohort,
        status=status,
        reason=reason,
        failure=failure_in(reason) if status == "failed" else "",
        attempt=attempt,
        recipe=trial.recipe.flatten(),
        role=trial.role,
    )


def kept_files() -> tuple[str, ...]:
    """The small files beside a record that the ledger keeps, but for those of test sets."""
    return (*(task.file for task in all_tasks()), "bad_samples.parquet")


def _is_kept(name: str) -> bool:
    return name in kept_files() or (
        name.startswith(f"{TESTS}/") and name.endswith((".parquet", ".json"))
    )


def record_files(store: Folder, key: str) -> dict[str, File]:
    """The small files beside a record that the ledger keeps.

    In a bucket they are read only when the ledger wants them.
    """
    if store.local:
        names = [*kept_files(), *(f"{TESTS}/{name}" for name in store.names("trials", key, TESTS))]
        paths = {name: Path(store.path("trials", key, name)) for name in names if _is_kept(name)}
        return {name: path for name, path in paths.items() if path.exists()}
    return _remote_files(store, key, store.sizes("trials", key))


def files_of_records(store: Folder, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, File]]]:
    """Each of `keys` with its `record_files`. A bucket is listed once for all of them."""
    of_key: dict[str, dict[str, int]] = {key: {} for key in keys}
    if of_key and not store.local:
        for name, num_bytes in store.sizes("trials").items():
            key, _, rest = name.partition("/")
            if key in of_key:
                of_key[key][rest] = num_bytes
    for key, sizes in of_key.items():
        yield key, record_files(store, key) if store.local else _remote_files(store, key, sizes)


def _remote_files(store: Folder, key: str, sizes: Mapping[str, int]) -> dict[str, File]:
    return {
        name: Remote(num_bytes, partial(store.read_bytes, "trials", key, name))
        for name, num_bytes in sizes.items()
        if _is_kept(name)
    }
