"""What is said of a plan: before it runs, as the design of a study, and to the ledger."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.plan.confounded import moved_together, views_read
from seedbed.plan.levels import resolved_words
from seedbed.plan.plan import Plan
from seedbed.study.claim import ERROR_ID, digest_of
from seedbed.study.label import label_text

if TYPE_CHECKING:
    from seedbed.commands.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.data.peek import Peeked
    from seedbed.storage.folder import Folder
    from seedbed.track.ledger import StudyEntry

    Corpora = Mapping[Corpus, OpenCorpus]


def print_plan(options: Options) -> None:
    """Print trials, cohorts, pairs and cost. Raises where the study would be refused for them."""
    from seedbed.data.peek import peek
    from seedbed.home import home
    from seedbed.run.driver.preflight import check_epochs, check_workers

    check_workers(options.plan, options.workers)
    stated = [trial.recipe.corpus for trial in options.plan.trials]
    peeked = peek(stated, home()) if options.surface is None else []
    known = {found.corpus: found.num_train for found in peeked if found.num_train}
    warnings = check_epochs(options.plan, known, options.max_epochs)
    if options.as_json:
        told = options.plan.to_json() | {"pairs": [found.to_json() for found in peeked]}
        print(json.dumps(told, indent=1, sort_keys=True))
        return
    print(_plan_text(options.plan, [*_pairs(options.plan, peeked), *warnings]))


def _pairs(chosen: Plan, peeked: Sequence[Peeked]) -> list[str]:
    """A line for each corpus: its pairs and how often they come, as far as they are counted."""
    from seedbed.run.driver.preflight import epochs

    lines = []
    for found in peeked:
        corpus = found.corpus
        several = corpus.selection.fingerprint and f" ({corpus.selection.fingerprint[:8]})"
        if not found.num_train:
            how = "the first run builds it" if corpus.uri.startswith("demo:") else "seedbed index"
            lines.append(f"data    {corpus.uri}{several}: its pairs are not counted yet ({how})")
            continue
        times = epochs(chosen, {corpus: found.num_train})[corpus]
        held = "" if found.num_test is None else f", {found.num_test:,} held out"
        most, least = ("at most ", "at least ") if found.at_most else ("", "")
        lines.append(
            f"data    {corpus.uri}{several}: {most}{found.num_train:,} pairs to train on{held}; "
            f"{least}{times:,.3g} epochs"
        )
    return list(dict.fromkeys(lines))  # two caption fields of the same pairs are one line


def _plan_text(chosen: Plan, data: Sequence[str]) -> str:
    costs = chosen.costs()
    lines = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        *(data or [f"data    {_uris(chosen)}"]),
    ]
    lines += [f"set     {path} = {value}" for path, value in chosen.overrides]
    if chosen.study.fraction is not None:
        lines.append(f"design  {chosen.study.fraction}")
    lines += bundles(chosen)
    lines += [*level_lines(chosen), *unjudged_claims(chosen)]
    width = max(len(t.name) for t in chosen.trials)
    lines += ["", f"{'trial':<{width}}  key               params  train PFLOP"]
    for trial in chosen.trials:
        cost = costs[trial.key]
        lines.append(
            f"{trial.name:<{width}}  {trial.key}  {cost.num_params / 1e6:5.1f} M"
            f"  {cost.train_flops / 1e15:11.4g}"
        )
    total = sum(cost.train_flops for cost in costs.values())
    hours = sum(cost.reference_hours for cost in costs.values())
    samples = sum(cost.samples for cost in costs.values())
    read = sum(cohort.samples for cohort in chosen.cohorts)
    lines += [
        "",
        *(
            f"cohort {c.id}  seed {c.recipe.seed}  {len(c.trials)} variants on one stream of "
            f"{c.samples:,} samples"
            for c in chosen.cohorts
        ),
        "",
        f"total   {len(chosen.trials)} trials in {len(chosen.cohorts)} cohorts; trained on "
        f"{samples:,} samples, of which {read:,} are decoded",
        f"cost    {total / 1e15:,.4g} PFLOP: {hours:,.3g} device-hours at 125 TFLOP/s "
        "(bf16 at 40 % of an A100's peak)",
    ]
    return "\n".join(lines)


def say_start(options: Options, corpora: Corpora, store: Folder, done: int) -> None:
    chosen = options.plan
    say = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        f"data    {_data_text(chosen, corpora)}",
        f"trials  {len(chosen.trials)} in {len(chosen.cohorts)} cohorts, {done} done already",
        f"results {store.uri}",
    ]
    print(
        "\n".join([*say, *unchecked(corpora), *bundles(chosen), *unjudged_claims(chosen)]),
        file=sys.stderr,
    )


def unchecked(corpora: Corpora) -> list[str]:
    """Said where nobody knows whether held-out pictures are trained on under another name."""
    return [
        f"copies  of held-out pictures in {opened.num_unchecked:,} of the "
        f"{len(opened.train.paths):,} shards of {corpus.uri} were not looked for: no index has "
        f"their digests (seedbed index {corpus.uri})"
        for corpus, opened in corpora.items()
        if opened.num_unchecked
    ]


def bundles(chosen: Plan) -> list[str]:
    """Said before anything runs: which factors move more than their main part of the recipe."""
    read = views_read(chosen)
    lines = []
    for name, fields in moved_together(chosen).items():
        lines.append(
            f"bundle  the levels of '{name}' also differ in {', '.join(fields)}: what is found of "
            f"it is found of {' + '.join([name, *fields])}"
        )
        # Levels that read the same stand together.
        alike: dict[tuple[str, ...], list[str]] = {}
        for label, views in read.get(name, {}).items():
            alike.setdefault(views, []).append(label_text(label))
        lines += [f"views   {', '.join(ls)}: {', '.join(views)}" for views, ls in alike.items()]
    return lines


def level_lines(chosen: Plan) -> list[str]:
    """What each level comes to at the plan's scale: what runs, whatever its label says."""
    words = {
        f"{factor.name}={label_text(label)}": said
        for factor in chosen.study.factors
        for label, said in resolved_words(factor, chosen.trials).items()
    }
    width = max(map(len, words))
    return [f"level   {name:<{width}}  {said}" for name, said in words.items()]


