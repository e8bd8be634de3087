"""The command `seedbed`: what is not a study of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.errors import SeedbedError
from seedbed.home import home

if TYPE_CHECKING:
    import pandas as pd

    from seedbed.data.shards.index import Index


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit status: 0, or 2 where something was wrong."""
    parser = argparse.ArgumentParser(prog="seedbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="build a demo corpus from published packages")
    prepare.add_argument("name", help="emoji, or icons (alias icons-55k)")
    index = commands.add_parser(
        "index", help="count, check and fingerprint the shards of a corpus, once for all studies"
    )
    index.add_argument("uri", help="a folder, s3://bucket/prefix, a glob or a brace range")
    index.add_argument(
        "--columns",
        action="store_true",
        help="also read what filters ask for: captions, picture sizes, digests",
    )
    report = commands.add_parser("report", help="the report of a study, from MLflow alone")
    report.add_argument("name", help="the study's name")
    report.add_argument("--out", metavar="FOLDER", help="where it goes (NAME-report)")
    report.add_argument("--rank", metavar="FACTOR", help="also rank its levels over several tasks")
    report.add_argument(
        "--tasks", metavar="METRIC", nargs="+", default=[], help="with --rank: a metric for each"
    )
    compare = commands.add_parser("compare", help="do the effects that two studies share agree?")
    compare.add_argument("names", nargs=2, metavar="STUDY", help="a study's name, or NAME:SCALE")
    compare.add_argument(
        "--response", default="", help="the first study's primary one, if not given"
    )
    for command in (report, compare):
        command.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI", ""))
    report.add_argument("--scale", default="", help="the newest run's, if not given")
    args = parser.parse_args(argv)
    try:
        if args.command == "prepare":
            from seedbed.data.provided import provider

            print(provider().prepare(args.name, home()))
        elif args.command == "index":
            _index(args.uri, columns=args.columns)
        elif args.command == "report":
            _report(args)
        else:
            _compare(args.names, args.tracking_uri, args.response)
    except SeedbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _index(uri: str, *, columns: bool) -> None:
    """Index each source of `uri`: on the cluster of RAY_ADDRESS, or else in threads here."""
    from seedbed.data.select import columns as table
    from seedbed.data.shards import index as indexing
    from seedbed.data.shards.source import index_places, open_source
    from seedbed.storage.address import parse_sources

    spread: Callable[..., Any] = indexing.in_threads
    if os.environ.get("RAY_ADDRESS"):
        from seedbed.cluster.connect import connect
        from seedbed.cluster.spread import over_ray

        print(f"ray     {connect()}", file=sys.stderr)
        spread = over_ray
    for source in parse_sources(uri):
        places = index_places(source.uri, home())
        found = indexing.index_source(
            source.uri, places, places, spread=_with_bar(spread, "indexing"), members=True
        )
        _say(source.uri, found, places)
        _say_held_out(source.uri)
        if columns:
            opened = open_source(source.uri, home())
            names = sorted(opened.places)
            barred = _with_bar(spread, "reading columns")
            table.read_columns(opened, names, {"key"}, "txt", home(), spread=barred)


def _report(args: argparse.Namespace) -> None:
    from seedbed.analyze.report.write import write_report
    from seedbed.recall import correct_of, curves_of, recall, with_bad_samples_of

    study = recall(args.name, scale=args.scale, tracking_uri=args.tracking_uri)
    folder = Path(args.out or f"{args.name}-report")
    report = write_report(
        with_bad_samples_of(study), study.trials, folder, {}, correct_of(study), curves_of(study)
    )
    print(report.summary)
    if args.rank or args.tasks:
        _rank(study.trials, args.rank or "", args.tasks, folder)
    print(f"\nreport  {folder.absolute() / 'report.html'}")


def _rank(trials: pd.DataFrame, factor: str, tasks: Sequence[str], folder: Path) -> None:
    """Rank the levels of a factor over tasks, as a table and a critical-difference figure."""
    from seedbed.analyze.figures.ranks import rank_figure
    from seedbed.analyze.numbers import p_value, plain
    from seedbed.analyze.report.write import standalone
    from seedbed.analyze.stats.ranks import rank_levels

    found = rank_levels(trials, tasks, of=factor)
    found.ranks.sort_values("mean_rank").to_csv(folder / "ranks.csv", lineterminator="\n")
    svg = rank_figure(found)
    if svg:
        (folder / "figures" / "critical_difference.svg").write_text(standalone(svg))
    print(f"\nMean ranks of {factor} over {len(tasks)} tasks (1 is the best)")
    for level, row in found.ranks.sort_values("mean_rank").iterrows():
        print(f"  {level}  {row['mean_rank']:.2f}")
    print(
        found.note
        or f"Friedman p {plain(p_value(found.p))}; ranks {found.critical_difference:.2f} apart "
        "differ (Nemenyi)"
    )


def _compare(names: Sequence[str], tracking_uri: str, response: str) -> None:
    import pandas as pd

    from seedbed.analyze.findings.compare import compare
    from seedbed.analyze.numbers import unit_of
    from seedbed.recall import recall

    pairs = []
    for name in names:
        study, _, scale = name.partition(":")
        found = recall(study, scale=scale, tracking_uri=tracking_uri)
        pairs.append((found.design, found.trials))
    table = compare(pairs[0], pairs[1], response)
    response = response or pairs[0][0]["responses"][0]
    values = pd.concat([trials[response].astype(float) for _, trials in pairs])
    unit = unit_of(response, values)
    size = f", in {unit.difference_unit}" if unit.difference_unit else ""
    print(
        f"{unit.label}: differences from the baseline in {names[0]} (first) and {names[1]} "
        f"(second),\nand the second less the first with its 95 % interval{size}\n"
    )
    if unit.is_fraction:
        sizes = [name for name in table.columns if name not in ("p", "note", "factor", "level")]
        for name in sizes:
            if pd.api.types.is_float_dtype(table[name]):
                table[name] = 100 * table[name]
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}", na_rep="-"))


