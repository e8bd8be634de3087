"""Trials that another study of the same storage has finished: their numbers are taken over.

A key says all that a trial computes, but for the data behind an address: only a record of the same
data in the same order, scored on the same pictures and test sets, stands for a trial of this study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.data.order import ORDER_SCHEMA
from seedbed.evaluate.prompted import OpenTest
from seedbed.interchange.found import WEIGHTS
from seedbed.plan.plan import Plan
from seedbed.run.driver.failures import FAILED_BEFORE, FAILURE
from seedbed.run.driver.outcome import Outcome
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.study.trial import Trial
from seedbed.track.finished import finished_elsewhere

THREADS = 16  # records that are asked for, or copied, at a time
WEIGHTS_AT_ONCE = 2  # each is held whole on its way: 0.6 GB of a ViT-B/32
RECORD = "record.json"
ENDED = frozenset({"completed", "diverged"})  # what the same recipe would come to again


def reuse(
    top: Folder,
    store: Folder,
    plan: Plan,
    outcome: Outcome,
    corpora: Mapping[Corpus, OpenCorpus],
    *,
    tests: Sequence[OpenTest] = (),
    keep_weights: bool = True,
) -> dict[str, str]:
    """Copy into `store` what other studies of `top` have of `plan`'s trials without a record.

    Returns their study by key, and adds their records to `outcome`.
    """
    left = {t.key: t for t in plan.trials if t.key not in outcome.records}
    stale = outcome.stale.keys()
    where = finished_elsewhere(top, left.keys() - stale, store.uri.rpartition("/")[2])
    with ThreadPoolExecutor(THREADS) as pool:
        read = pool.map(lambda key: _record(top, where[key], left[key], corpora, tests), where)
        found = {key: record for key, record in zip(where, read, strict=True) if record is not None}
    found = _scored_alike(found, outcome.records.values())
    with ThreadPoolExecutor(WEIGHTS_AT_ONCE if keep_weights else THREADS) as pool:
        copied = list(pool.map(
            lambda key: _copied(
                top.sub(where[key]), store, found[key], left[key], plan, keep_weights
            ),
            found,
        ))  # fmt: skip
    outcome.records |= {record.key: record for record in copied}
    return {record.key: record.origin for record in copied}


def _record(
    top: Folder,
    study: str,
    trial: Trial,
    corpora: Mapping[Corpus, OpenCorpus],
    tests: Sequence[OpenTest],
) -> TrialRecord | None:
    """The record that `study` has of `trial`, where it stands for this trial too."""
    values = top.read_json(study, "trials", trial.key, RECORD)
    if values is None:
        return None
    record = TrialRecord.from_json(values)
    same = (
        record.status in ENDED
        and (record.key, record.seed, record.role) == (trial.key, trial.seed, trial.role)
        and record.data_fingerprint == corpora[trial.recipe.corpus].fingerprint
        and record.order_schema == ORDER_SCHEMA
    )
    scored = all(record.tests.get(one.test_set.name) == one.protocol for one in tests)
    if not same or (record.status == "completed" and not scored):
        return None
    return replace(record, origin=record.origin or study)


def _scored_alike(
    found: dict[str, TrialRecord], own: Iterable[TrialRecord]
) -> dict[str, TrialRecord]:
    """Those that were scored on the pictures that the study's own were, or else most of them."""
    digests = Counter(r.test_digest for r in own if r.status == "completed" and r.test_digest)
    digests = digests or Counter(r.test_digest for r in found.values() if r.test_digest)
    most = digests.most_common(1)
    return {
        key: record
        for key, record in found.items()
        if not most or record.test_digest == most[0][0] or record.status != "completed"
    }


def _copied(
    source: Folder, store: Folder, record: TrialRecord, trial: Trial, plan: Plan, keep_weights: bool
) -> TrialRecord:
    """`record` as one of this study, with the files beside it; the record itself comes last."""
    left_out = {RECORD, FAILURE, FAILED_BEFORE} | (set() if keep_weights else {WEIGHTS})
    for name in source.sizes("trials", trial.key):
        if name not in left_out:
            parts = ("trials", trial.key, *name.split("/"))
            store.write_bytes(source.read_bytes(*parts), *parts)
    here = replace(
        record,
        study=plan.study.name,
        scale=plan.scale.name,
        cell=trial.cell,
        weights=record.weights if keep_weights else "",
    )
    store.write_json(here.to_json(), "trials", trial.key, RECORD)
    return here