def unjudged_claims(chosen: Plan) -> list[str]:
    """Said before anything runs: which claims are about another scale than the plan's."""
    return [
        f"claim   {claim.id} is about the scale {' or '.join(claim.scale)}: at "
        f"{chosen.scale.name} the report says what is seen of it, and gives no verdict"
        for claim in chosen.study.claims
        if claim.scale and chosen.scale.name not in claim.scale
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
        f"{_uris(chosen)}: {counts} pairs to train on{several}, "
        f"{opened[0].test.num_samples:,} held out, fingerprint {', '.join(marks)}"
    )


def entry_of(
    options: Options,
    corpora: Corpora,
    stated: Mapping[str, str],
    looks: Sequence[Mapping[str, int]] = (),
) -> StudyEntry:
    """What the ledger is told of the study; `stated` says when each claim was, by its id, and
    `looks` from what earlier reports were written."""
    from seedbed.track.ledger import StudyEntry

    chosen = options.plan
    marks = sorted({c.fingerprint for c in corpora.values()}) or ["rehearsal"]
    claims = chosen.design().get("claims")
    return StudyEntry(
        study=options.name,
        scale=chosen.scale.name,
        question=chosen.study.question,
        design=design_of(options, corpora, stated)
        | ({"looks": [dict(look) for look in looks]} if looks else {}),
        params=_constants(chosen),
        tags={
            "seedbed.data_fingerprint": ", ".join(marks),
            "mlflow.source.name": Path(sys.argv[0]).name,
            "mlflow.source.git.commit": code_version()["git_commit"],
            **({"seedbed.claims": ", ".join(map(digest_of, claims))} if claims else {}),
        },
    )


