"""The command `ablate`: what is not a study of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ablate.errors import AblateError
from ablate.home import home

if TYPE_CHECKING:
    from ablate.data.index import Index


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit status: 0, or 2 where something was wrong."""
    parser = argparse.ArgumentParser(prog="ablate", description=__doc__)
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
    args = parser.parse_args(argv)
    try:
        if args.command == "prepare":
            from ablate.data.demo import prepare_demo

            print(prepare_demo(args.name, home()))
        else:
            _index(args.uri, columns=args.columns)
    except AblateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _index(uri: str, *, columns: bool) -> None:
    """Index each source of `uri`: on the cluster of RAY_ADDRESS, or else in threads here."""
    from ablate.data import index as indexing
    from ablate.data import table
    from ablate.data.source import index_places, open_source
    from ablate.data.sources import parse_sources

    spread: Callable[..., Any] = indexing.in_threads
    if os.environ.get("RAY_ADDRESS"):
        from ablate.run.launch import connect
        from ablate.run.spread import over_ray

        print(f"ray     {connect()}", file=sys.stderr)
        spread = over_ray
    for source in parse_sources(uri):
        places = index_places(source.uri, home())
        found = indexing.index_source(
            source.uri, places, places, spread=_with_bar(spread, "indexing"), members=True
        )
        _say(source.uri, found, places)
        if columns:
            opened = open_source(source.uri, home())
            names = sorted(opened.places)
            barred = _with_bar(spread, "reading columns")
            table.read_columns(opened, names, {"key"}, "txt", home(), spread=barred)


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
    from ablate.data.index import BAD_NAME, read_bad
    from ablate.data.manifest import ShardEntry, fingerprint
    from ablate.data.source import SPLIT

    num_bytes = sum(shard.num_bytes for shard in index.shards)
    entries = [
        ShardEntry(s.name, SPLIT, s.num_samples, s.num_bytes, s.sha256) for s in index.shards
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


if __name__ == "__main__":
    sys.exit(main())
