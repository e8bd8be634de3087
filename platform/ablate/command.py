"""`main(study)`: what a study file does when it is run. Run, `--plan` or `--report`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ablate.errors import AblateError, StudyError
from ablate.home import home
from ablate.study.plan import COHORT_SIZE, Plan, plan
from ablate.study.scale import scale_named
from ablate.study.study import Study, checked_seeds, parse_setting

if TYPE_CHECKING:
    import pandas as pd

    from ablate.data.corpus import Corpus, OpenCorpus
    from ablate.run.launch import Outcome
    from ablate.run.store import Store
    from ablate.track.ledger import StudyEntry

    Corpora = Mapping[Corpus, OpenCorpus]

COMPLETE, TRIALS_MISSING, WRONG = 0, 1, 2
CLOSE_SECONDS = 30.0
UI_PORT = 5000


def main(study: Study, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the study as the command line says, and exit: 0 complete, 1 trials missing, 2 wrong.

    Where another process runs it, its trials are missing as yet: 1.
    """
    sys.excepthook = sys.__excepthook__  # the study is defined: what comes is not its fault
    try:
        code = _main(study, sys.argv[1:] if argv is None else argv)
    except AblateError as error:
        print(f"error: {error}", file=sys.stderr)
        code = WRONG
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        code = TRIALS_MISSING
    sys.stdout.flush()
    sys.exit(code)


def explain_study_faults() -> None:
    """Make a study file that raises end as a wrong study: in words, with status 2.

    Installed when a file imports `main`; it speaks only for what is raised outside of it, that
    is while the study is being defined.
    """
    default = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if isinstance(error, AblateError):
            print(f"error: {error}", file=sys.stderr)
        elif issubclass(kind, Exception) and trace is not None:
            default(kind, error, trace)
            last = trace
            while last.tb_next is not None:
                last = last.tb_next
            place = f"{last.tb_frame.f_code.co_filename}, line {last.tb_lineno}"
            what = f"the study file {Path(sys.argv[0]).name} raised {kind.__name__}: {error}"
            why = f"it was raised at {place}, before anything started"
            print(f"error: {StudyError(what, why=why, mend='mend that line')}", file=sys.stderr)
        else:
            default(kind, error, trace)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(WRONG)  # an excepthook cannot choose the exit status in any other way

    sys.excepthook = hook


@dataclass(frozen=True)
class _Options:
    """The command line and its environment, with what was chosen and why."""

    plan: Plan
    storage: str
    tracking_uri: str
    workers: int
    mode: str
    as_json: bool


def _main(study: Study, argv: Sequence[str]) -> int:
    options = _options(study, argv)
    if options.mode == "plan":
        _print_plan(options)
        return COMPLETE
    if options.mode == "report":
        return _report_from_ledger(options)
    return _run(options)


def _parser(study: Study) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=study.question,
        epilog="Exit status: 0 the study is complete; 1 it ended with trials missing, or "
        "another process is running it; "
        "2 the study or the arguments are wrong.",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--plan", action="store_true", help="print trials, cohorts and cost; stop")
    mode.add_argument("--report", action="store_true", help="rebuild the report from MLflow")
    parser.add_argument("--json", action="store_true", help="with --plan: one JSON object")
    parser.add_argument("--scale", help="smoke, demo, small or paper (ABLATE_SCALE; demo)")
    parser.add_argument("--data", metavar="URI", help="your own webdataset folder (ABLATE_DATA)")
    parser.add_argument(
        "--storage", metavar="URI", help="where results go (ABLATE_STORAGE; ~/.ablate/results)"
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow (MLFLOW_TRACKING_URI; ~/.ablate/mlflow.db)"
    )
    parser.add_argument("--seeds", metavar="N", help="repetitions of each cell")
    parser.add_argument(
        "--set", metavar="PATH=VALUE", action="append", default=[], help="a recipe field for all"
    )
    parser.add_argument("--workers", type=int, default=1, help="workers of each cohort (1)")
    parser.add_argument(
        "--cohort-size", type=int, default=COHORT_SIZE, help=f"variants a stream ({COHORT_SIZE})"
    )
    return parser


