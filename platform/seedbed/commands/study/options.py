"""A study's command line and its environment, checked: what was chosen, and why."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.cluster.asked import Asked
from seedbed.commands.study.around import around_best
from seedbed.commands.study.foresight import Foresight, foresight_of
from seedbed.commands.study.limit import most_failures
from seedbed.commands.study.needs import asked_of
from seedbed.commands.study.parser import parser_of
from seedbed.commands.study.tune import nuisance_of
from seedbed.errors import StudyError
from seedbed.evaluate.named import named_tests
from seedbed.home import home
from seedbed.plan.plan import Plan, plan
from seedbed.plan.surface import Surface
from seedbed.plan.weights import check_weights
from seedbed.recipe.scale import scale_named
from seedbed.recipe.setting import parse_setting
from seedbed.study.arguments import checked_seeds
from seedbed.study.study import Study

if TYPE_CHECKING:
    from seedbed.data.peek import Peeked
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.plan.lint.rule import Finding

REHEARSAL = "_rehearsal"


@dataclass(frozen=True)
class Options:
    """The command line and its environment, with what was chosen and why."""

    plan: Plan
    storage: str
    tracking_uri: str
    asked: Asked
    mode: str
    as_json: bool
    max_epochs: int
    surface: Surface | None = None
    keep_weights: bool = True
    foresight: Foresight = Foresight()
    force: bool = False
    untuned: tuple[str, ...] = ()  # cells that a search has found no values for, in words
    validate_every: int = 0
    most_failures: int = 0  # that stop the study; 0 for no number
    tests: tuple[OpenTest, ...] = ()  # of the plan's study, once they have been opened

    @property
    def name(self) -> str:
        """Under which the study is kept: a rehearsal never mixes with what was trained."""
        return self.plan.study.name + (REHEARSAL if self.surface else "")

    @property
    def folder(self) -> tuple[str, ...]:
        """Its place in the results folder; another surface is another rehearsal."""
        return (self.name,) if self.surface is None else (self.name, self.surface.digest)

    @cached_property
    def peeked(self) -> list[Peeked]:
        """What is known of the trials' pairs before anything is read; nothing of a rehearsal's."""
        from seedbed.data.peek import peek

        stated = [trial.recipe.corpus for trial in self.plan.trials]
        return peek(stated, home()) if self.surface is None else []

    @cached_property
    def known_tests(self) -> tuple[list[OpenTest], list[str]]:
        """The test sets whose pictures have been counted, and the names of the others."""
        from seedbed.commands.study.test_sets import known_tests

        return known_tests(self.plan.study) if self.surface is None else ([], [])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the lint finds in the plan."""
        from seedbed.plan.lint.examine import examine
        from seedbed.plan.lint.rule import Draft

        # What filters will leave is not known yet.
        counted = [one for one in self.peeked if one.num_train and not one.at_most]
        return examine(Draft(self.plan, {one.corpus: one.num_train or 0 for one in counted}))

    @property
    def refused(self) -> bool:
        """Whether the lint stops the study: a rehearsal costs nothing, and is let through."""
        from seedbed.plan.lint.examine import errors_of

        return bool(errors_of(self.findings)) and not self.force and self.surface is None

    @property
    def forced(self) -> tuple[str, ...]:
        """The errors of the lint that it runs in spite of, and cells that are not tuned."""
        from seedbed.plan.lint.examine import errors_of

        if not self.force or self.surface is not None:
            return ()
        return (*(finding.what for finding in errors_of(self.findings)), *self.untuned)


def options_of(study: Study, argv: Sequence[str]) -> Options:
    args = parser_of(study).parse_args(argv)
    foresight = foresight_of(args)
    if args.json and not (args.plan or args.draws):
        raise StudyError("--json is given without --plan", mend="add --plan")
    if args.max_epochs < 1:
        raise StudyError(f"--max-epochs is {args.max_epochs}", mend="give 1 or more")
    if args.validate_every < 0:
        raise StudyError(
            f"--validate-every is {args.validate_every}",
            why="it counts the samples between two evaluations",
            mend="give 1 or more, or 0 for none",
        )
    if args.name is not None:
        study = study.called(args.name)
    if args.fold_over is not None:
        study = study.folded_over(args.fold_over)
    study = study.scored_on(named_tests(args.test))
    storage, _ = _chosen(args.storage, "", "SEEDBED_STORAGE", str(home() / "results"))
    study = around_best(study, storage)
    scale_name, reason = _chosen(args.scale, "--scale", "SEEDBED_SCALE", "demo")
    scale = scale_named(scale_name)
    data, _ = _chosen(args.data, "--data", "SEEDBED_DATA", "")
    overrides: dict[str, Any] = {}
    if data:
        # Another corpus keeps its captions in the text member unless --set says otherwise.
        overrides |= {"corpus.uri": data}
        if not data.startswith("demo:"):
            overrides["corpus.caption"] = "txt"
    base = study.base_at(scale)
    for setting in args.set:
        path, value = parse_setting(setting, base)
        overrides[path] = value
    for path in {"corpus.uri", "corpus.test_uri"} & overrides.keys():
        # One folder is one variation of the study, from whatever directory it is named.
        overrides[path] = base.patch(path, overrides[path]).get(path)
    chosen = plan(
        study,
        scale,
        scale_reason=reason,
        overrides=overrides,
        seeds=_seeds(args.seeds),
        cohort_size=args.cohort_size,
        nuisance=nuisance_of(study, args),
    )
    surface = _surface(args.rehearse, study)
    if args.keep_weights is None and surface is None and not args.report:
        check_weights(chosen)
    return Options(
        plan=chosen,
        storage=storage,
        tracking_uri=_chosen(args.tracking_uri, "", "MLFLOW_TRACKING_URI", "")[0],
        asked=asked_of(args),
        mode=_mode(args),
        as_json=args.json,
        max_epochs=args.max_epochs,
        surface=surface,
        keep_weights=args.keep_weights != "none",
        foresight=foresight,
        force=args.force,
        validate_every=args.validate_every,
        most_failures=most_failures(args.max_failures, len(chosen.trials)),
    )


def _mode(args: argparse.Namespace) -> str:
    said = {"plan": args.plan, "report": args.report, "draws": args.draws}
    return next((name for name, chosen in said.items() if chosen), "run")


def _surface(path: str | None, study: Study) -> Surface | None:
    if path is None:
        return None
    return Surface.read(path, study) if path else Surface.default(study).check(study)


def _chosen(argument: str | None, flag: str, variable: str, default: str) -> tuple[str, str]:
    """A setting and why: the argument, else the environment, else the default."""
    if argument is not None:
        return argument, f"{flag} {argument}"
    if os.environ.get(variable):
        return os.environ[variable], f"{variable}={os.environ[variable]}"
    return default, "the default; --scale or SEEDBED_SCALE chooses another"


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return checked_seeds(int(text))
    except ValueError:
        raise StudyError(
            f"--seeds is '{text}'", why="it is a number of seeds", mend="for example --seeds 5"
        ) from None
