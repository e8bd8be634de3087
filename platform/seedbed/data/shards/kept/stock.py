"""The manifest of an index, `index.json`, and the parts that it names or that nobody has named yet.

An index that was interrupted leaves parts without a manifest, which the next one takes up. A part
of which some shards have gone or changed is written anew without them, and so is one that is not
full, together with what is new: so an index has no more parts than its rows need, and is the same
however often it was interrupted. What such a part was before is left in its place for a while: who
opened the index earlier still reads from it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from seedbed.data.shards.kept.part import (
    SUFFIX,
    Line,
    Part,
    lines_of,
    name_of,
    part_of,
    reads_of,
)
from seedbed.data.shards.kept.writer import FOLDER, PartWriter
from seedbed.data.shards.shard_index import IndexedShard, Read
from seedbed.errors import DataError, UnavailableError
from seedbed.storage.objects import at, read_object, write_object

FORMAT, INDEX_NAME = "seedbed-index/4", "index.json"
BEGUN = f"{FOLDER}/begun"  # while an index is being written
LEFT_SECONDS = 30 * 24 * 3600.0  # longer than a study runs that opened the index before
THREADS = 16  # parts at a time: a bucket answers several in the time of one
Wanted = Callable[[IndexedShard], bool]


@dataclass(frozen=True)
class Known:
    """Parts, and what of them is wanted: each shard by its name, from the one part that counts.

    Of `again` not all is wanted, or they are not full: with the names that are.
    """

    found: dict[str, IndexedShard]
    parts: tuple[Part, ...]
    stays: tuple[Part, ...]
    again: tuple[tuple[Part, frozenset[str]], ...]


def values_in(place: str) -> dict[str, Any]:
    """What stands in the manifest in `place`; nothing where there is none."""
    try:
        values = json.loads(read_object(f"{place}/{INDEX_NAME}"))
    except UnavailableError:  # there may be one
        raise
    except (DataError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def parts_in(place: str) -> list[Part]:
    """The parts that the manifest in `place` names; none where it is of another format."""
    values = values_in(place)
    if values.get("format") != FORMAT:
        return []
    try:
        named = [Part(**one) for one in values["parts"]]
    except (KeyError, TypeError):
        return []
    return [one if _is_far(one) else replace(one, place=f"{place}/{one.place}") for one in named]


def left_in(place: str) -> dict[str, float]:
    """The parts in `place` that its manifest does not count any more, and since when [unix s]."""
    try:
        return {f"{place}/{one}": float(since) for one, since in values_in(place)["left"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def loose_parts(place: str, named: Iterable[Part]) -> list[Part]:
    """The parts in `place` that are whole and not among those `named`."""
    known = {part.place for part in named} | left_in(place).keys()
    found = []
    entries, _ = at(place).files(f"{place}/{FOLDER}/", deep=False)
    for entry in sorted(entries, key=lambda one: one.uri):
        if entry.uri in known or not entry.uri.endswith(SUFFIX):
            continue
        with suppress(DataError, pa.ArrowInvalid):
            content = read_object(entry.uri)
            if entry.uri.endswith(f"/{name_of(content)}"):
                found.append(part_of(entry.uri, content))
    return found


def lines_in(parts: Sequence[Part]) -> Iterator[tuple[Part, list[Line]]]:
    """What each part has of its shards; one that is gone or damaged is told of, and left out."""
    with ThreadPoolExecutor(THREADS) as pool:
        for part, lines in zip(parts, pool.map(_believed, parts), strict=True):
            if isinstance(lines, str):
                print(
                    f"index   {part.place} is not used ({lines}): its {part.num_shards:,} shards "
                    "are read anew",
                    file=sys.stderr,
                )
            else:
                yield part, lines


def known_of(parts: Sequence[Part], wanted: Wanted) -> Known:
    """`parts` sorted out by which of their shards are `wanted`, and which of them have those."""
    found: dict[str, IndexedShard] = {}
    stays, again = [], []
    read = list(lines_in(parts))
    # Of a part and a smaller one that it replaces, the smaller one is for nothing.
    for part, lines in sorted(read, key=lambda one: (-one[0].num_rows, one[0].place)):
        mine = {
            line.shard.name: line.shard
            for line in lines
            if line.shard.name not in found and wanted(line.shard)
        }
        found |= mine
        if len(mine) == part.num_shards and part.is_full:
            stays.append(part)
        elif mine:
            again.append((part, frozenset(mine)))
    again.sort(key=lambda one: one[0].first)
    return Known(found, tuple(parts), tuple(stays), tuple(again))


def extended(place: str, known: Known, reads: Iterable[Read]) -> list[Part]:
    """The parts of what is `known` and of `reads`, which are written to `place` as they come.

    With `place` "" they are in memory. Raises DataError where they cannot be written.
    """
    writer = PartWriter(place)
    with writer:
        for part, names in known.again:
            for read in reads_of(part):
                if read.shard.name in names:
                    writer.add(read)
        for read in reads:
            writer.add(read)
    return sorted([*known.stays, *writer.parts], key=lambda one: one.first)


def finish(place: str, known: Known, parts: Sequence[Part]) -> None:
    """Write the manifest of `parts`; what was `known` and is in none of them goes.

    What the manifest named until now is left for LEFT_SECONDS. Raises DataError where it cannot be
    written.
    """
    now = time.time()
    named = {part.place for part in parts}
    before = (part.place for part in parts_in(place) if part.place.startswith(f"{place}/"))
    left = {**dict.fromkeys(before, now), **left_in(place)}
    left = {one: since for one, since in left.items() if one not in named}
    over = {one for one, since in left.items() if now - since > LEFT_SECONDS}
    over |= {part.place for part in known.parts} - named - left.keys()
    left = {one: since for one, since in left.items() if one not in over}
    _write_manifest(place, parts, left)
    own = [one for one in over if one.startswith(f"{place}/")]
    for one in [*own, f"{place}/{BEGUN}"]:  # and the mark that an index is being written
        with suppress(DataError):
            at(place).remove(one)


def begin(place: str) -> bool:
    """Whether an index can be written to `place`: rights are not told beforehand."""
    try:
        write_object(f"{place}/{BEGUN}", b"")
    except DataError:
        return False
    return True


def _believed(part: Part) -> list[Line] | str:
    try:
        return lines_of(part)
    except UnavailableError:  # it may be whole, and reading its shards takes hours
        raise
    except (DataError, pa.ArrowInvalid, OSError) as error:
        return str(error).partition("\n")[0]


def _write_manifest(place: str, parts: Sequence[Part], left: Mapping[str, float]) -> None:
    rows = []
    for part in parts:
        values = asdict(part)
        del values["content"]
        # Its own ones by their names alone: a folder may be moved together with its index.
        values["place"] = part.place.removeprefix(f"{place}/")
        rows.append(values)
    counted = {
        "shards": sum(part.num_shards for part in parts),
        "rows": sum(part.num_rows for part in parts),
    }
    values = {"format": FORMAT, **counted, "parts": rows}
    if left:
        values["left"] = {one.removeprefix(f"{place}/"): since for one, since in left.items()}
    write_object(f"{place}/{INDEX_NAME}", json.dumps(values, indent=1).encode())


def _is_far(part: Part) -> bool:
    """Whether a manifest names a part of another place than its own."""
    return "://" in part.place or part.place.startswith("/")