def _options(study: Study, argv: Sequence[str]) -> _Options:
    args = _parser(study).parse_args(argv)
    if args.json and not args.plan:
        raise StudyError("--json is given without --plan", mend="add --plan")
    if args.workers < 1:
        raise StudyError(f"--workers is {args.workers}", mend="give 1 or more")
    scale_name, reason = _chosen(args.scale, "--scale", "ABLATE_SCALE", "demo")
    scale = scale_named(scale_name)
    data, _ = _chosen(args.data, "--data", "ABLATE_DATA", "")
    overrides: dict[str, Any] = {}
    if data:
        # Another corpus keeps its captions in the text member unless --set says otherwise.
        overrides |= {"corpus.uri": _absolute(data)}
        if not data.startswith("demo:"):
            overrides["corpus.caption"] = "txt"
    base = study.base_at(scale)
    for setting in args.set:
        path, value = parse_setting(setting, base)
        overrides[path] = value
    return _Options(
        plan=plan(
            study,
            scale,
            scale_reason=reason,
            overrides=overrides,
            seeds=_seeds(args.seeds),
            cohort_size=args.cohort_size,
        ),
        storage=_chosen(args.storage, "", "ABLATE_STORAGE", str(home() / "results"))[0],
        tracking_uri=_chosen(args.tracking_uri, "", "MLFLOW_TRACKING_URI", "")[0],
        workers=args.workers,
        mode="plan" if args.plan else "report" if args.report else "run",
        as_json=args.json,
    )


def _chosen(argument: str | None, flag: str, variable: str, default: str) -> tuple[str, str]:
    """A setting and why: the argument, else the environment, else the default."""
    if argument is not None:
        return argument, f"{flag} {argument}"
    if os.environ.get(variable):
        return os.environ[variable], f"{variable}={os.environ[variable]}"
    return default, "the default; --scale or ABLATE_SCALE chooses another"


def _absolute(uri: str) -> str:
    if uri.startswith("demo:") or "://" in uri:
        return uri
    return str(Path(uri).expanduser().absolute())


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return checked_seeds(int(text))
    except ValueError:
        raise StudyError(
            f"--seeds is '{text}'", why="it is a number of seeds", mend="for example --seeds 5"
        ) from None


def _print_plan(options: _Options) -> None:
    if options.as_json:
        print(json.dumps(options.plan.to_json(), indent=1, sort_keys=True))
        return
    print(_plan_text(options.plan))


def _plan_text(chosen: Plan) -> str:
    costs = chosen.costs()
    lines = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        f"data    {chosen.trials[0].recipe.corpus.uri}",
    ]
    lines += [f"set     {path} = {value}" for path, value in chosen.overrides]
    if chosen.study.fraction is not None:
        lines.append(f"design  {chosen.study.fraction}")
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


def _run(options: _Options) -> int:
    from ablate.data.corpus import open_corpora
    from ablate.run.launch import check_one_test
    from ablate.run.lock import StudyHeldError, study_lock
    from ablate.run.resources import check_batch
    from ablate.run.store import Store
    from ablate.track.connection import check_tracking, default_tracking_uri

    chosen = options.plan
    check_batch(chosen, options.workers)
    store = Store(options.storage).sub(chosen.study.name)
    stated = [trial.recipe.corpus for trial in chosen.trials]
    _prepare(stated)
    _prepare_synonyms(chosen)
    corpora = open_corpora(stated, home())
    check_one_test(corpora.values())
    check_tracking(options.tracking_uri or default_tracking_uri(home()))
    try:
        with study_lock(store):  # before the ledger is opened: that ends what still runs in it
            return _run_alone(options, corpora, store)
    except StudyHeldError as held:
        print(f"error: {held}", file=sys.stderr)
        return TRIALS_MISSING


def _run_alone(options: _Options, corpora: Corpora, store: Store) -> int:
    from ablate.run.launch import connect, read_outcome, record_files, run_plan
    from ablate.run.resources import check_disk

    chosen = options.plan
    before = read_outcome(store, chosen.trials, corpora)
    _say_start(options, corpora, store, len(before.records))
    left = len(chosen.trials) - len(before.records)
    if left:
        check_disk(chosen, store.free_bytes(), options.storage)
    tracking = _open_ledger(options, corpora)
    outcome = before
    try:
        # What an earlier ledger missed (a server that was down) is told again; it is idempotent.
        for key, record in before.records.items():
            tracking.ledger.finish(record, record_files(store, key))
        if left:
            print(f"ray     {connect()}", file=sys.stderr)
            outcome = run_plan(
                chosen,
                corpora,
                store,
                tracking.ledger,
                num_workers=options.workers,
                checkpoint_seconds=float(os.environ.get("ABLATE_CHECKPOINT_SECONDS", "30")),
                code_version=_code_version(),
            )
    finally:
        _finish(options, outcome, corpora, store, tracking)
    missing = outcome.missing(chosen.trials)
    for trial in missing:
        ended = outcome.records.get(trial.key)
        reason = ended.reason if ended else outcome.reasons.get(trial.key, "it never started")
        print(f"missing: {trial.name} ({trial.key}): {reason}", file=sys.stderr)
    return TRIALS_MISSING if missing else COMPLETE