def design_of(options: Options, corpora: Corpora, stated: Mapping[str, str]) -> dict[str, Any]:
    """The design as plain JSON values, with the data that was found."""
    chosen, opened = options.plan, list(corpora.values())
    data: dict[str, Any] = {"uri": _uris(chosen)}
    if opened:
        data["num_test_samples"] = opened[0].test.num_samples
        data["sources"] = sorted({source.name for corpus in opened for source in corpus.sources})
        if unknown := sum(corpus.num_unchecked for corpus in opened):
            data["num_unchecked_shards"] = unknown
    if len(opened) == 1 and not opened[0].steps:
        data |= {"fingerprint": opened[0].fingerprint, "num_samples": opened[0].train.num_samples}
    elif opened:
        data["selections"] = [_selection(chosen, corpus) for corpus in opened]
    design = _named(options) | {"data": data}
    if "claims" in design:
        design["claims"] = [
            claim | {"digest": digest_of(claim), "stated": stated.get(claim["id"], "")}
            for claim in design["claims"]
        ]
    if "error" in design:
        mark = {"digest": digest_of(design["error"]), "stated": stated.get(ERROR_ID, "")}
        design["error"] = design["error"] | mark
    return design


def _named(options: Options) -> dict[str, Any]:
    """The plan's design; a rehearsal's has another name, and its surface among the overrides."""
    design = options.plan.design() | {"study": options.name}
    if options.surface is not None:
        design["rehearsal"] = options.surface.to_json()
        design["overrides"] |= {"surface": options.surface.digest}
    return design


def _selection(chosen: Plan, corpus: OpenCorpus) -> dict[str, Any]:
    """The pairs of some of the cells, and what each step of their choice removed."""
    of_data = [f.name for f in chosen.study.factors if any(p.startswith("corpus") for p in f.paths)]
    cells = {
        " ".join(
            f"{name}={label_text(level)}" for name, level in trial.cell.items() if name in of_data
        )
        for trial in chosen.trials
        if trial.recipe.corpus == corpus.corpus
    }
    return {
        "cells": sorted(cells),
        "uri": corpus.corpus.uri,
        "caption": corpus.corpus.caption,
        "fingerprint": corpus.fingerprint,
        "num_samples": corpus.train.num_samples,
        "steps": [
            {"name": step.name, "num_rows": step.num_rows, "num_removed": step.num_removed}
            for step in corpus.steps
        ],
    }


def _uris(chosen: Plan) -> str:
    """The places that the trials read from."""
    return ", ".join(sorted({trial.recipe.corpus.uri for trial in chosen.trials}))


def _constants(chosen: Plan) -> dict[str, Any]:
    """The recipe fields that are the same in every trial."""
    flat = [trial.recipe.flatten() for trial in chosen.trials]
    shared = {path for path in flat[0] if all(f.get(path) == flat[0][path] for f in flat)}
    return {path: value for path, value in flat[0].items() if path in shared}


def code_version() -> dict[str, str]:
    """The package's version, the commit of its checkout where there is one, and libraries."""
    import subprocess
    from importlib.metadata import version

    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD")
    if commit and git("status", "--porcelain", "--untracked-files=no"):
        commit += "-modified"
    return {
        "seedbed": version("seedbed"),
        "git_commit": commit or "unknown",
        "torch": version("torch"),
        "ray": version("ray"),
        "timm": version("timm"),
    }


def identity_of(options: Options) -> str:
    """The study's identity in the ledger, without opening its corpus."""
    from seedbed.track.ledger import StudyEntry

    chosen = options.plan
    design = _named(options) | {"data": {"uri": _uris(chosen)}}
    return StudyEntry(options.name, chosen.scale.name, chosen.study.question, design).identity
