"""A study's finished trials, scored on test sets that they were not scored on when they ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seedbed.errors import DataError, StudyError

if TYPE_CHECKING:
    from seedbed.evaluate.outcome import Outcome
    from seedbed.evaluate.scores import Scores
    from seedbed.evaluate.test_set import TestSet
    from seedbed.interchange.found import Finished
    from seedbed.recall import Recalled


@dataclass(frozen=True)
class Wanted:
    """A test set with the templates that ask for its classes, and what else decides the numbers;
    `trials` of the study are to be scored on it, and `scored` have been."""

    test_set: TestSet
    templates: tuple[str, ...]
    protocol: Mapping[str, Any]
    trials: tuple[Finished, ...]
    scored: tuple[Finished, ...]


def score_finished(
    recalled: Recalled,
    results: str,
    tests: Sequence[TestSet],
    templates: Sequence[str] = (),
    *,
    at_once: int = 8,
    actors: int = 0,
) -> Iterator[Outcome | DataError]:
    """The outcomes of the completed trials of a study that were not scored on `tests` yet, or why
    one has none.

    They are written into the trials' records in the folder `results`, so that the study counts
    them as its own when it is run again, and told to their runs. Raises DataError and StudyError
    for a test set that cannot be used, or of whose pictures a trial was trained on some, before
    anything is scored.
    """
    from seedbed.cluster.connect import connect
    from seedbed.commands.study.apart import Apart
    from seedbed.evaluate.pretrained import not_aligned
    from seedbed.evaluate.zeroshot import no_number
    from seedbed.interchange.found import trials_of
    from seedbed.run.evaluation import classify_trials

    done = recalled.trials[recalled.trials["status"] == "completed"]["key"]
    trials = trials_of(done, results, recalled.design.study)
    for trial in trials:
        if not compares(trial):
            yield not_aligned(f"{trial.name} ({trial.record.key})")
    trials = [trial for trial in trials if compares(trial)]
    every = [wanted_of(test_set, templates, trials) for test_set in tests]
    left = [trial for one in every for trial in one.trials]
    apart = Apart([one.test_set for one in every if one.trials])
    overlaps = {one.record.key: apart.of_record(one.record) for one in left}
    if left:
        print(f"ray     {connect()}", file=sys.stderr)
    for one in every:
        name = one.test_set.name
        if one.scored:
            said = f"{len(one.scored)} of {len(trials)} trials have been scored on it already"
            print(f"test    {name}: {said}", file=sys.stderr)
        for trial in one.scored:  # MLflow may not have heard of it: a server that was down
            _tell(recalled, as_it_is(trial), name)
        scored = classify_trials(
            one.trials, one.test_set, one.templates, at_once=at_once, actors=actors
        )
        for trial, scores in scored:
            if scores.num_not_finite:
                yield no_number(f"{trial.name} ({trial.record.key})", one.test_set)
                continue
            outcome = outcome_on(trial, one, scores, overlaps[trial.record.key])
            _tell(recalled, keep_outcome(trial, one, outcome), name)
            yield outcome


def compares(trial: Finished) -> bool:
    """Whether its model was trained to compare pictures with texts, as its recipe says."""
    from seedbed.interchange.described import Described

    objective = Described.read(trial.record.recipe, trial.place).objective
    return objective.aligning() is not None


def wanted_of(test_set: TestSet, templates: Sequence[str], trials: Sequence[Finished]) -> Wanted:
    from seedbed.evaluate.test_set import TEMPLATES, checked_templates
    from seedbed.evaluate.zeroshot import protocol_of

    if test_set.kind != "classification":
        raise DataError(
            f"{test_set.uri} is a test set of captions",
            why="--study classifies pictures",
            mend=f"evaluate its trials one by one: seedbed evaluate KEY ... --tests {test_set.uri}",
        )
    name, where = test_set.name, f"{test_set.uri}/{TEMPLATES}"
    chosen = checked_templates(templates or test_set.templates, where)
    protocol = protocol_of(test_set, test_set.mark, chosen)
    scored = [trial for trial in trials if name in trial.record.tests]
    for trial in scored:
        was = trial.record.tests[name]
        if dict(was) != protocol:
            differs = sorted(k for k in {*was, *protocol} if was.get(k) != protocol.get(k))
            raise StudyError(
                f"{trial.name} ({trial.record.key}) was scored on another test set by the name "
                f"'{name}': {', '.join(differs)} differ",
                why="numbers of both would stand in one column",
                mend=f"give this one a name of its own: --tests OTHER={test_set.uri}",
            )
    left = tuple(trial for trial in trials if name not in trial.record.tests)
    return Wanted(test_set, chosen, protocol, left, tuple(scored))


def outcome_on(trial: Finished, wanted: Wanted, scores: Scores, overlap: str) -> Outcome:
    """`overlap` says whether the trial was trained on pictures of the test set."""
    from seedbed.evaluate.pretrained import protocol_of
    from seedbed.evaluate.zeroshot import outcome_of
    from seedbed.interchange.described import Described

    made = Described.read(trial.record.recipe, trial.place)
    protocol = {**protocol_of(made.crop, made.image.size), "overlap": overlap}
    key = trial.record.key
    return outcome_of(key, protocol, wanted.test_set, scores, wanted.templates)


def keep_outcome(trial: Finished, wanted: Wanted, outcome: Outcome) -> Finished:
    """The trial with the outcome in its record, and the examples beside it."""
    from seedbed.evaluate.means import means_over
    from seedbed.evaluate.named import FOLDER

    trial = as_it_is(trial)  # another test set may have been added since it was read
    name, test_set, place = wanted.test_set.name, wanted.test_set, ("trials", trial.record.key)
    trial.store.write_bytes(outcome.scores.table(), *place, FOLDER, f"{name}.parquet")
    trial.store.write_json(outcome.to_json(), *place, FOLDER, f"{name}.json")
    counts = {"num_pictures": outcome.num_examples, "num_names": len(test_set.classes)}
    values = {f"{name}/{n}": float(v) for n, v in {**outcome.known, **counts}.items()}
    values, tests = (
        {**trial.record.metrics, **values},
        {**trial.record.tests, name: wanted.protocol},
    )
    record = replace(trial.record, metrics=values | means_over(values, tests), tests=tests)
    # Last: a record says that everything beside it is whole.
    trial.store.write_json(record.to_json(), *place, "record.json")
    return replace(trial, record=record)


def as_it_is(trial: Finished) -> Finished:
    """The trial with its record as it is now."""
    from seedbed.interchange.found import RECORD
    from seedbed.study.record import TrialRecord

    values = trial.store.read_json("trials", trial.record.key, RECORD)
    return replace(trial, record=TrialRecord.from_json(values))


def _tell(recalled: Recalled, trial: Finished, name: str) -> None:
    """Add what its record has of the test set `name` to the trial's run."""
    from functools import partial

    from seedbed.evaluate.means import OVER_TESTS
    from seedbed.evaluate.named import FOLDER, metrics_named
    from seedbed.track.ledger import Remote
    from seedbed.track.mlflow.added import add_results

    key, file = trial.record.key, f"{FOLDER}/{name}.parquet"
    place = ("trials", key, FOLDER, f"{name}.parquet")
    num_bytes = trial.store.num_bytes(*place)
    files = {file: Remote(num_bytes, partial(trial.store.read_bytes, *place))} if num_bytes else {}
    metrics = (*metrics_named(name), *OVER_TESTS)
    add_results(recalled.uri, recalled.runs[key], trial.record, name, metrics, files)
