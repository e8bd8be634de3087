"""The lines that are printed about a plan, before it runs and when it starts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from seedbed.evaluate.named import test_called
from seedbed.plan.levels import resolved_words
from seedbed.plan.plan import Plan
from seedbed.study.impossible import asks
from seedbed.study.label import label_text

MOST_LINES = 200  # of trials, and of cohorts: nobody reads 10,000

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.storage.folder import Folder
    from seedbed.study.record import TrialRecord
    from seedbed.study.study import Study

    Corpora = Mapping[Corpus, OpenCorpus]


def say_start(options: Options, corpora: Corpora, store: Folder, done: int) -> None:
    from seedbed.plan.lint.examine import lint_lines

    chosen = options.plan
    say = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        f"data    {_data_text(chosen, corpora)}",
        f"trials  {len(chosen.trials)} in {len(chosen.cohorts)} cohorts, {done} done already",
        f"results {store.uri}",
    ]
    found = lint_lines(options.findings, brief=True)
    if options.forced:
        found.append("force   the study runs in spite of these errors, and its results say so")
    print(
        "\n".join(
            [
                *say,
                *design_lines(chosen.study),
                *test_lines(chosen.study),
                *unjudged_claims(chosen),
                *found,
            ]
        ),
        file=sys.stderr,
    )


def design_lines(study: Study) -> list[str]:
    """Which cells a study trains, where not all, and what they cannot tell apart."""
    lines = [f"forbid  {rule}{f': {rule.why}' if rule.why else ''}" for rule in study.constraints]
    if asks(study.constraints) and not any(rule.why for rule in study.constraints):
        lines.append("        and every combination of levels can be trained")
    if study.design is not None:
        lines.append(f"design  {study.design}: {len(study.cells())} cells")
        lines += [f"alias   {line}" for line in study.design.aliases(study.factors)]
    return lines


def found_lines(options: Options) -> list[str]:
    """What the lint finds in a plan, with why it matters and how to mend it."""
    from seedbed.plan.lint.examine import errors_of, lint_lines

    found = options.findings
    if not found:
        return ["", "lint    nothing is found"]
    errors = len(errors_of(found))
    counts = f"{_counted(errors, 'error')}, {_counted(len(found) - errors, 'caution')}"
    if options.refused:
        counts += ": the study runs with --force only"
    return ["", *lint_lines(found), f"lint    {counts}"]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def level_lines(chosen: Plan) -> list[str]:
    """What each level resolves to at the plan's scale, whatever its label says."""
    words = {
        f"{factor.name}={label_text(label)}": said
        for factor in chosen.study.factors
        for label, said in resolved_words(factor, chosen.trials).items()
    }
    width = max(map(len, words))
    return [f"level   {name:<{width}}  {said}" for name, said in words.items()]


def base_line(chosen: Plan) -> str:
    """What every level is compared with."""
    study = chosen.study
    base = [f"{f.name}={label_text(f.baseline(study.base))}" for f in study.factors]
    return f"base    {' '.join(base)}: what their other levels are compared with"


def claim_lines(chosen: Plan) -> list[str]:
    """The claims that will be judged, and those that will not."""
    judged = [f"claim   {claim.id}: {claim.statement}" for claim in chosen.judged_claims]
    return [*judged, *unjudged_claims(chosen)]


def trial_lines(chosen: Plan) -> list[str]:
    """A line for each trial; of many, those of the first seed only."""
    costs, trials = chosen.costs(), chosen.trials
    first = [trial for trial in trials if trial.seed == trials[0].seed]
    shown = (trials if len(trials) <= MOST_LINES else first)[:MOST_LINES]
    width = max(len(trial.name) for trial in shown)
    lines = [f"{'trial':<{width}}  key               params  train PFLOP"]
    for trial in shown:
        cost = costs[trial.key]
        lines.append(
            f"{trial.name:<{width}}  {trial.key}  {cost.num_params / 1e6:5.1f} M"
            f"  {cost.train_flops / 1e15:11.4g}"
        )
    return lines + _more(len(trials) - len(shown), "trials")


def cohort_lines(chosen: Plan) -> list[str]:
    """A line for each cohort; of many, the first."""
    lines = [
        f"cohort {c.id}  seed {c.recipe.seed}  {len(c.trials)} variants on one stream of "
        f"{c.samples:,} samples"
        for c in chosen.cohorts[:MOST_LINES]
    ]
    return lines + _more(len(chosen.cohorts) - len(lines), "cohorts")


def _more(number: int, what: str) -> list[str]:
    return [f"and {number:,} {what} more (--json names them)"] if number else []


def test_lines(study: Study) -> list[str]:
    """The test sets that trials are scored on beside the held-out pairs; claims about others."""
    lines = [
        f"test    {one.name}: {one.uri or f'what `seedbed prepare {one.name}` builds'}"
        for one in study.tests
    ]
    about: dict[str, list[str]] = {}
    for claim in study.claims:
        if claim.test_set and test_called(claim.test_set, study.tests) is None:
            about.setdefault(claim.test_set, []).append(claim.id)
    lines += [
        f"claim   {', '.join(ids)}: of {name}, and seen here by another measure; --test "
        f"{name.lower()}=URI scores trials on it"
        for name, ids in about.items()
    ]
    return lines


def unscored_lines(study: Study, records: Iterable[TrialRecord]) -> list[str]:
    """The test sets that trials were not scored on which have been recorded, and how they are."""
    done = [record for record in records if record.status == "completed"]
    left = {
        test: len(missing)
        for test in study.tests
        if (missing := [one for one in done if test.name not in one.tests])
    }
    said = [
        f"test    {test.name}: {number:,} of {len(done):,} recorded trials were not scored on it, "
        "and are kept as they are"
        for test, number in left.items()
    ]
    if left:
        named = " ".join(f"{t.name}={t.uri}" if t.uri else t.name for t in left)
        said.append(f"        seedbed evaluate --study {study.name} --tests {named} scores them")
    return said


def unjudged_claims(chosen: Plan) -> list[str]:
    """A warning for each claim about another scale than the plan's: it will get no verdict."""
    return [
        f"claim   {claim.id} is about the scale {' or '.join(claim.scale)}: at "
        f"{chosen.scale_words} the report says what is seen of it, and gives no verdict"
        for claim in chosen.study.claims
        if claim not in chosen.judged_claims
    ]


def _data_text(chosen: Plan, corpora: Corpora) -> str:
    opened = list(corpora.values())
    if not opened:
        return "none is read: a rehearsal, whose trials measure a response surface"
    pairs = sorted({corpus.train.num_samples for corpus in opened})
    counts = f"{pairs[0]:,}" if len(pairs) == 1 else f"{pairs[0]:,} to {pairs[-1]:,}"
    several = f" in {len(opened)} selections" if len(opened) > 1 else ""
    marks = sorted({corpus.fingerprint[:12] for corpus in opened})
    return (
        f"{uris(chosen)}: {counts} pairs to train on{several}, "
        f"{opened[0].test.num_samples:,} held out, fingerprint {', '.join(marks)}"
    )


def uris(chosen: Plan) -> str:
    """The places that the trials read from."""
    return ", ".join(sorted({trial.recipe.corpus.uri for trial in chosen.trials}))