def _prepare_synonyms(chosen: Plan) -> None:
    """Fetch WordNet if some trial augments its captions with it, and it is nowhere yet."""
    from ablate.data.wordnet import prepare_wordnet
    from ablate.run.launch import reads_synonyms

    if any(reads_synonyms(trial.recipe) for trial in chosen.trials):
        prepare_wordnet(home())


def _prepare(corpora: Sequence[Corpus]) -> None:
    """Build the demo corpora that are not there yet; an own folder needs nothing."""
    from ablate.data.demo import PREFIX, prepare_demo
    from ablate.data.sources import parse_sources

    places = {uri for corpus in corpora for uri in (corpus.uri, corpus.test_uri) if uri}
    for uri in sorted({source.uri for place in places for source in parse_sources(place)}):
        if uri.startswith(PREFIX):
            prepare_demo(uri.removeprefix(PREFIX), home())


def _say_start(options: _Options, corpora: Corpora, store: Store, done: int) -> None:
    chosen = options.plan
    opened = list(corpora.values())
    pairs = sorted({corpus.train.num_samples for corpus in opened})
    counts = f"{pairs[0]:,}" if len(pairs) == 1 else f"{pairs[0]:,} to {pairs[-1]:,}"
    several = f" in {len(opened)} selections" if len(opened) > 1 else ""
    marks = sorted({corpus.fingerprint[:12] for corpus in opened})
    say = [
        f"study   {chosen.study.name}: {chosen.study.question}",
        f"scale   {chosen.scale.name} ({chosen.scale.about}); {chosen.scale_reason}",
        f"data    {_uris(chosen)}: {counts} pairs to train on{several}, "
        f"{opened[0].test.num_samples:,} held out, fingerprint {', '.join(marks)}",
        f"trials  {len(chosen.trials)} in {len(chosen.cohorts)} cohorts, {done} done already",
        f"results {store.uri}",
    ]
    print("\n".join(say), file=sys.stderr)


@dataclass(frozen=True)
class _Tracking:
    """The ledger of this run, and where a person looks at it."""

    ledger: Any
    uri: str
    experiment: str
    identity: str


def _open_ledger(options: _Options, corpora: Corpora) -> _Tracking:
    from ablate.track.connection import default_tracking_uri, prepare_store
    from ablate.track.mlflow_ledger import MlflowLedger

    uri = options.tracking_uri or default_tracking_uri(home())
    name = options.plan.study.name
    experiment = prepare_store(uri, name)
    ledger = MlflowLedger(uri, name)
    entry = _entry(options.plan, corpora)
    ledger.open_study(entry)
    return _Tracking(ledger, uri, experiment, entry.identity)


def _entry(chosen: Plan, corpora: Corpora) -> StudyEntry:
    from ablate.track.ledger import StudyEntry

    return StudyEntry(
        study=chosen.study.name,
        scale=chosen.scale.name,
        question=chosen.study.question,
        design=_design(chosen, corpora),
        params=_constants(chosen),
        tags={
            "ablate.data_fingerprint": ", ".join(sorted({c.fingerprint for c in corpora.values()})),
            "mlflow.source.name": Path(sys.argv[0]).name,
            "mlflow.source.git.commit": _code_version()["git_commit"],
        },
    )


def _design(chosen: Plan, corpora: Corpora) -> dict[str, Any]:
    opened = list(corpora.values())
    data: dict[str, Any] = {
        "uri": _uris(chosen),
        "num_test_samples": opened[0].test.num_samples,
        "sources": sorted({source.name for corpus in opened for source in corpus.sources}),
    }
    if len(opened) == 1 and not opened[0].steps:
        data |= {"fingerprint": opened[0].fingerprint, "num_samples": opened[0].train.num_samples}
    else:
        data["selections"] = [_selection(chosen, corpus) for corpus in opened]
    return chosen.design() | {"data": data}


