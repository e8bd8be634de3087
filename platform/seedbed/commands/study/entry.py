"""What the ledger is told of a study: its design, its identity and its code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.commands.study.lines import uris
from seedbed.plan.design import Design, Look, StatedError
from seedbed.plan.design_data import DesignData, SelectedData, SelectionStep
from seedbed.plan.plan import Plan
from seedbed.study.arguments import ERRORS
from seedbed.study.claim import ERROR_ID, digest_of
from seedbed.study.label import label_text
from seedbed.study.looks import LOOKS_ID

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.track.ledger import StudyEntry

    Corpora = Mapping[Corpus, OpenCorpus]


def entry_of(
    options: Options,
    corpora: Corpora,
    stated: Mapping[str, str],
    looks: Sequence[Mapping[str, int]] = (),
) -> StudyEntry:
    """What the ledger is told of the study; `stated` says when each claim was, by its id, and
    `looks` from what earlier reports were written."""
    from seedbed.track.ledger import StudyEntry

    chosen, study = options.plan, options.plan.study
    marks = sorted({c.fingerprint for c in corpora.values()}) or ["rehearsal"]
    design = design_of(options, corpora, stated)
    claims = [claim.claim.to_json() for claim in design.claims]
    return StudyEntry(
        study=options.name,
        scale=chosen.scale.name,
        question=study.question,
        design=replace(design, looks=tuple(Look(**look) for look in looks)),
        params=_constants(chosen),
        tags={
            "seedbed.data_fingerprint": ", ".join(marks),
            "mlflow.source.name": Path(sys.argv[0]).name,
            "mlflow.source.git.commit": code_version()["git_commit"],
            **({"seedbed.claims": ", ".join(map(digest_of, claims))} if claims else {}),
            **({"seedbed.run_of": study.own_name} if study.own_name != study.name else {}),
            **({"seedbed.looks": _tag([design.sequential.words])} if design.sequential else {}),
            **({"seedbed.forced": _tag(design.forced)} if design.forced else {}),
        },
    )


MOST_CHARACTERS = 5_000  # of a tag in MLflow


def _tag(forced: Sequence[str]) -> str:
    text = "; ".join(forced)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def design_of(options: Options, corpora: Corpora, stated: Mapping[str, str]) -> Design:
    """The design, with the data that was found and when claims and error were stated."""
    design = _named(options)
    kind = design.error.kind
    return replace(
        design,
        data=_data_of(options.plan, list(corpora.values())),
        forced=options.forced,
        looks_stated=stated.get(LOOKS_ID, ""),
        claims=tuple(replace(c, stated=stated.get(c.claim.id, "")) for c in design.claims),
        error=StatedError(kind=kind, stated=stated.get(ERROR_ID, "") if kind != ERRORS[0] else ""),
    )


def _data_of(chosen: Plan, opened: Sequence[OpenCorpus]) -> DesignData:
    if not opened:
        return DesignData(uri=uris(chosen))
    data = DesignData(
        uri=uris(chosen),
        num_test_samples=opened[0].test.num_samples,
        sources=tuple(sorted({source.name for corpus in opened for source in corpus.sources})),
    )
    if len(opened) > 1 or opened[0].steps:
        return replace(data, selections=tuple(_selection(chosen, corpus) for corpus in opened))
    num_samples = opened[0].train.num_samples
    return replace(data, fingerprint=opened[0].fingerprint, num_samples=num_samples)


def _named(options: Options) -> Design:
    """The plan's design; a rehearsal's has another name, and its surface among the overrides."""
    design = replace(options.plan.design(), study=options.name)
    if options.surface is None:
        return design
    overrides = {**design.overrides, "surface": options.surface.digest}
    return replace(design, rehearsal=options.surface, overrides=overrides)


def _selection(chosen: Plan, corpus: OpenCorpus) -> SelectedData:
    """The pairs of some of the cells, and what each step of their choice removed."""
    of_data = [f.name for f in chosen.study.factors if any(p.startswith("corpus") for p in f.paths)]
    cells = {
        " ".join(
            f"{name}={label_text(level)}" for name, level in trial.cell.items() if name in of_data
        )
        for trial in chosen.trials
        if trial.recipe.corpus == corpus.corpus
    }
    return SelectedData(
        cells=tuple(sorted(cells)),
        uri=corpus.corpus.uri,
        caption=corpus.corpus.caption,
        fingerprint=corpus.fingerprint,
        num_samples=corpus.train.num_samples,
        steps=tuple(
            SelectionStep(name=step.name, num_rows=step.num_rows, num_removed=step.num_removed)
            for step in corpus.steps
        ),
    )


def _constants(chosen: Plan) -> dict[str, Any]:
    """The recipe fields that are the same in every trial."""
    flat = [trial.flat for trial in chosen.trials]
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
    # A cluster's nodes have the code and its history, and not the rest of the checkout.
    if commit and git("status", "--porcelain", "--untracked-files=no", ":/platform", ":/studies"):
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
    design = replace(_named(options), data=DesignData(uri=uris(chosen)))
    return StudyEntry(options.name, chosen.scale.name, chosen.study.question, design).identity
