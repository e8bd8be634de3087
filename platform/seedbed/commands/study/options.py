"""A study's command line and its environment, checked: what was chosen, and why."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seedbed.cluster.asked import Asked
from seedbed.commands.study.foresight import Foresight, add_foresight, foresight_of
from seedbed.commands.study.limit import add_limit, most_failures
from seedbed.commands.study.needs import add_needs, asked_of
from seedbed.commands.study.tune import add_tuning, nuisance_of
from seedbed.errors import StudyError
from seedbed.evaluate.named import named_tests
from seedbed.exits import MEANINGS
from seedbed.home import home
from seedbed.plan.cohort import COHORT_SIZE
from seedbed.plan.plan import Plan, plan
from seedbed.plan.surface import Surface
from seedbed.plan.weights import MOST_WEIGHTS, check_weights
from seedbed.recipe.scale import scale_named
from seedbed.recipe.setting import parse_setting
from seedbed.study.arguments import checked_seeds
from seedbed.study.study import Study

if TYPE_CHECKING:
    from seedbed.data.peek import Peeked
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.plan.lint.rule import Finding

REHEARSAL = "_rehearsal"
# The paper reads its pairs 35 times. So many are a slip of the hand more often than a question (a
# cluster's budget on a laptop's corpus), and cost days.
MOST_EPOCHS = 1_000


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
        """The errors of the lint that it runs in spite of."""
        from seedbed.plan.lint.examine import errors_of

        if not self.force or self.surface is not None:
            return ()
        return tuple(finding.what for finding in errors_of(self.findings))


def _parser(study: Study) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=study.question,
        epilog="Exit status: " + "; ".join(f"{code} {said}" for code, said in MEANINGS.items()),
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--plan", action="store_true", help="print trials, cohorts and cost; stop")
    mode.add_argument("--report", action="store_true", help="rebuild the report from MLflow")
    parser.add_argument(
        "--json", action="store_true", help="with --plan or --draws: one JSON object"
    )
    parser.add_argument(
        "--rehearse",
        metavar="SURFACE",
        nargs="?",
        const="",
        help="train nothing: trials measure a response surface (a JSON file; without one, a point "
        "from level to level), through the same engine, MLflow and report",
    )
    parser.add_argument("--scale", help="smoke, demo, small or paper (SEEDBED_SCALE; demo)")
    parser.add_argument("--data", metavar="URI", help="your own webdataset folder (SEEDBED_DATA)")
    parser.add_argument(
        "--storage", metavar="URI", help="where results go (SEEDBED_STORAGE; ~/.seedbed/results)"
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow (MLFLOW_TRACKING_URI; ~/.seedbed/mlflow.db)"
    )
    parser.add_argument(
        "--test",
        metavar="NAME[=URI]",
        action="append",
        default=[],
        help="score every trial on this test set too, and ask the question of it: a folder in "
        "clip_benchmark's layout, or what `seedbed prepare NAME` builds; repeatable",
    )
    parser.add_argument(
        "--validate-every",
        metavar="SAMPLES",
        type=int,
        default=0,
        help="score trials while they train, each time they have seen so many more (never)",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help=f"keep this run apart, under a name of its own ({study.name}): several runs of one "
        "study stand side by side",
    )
    parser.add_argument(
        "--fold-over",
        metavar="FACTOR",
        nargs="?",
        const="",
        help="add the other half of a fraction's cells that tells aliased effects apart: levels "
        "exchanged of one FACTOR, which frees it and its interactions, or of all, which frees main "
        "effects; only what is new runs",
    )
    parser.add_argument("--seeds", metavar="N", help="repetitions of each cell")
    parser.add_argument(
        "--set", metavar="PATH=VALUE", action="append", default=[], help="a recipe field for all"
    )
    parser.add_argument(
        "--max-epochs",
        type=int,
        default=MOST_EPOCHS,
        help=f"refuse to read the corpus more often ({MOST_EPOCHS:,})",
    )
    parser.add_argument(
        "--keep-weights",
        choices=("final", "none"),
        help="what is kept of a finished trial beside its record: its final weights (final, up to "
        f"{MOST_WEIGHTS / 1e12:g} TB of a study), or none",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="run a study in which the lint finds errors (see --plan); its results say so",
    )
    add_limit(parser)
    parser.add_argument(
        "--cohort-size", type=int, default=COHORT_SIZE, help=f"variants a stream ({COHORT_SIZE})"
    )
    add_tuning(parser)
    add_needs(parser)
    add_foresight(parser)
    return parser


def options_of(study: Study, argv: Sequence[str]) -> Options:
    args = _parser(study).parse_args(argv)
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
        storage=_chosen(args.storage, "", "SEEDBED_STORAGE", str(home() / "results"))[0],
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