def _selection(chosen: Plan, corpus: OpenCorpus) -> dict[str, Any]:
    """The pairs of some of the cells, and what each step of their choice removed."""
    of_data = [f.name for f in chosen.study.factors if any(p.startswith("corpus") for p in f.paths)]
    cells = {
        " ".join(f"{name}={level}" for name, level in trial.cell if name in of_data)
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


def _code_version() -> dict[str, str]:
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
        "ablate": version("ablate"),
        "git_commit": commit or "unknown",
        "torch": version("torch"),
        "ray": version("ray"),
        "timm": version("timm"),
    }


def _rows(chosen: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """A row for each trial that has one, as the analysis reads them."""
    rows = [record.to_json() for record in outcome.records.values()]
    known = {row["key"] for row in rows}
    status = "never_started" if outcome.interrupted else "failed"
    left = (t for t in chosen.trials if t.key not in known and t.key in outcome.reasons)
    rows += [
        {
            "key": trial.key,
            "cell": dict(trial.cell),
            "seed": trial.seed,
            "status": status,
            "reason": outcome.reasons[trial.key],
            "metrics": {},
        }
        for trial in left
    ]
    return rows


def _finish(
    options: _Options,
    outcome: Outcome,
    corpora: Corpora,
    store: Store,
    tracking: _Tracking,
) -> None:
    """Write the report, send what is left to MLflow, and say where everything is."""
    from ablate.recall import table_of

    chosen = options.plan
    design = _design(chosen, corpora)
    table = table_of(design, _rows(chosen, outcome))
    report = _write_report(design, table, store, chosen.variation)
    tracking.ledger.attach({f"report/{path.name}": path for path in report.paths.values()})
    unsent = tracking.ledger.close(timeout_s=CLOSE_SECONDS)
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    _print_ui(tracking.uri, tracking.experiment, tracking.identity)
    if unsent:
        print(
            f"MLflow has not received {len(unsent.what)} things ({unsent.reason});\n"
            "nothing is lost: the same command sends them again",
            file=sys.stderr,
        )


def _print_ui(uri: str, experiment: str, identity: str) -> None:
    """The command that shows the runs (none where a server does already), and the link."""
    from ablate.track.view import ui_command, ui_link

    link = ui_link(uri, experiment, identity=identity, port=UI_PORT)
    show = ui_command(uri, port=UI_PORT)
    beside = Path(sys.executable).parent / "mlflow"
    if show and shutil.which("mlflow") is None and beside.exists():
        show = str(beside) + show.removeprefix("mlflow")  # the environment is not activated
    lines = [line for line in (show, link) if line]
    print("runs    " + "\n        ".join(lines))


def _write_report(
    design: Mapping[str, Any], table: pd.DataFrame, store: Store, variation: str
) -> Any:
    from ablate.analyze.report import write_report

    provenance = {"code_version": _code_version()}
    if store.local:
        folder = Path(store.path(variation, "report"))
        return write_report(dict(design), table, folder, provenance)
    folder = Path(tempfile.mkdtemp(prefix="ablate-report-"))
    report = write_report(dict(design), table, folder, provenance)
    store.upload(folder, variation, "report")
    return report


def _report_from_ledger(options: _Options) -> int:
    from ablate.recall import recall
    from ablate.run.store import Store

    chosen = options.plan
    study = recall(
        chosen.study.name,
        scale=chosen.scale.name,
        tracking_uri=options.tracking_uri,
        identity=_identity(chosen),
    )
    store = Store(options.storage).sub(chosen.study.name)
    report = _write_report(study.design, study.trials, store, chosen.variation)
    print(report.summary)
    print(f"\nreport  {store.place(chosen.variation, 'report', 'report.html')}")
    _print_ui(study.uri, study.experiment, study.identity)
    complete = bool((study.trials["status"] == "completed").all())
    return COMPLETE if complete else TRIALS_MISSING


def _identity(chosen: Plan) -> str:
    """The study's identity in the ledger, without opening its corpus."""
    from ablate.track.ledger import StudyEntry

    design = chosen.design() | {"data": {"uri": _uris(chosen)}}
    study, scale = chosen.study, chosen.scale
    return StudyEntry(study.name, scale.name, study.question, design).identity