def _with_bar(spread: Callable[..., Any], words: str) -> Callable[..., Any]:
    """`spread` with a progress bar on stderr, of shards."""

    def run(work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            told = bar.add_task(words, total=len(jobs))
            for result in spread(work, jobs):
                bar.advance(told)
                yield result

    return run


def _say(uri: str, index: Index, places: Sequence[str]) -> None:
    from seedbed.data.shards.index import BAD_NAME, read_bad
    from seedbed.data.shards.manifest import ShardEntry, fingerprint
    from seedbed.data.shards.source import SPLIT

    num_bytes = sum(shard.num_bytes for shard in index.shards)
    entries = [
        ShardEntry(s.name, SPLIT, s.num_samples, s.num_bytes, s.digest) for s in index.shards
    ]
    captions = sorted({name for shard in index.shards for name in shard.captions})
    kept = index.kept or next((p for p in places if read_bad(p)), places[0])
    print(f"corpus       {uri}")
    print(
        f"shards       {len(index.shards):,} with {index.num_samples:,} pairs, "
        f"{num_bytes / 1e6:,.1f} MB; {index.num_read:,} read now"
    )
    print(f"captions     {', '.join(captions) or 'none in the first samples'}")
    num_bad = sum(shard.num_bad for shard in index.shards)
    print(f"bad samples  {num_bad:,}" + (f", named in {kept}/{BAD_NAME}" if num_bad else ""))
    reasons = Counter(reason.partition(" (")[0] for _, _, reason in read_bad(kept))
    for reason, count in reasons.most_common(5) if num_bad else ():
        print(f"             {count:,} x {reason}")
    print(f"fingerprint  {fingerprint(entries)}")
    print(f"index        {index.kept or 'up to date'}")


def _say_held_out(uri: str) -> None:
    """What a study that trains on `uri` would be tested on, and what it would be refused for."""
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import open_corpus
    from seedbed.data.shards.source import open_source
    from seedbed.run.driver.preflight import check_names, count_names, needed

    source = open_source(uri, home())
    if not source.own:
        return
    captions = source.manifest.captions
    caption = "txt" if "txt" in captions or not captions else captions[0]
    try:
        opened = open_corpus(Corpus(uri=uri, caption=caption), home())
        num_names = count_names(opened.test, caption, opened.test_bytes)
        print(
            f"held out     {opened.test.num_samples:,} pairs with {num_names:,} names ({caption})"
        )
        check_names([opened], needed())
    except SeedbedError as fault:
        print("warning      " + str(fault).replace("\n", "\n           "))


if __name__ == "__main__":
    sys.exit(main())
