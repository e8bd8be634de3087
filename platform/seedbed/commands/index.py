"""`seedbed index`: the shards of a corpus, counted once for all studies."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from seedbed.errors import SeedbedError
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.data.shards.index import Index

NAME = "index"
HELP = "count, check and fingerprint the shards of a corpus, once for all studies"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", help="a folder, s3://bucket/prefix, a glob or a brace range")
    parser.add_argument(
        "--columns",
        action="store_true",
        help="also read what filters ask for: captions, picture sizes, digests",
    )


def run(args: argparse.Namespace) -> None:
    """Index each source of the address: on the cluster of RAY_ADDRESS, or else in threads here."""
    from seedbed.data.select import columns as table
    from seedbed.data.shards import index as indexing
    from seedbed.data.shards.source import index_places, open_source
    from seedbed.data.shards.spread import in_threads
    from seedbed.storage.address import parse_sources

    spread: Callable[..., Any] = in_threads
    if os.environ.get("RAY_ADDRESS"):
        from seedbed.cluster.connect import connect
        from seedbed.cluster.spread import over_ray

        print(f"ray     {connect()}", file=sys.stderr)
        spread = over_ray
    for source in parse_sources(args.uri):
        places = index_places(source.uri, home())
        index = indexing.index_source(
            source.uri, places, places, spread=_with_bar(spread, "indexing")
        )
        _say(source.uri, index, places)
        _say_held_out(source.uri)
        if args.columns:
            opened = open_source(source.uri, home())
            shards = table.shard_columns(opened, sorted(opened.places), home())
            table.keep_columns(shards, spread=_with_bar(spread, "reading columns"))


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
    from seedbed.data.shards.kept.bad import BAD_NAME, read_bad
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
    if line := _large_groups(index, places):
        print(f"warning      {line}")
    print(f"fingerprint  {fingerprint(entries)}")
    print(f"index        {index.kept or 'up to date'}")


def _large_groups(index: Index, places: Sequence[str]) -> str:
    """What to say of parquet shards of which a window reads far more than its rows; "" for none."""
    from seedbed.data.corpus import Corpus
    from seedbed.data.order import BLOCK_ROWS
    from seedbed.data.shards.kept.table import RowTable
    from seedbed.recipe.scale import SCALES

    files = [shard for shard in index.shards if shard.name.endswith(".parquet")]
    known = RowTable.in_places(places if files else ())
    usual = Corpus().window_rows
    window = min(scale.patches.get("corpus.window_rows", usual) for scale in SCALES.values())
    largest: dict[str, int] = {}  # rows of a file's largest group
    num_bytes = 0
    for shard in files:
        if shard.name not in known:  # there was nowhere to keep it
            continue
        starts = known.starts(shard.name).tolist()
        rows = max(b - a for a, b in pairwise(starts))
        if rows > window:
            largest[shard.name] = rows
            num_bytes = max(num_bytes, shard.num_bytes * rows // shard.num_samples)
    if not largest:
        return ""
    most = max(largest.values())
    return (
        f"{len(largest):,} of {len(files):,} parquet files have row groups of up to {most:,} rows "
        f"({num_bytes / 1e6:,.1f} MB), and no less can be read: a window of {window:,} rows reads "
        f"{(most + window) / window:.0f} times its bytes; write them again in small groups, by "
        f"pyarrow.parquet.write_table(table, path, row_group_size={BLOCK_ROWS})"
    )


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
        num_names = count_names(opened.test, caption)
        print(
            f"held out     {opened.test.num_samples:,} pairs with {num_names:,} names ({caption})"
        )
        check_names([opened], needed())
    except SeedbedError as fault:
        print("warning      " + str(fault).replace("\n", "\n           "))
