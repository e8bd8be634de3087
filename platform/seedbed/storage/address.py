"""The syntax of a corpus's address: sources, weights, brace ranges, globs. Nothing is read.

    s3://a/{00000..01242}.tar@2::/data/b      two sources, the first drawn twice as often

`::` joins sources. `@NUMBER` at a source's end is its weight (1 without); a name that itself
ends so is written with its weight (`b@2@1`). `{00000..01242}` counts, zero-padded as written;
`{a,b}` lists. `*`, `?` and `[...]` match inside one name, never across a `/`.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path

from seedbed.errors import DataError, nearest

SCHEMES = ("s3", "file", "demo")
MAX_EXPANDED = 1_000_000  # names in one brace range; more is a typo

_WEIGHT = re.compile(r"@([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf|nan)\Z")
_BRACE = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)\Z")
_MAGIC = re.compile(r"[*?]|\[[^\]]+\]")


@dataclass(frozen=True)
class Object:
    """What stands at an address: `etag` changes with its content (local: time in ns and size)."""

    uri: str
    num_bytes: int
    etag: str


@dataclass(frozen=True)
class Content:
    """A small file: its bytes, its etag, and how old it is by the clock of where it lies."""

    body: bytes
    etag: str
    age_seconds: float


@dataclass(frozen=True)
class Source:
    """One place of shards, and how often it is drawn beside the others."""

    uri: str
    weight: float = 1.0


def parse_sources(text: str) -> tuple[Source, ...]:
    """The sources that `text` joins by `::`, each in the one spelling of its place.

    Raises DataError for an empty source, a weight that is not above 0, and an unknown scheme.
    """
    return tuple(_source(part.strip(), text) for part in text.split("::"))


def _source(part: str, whole: str) -> Source:
    match = _WEIGHT.search(part)
    weight, uri = (float(match[1]), part[: match.start()]) if match else (1.0, part)
    if not uri:
        raise DataError(
            f"the data '{whole}' name an empty source",
            why="`::` joins sources, and each needs a place",
            mend="write s3://a/{000..120}.tar@2::/data/b, or leave the `::` out",
        )
    if not (weight > 0 and math.isfinite(weight)):
        raise DataError(
            f"source '{uri}' has the weight {weight:g}",
            why="a weight says how often a source is drawn, relative to the others",
            mend="give a number above 0, or leave the source out",
        )
    return Source(canonical(uri), weight)


def canonical(uri: str) -> str:
    """The one spelling of a place, however it was written: `..`, links and last slashes resolved.

    Raises DataError as `absolute` does.
    """
    place = absolute(uri)
    if place.startswith("demo:"):
        return place
    if "://" in place:
        return place.rstrip("/")
    return str(Path(place).resolve())


def absolute(uri: str) -> str:
    """`uri` with its scheme, or a local path made absolute. Raises DataError for other schemes."""
    name, separator, rest = uri.partition("://")
    if uri.startswith("demo:"):
        return uri
    if not separator:
        return str(Path(uri).expanduser().absolute())
    if name == "file":
        return str(Path(rest).absolute())
    if name not in SCHEMES:
        raise DataError(
            f"'{uri}' has the scheme '{name}'",
            why="shards are read from s3:// and local folders",
            mend=nearest(name, ("s3", "local")),
        )
    if not rest.split("/", 1)[0]:
        raise DataError(f"'{uri}' names no bucket", mend=f"write {name}://BUCKET/FOLDER")
    return uri


def has_braces(uri: str) -> bool:
    return any(_choices(match[1]) is not None for match in _BRACE.finditer(uri))


def has_glob(uri: str) -> bool:
    return bool(_MAGIC.search(uri))


def expand(uri: str) -> list[str]:
    """The names that the brace ranges of `uri` stand for, in their order."""
    parts: list[list[str]] = []
    end = 0
    for match in _BRACE.finditer(uri):
        choices = _choices(match[1])
        if choices is None:  # braces that neither count nor list stand for themselves
            continue
        parts += [[uri[end : match.start()]], choices]
        end = match.end()
        if math.prod(len(part) for part in parts) > MAX_EXPANDED:
            raise _too_many(uri)
    return ["".join(words) for words in itertools.product(*parts, [uri[end:]])]


def _choices(inside: str) -> list[str] | None:
    match = _RANGE.match(inside)
    if not match:
        return inside.split(",") if "," in inside else None
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise DataError(
            f"the range {{{inside}}} counts down",
            why="shards are named from the lowest to the highest",
            mend=f"write {{{match[2]}..{match[1]}}}",
        )
    if last - first >= MAX_EXPANDED:
        raise _too_many(f"{{{inside}}}")
    padded = any(len(word) > 1 and word[0] == "0" for word in match.groups())
    width = max(len(match[1]), len(match[2])) if padded else 0
    return [f"{number:0{width}}" for number in range(first, last + 1)]


def _too_many(text: str) -> DataError:
    return DataError(
        f"'{text}' stands for more than {MAX_EXPANDED:,} names",
        why="each is looked for",
        mend="name a folder, or use a glob",
    )


def literal_prefix(pattern: str) -> str:
    """What every name that matches `pattern` begins with."""
    match = _MAGIC.search(pattern)
    return pattern[: match.start()] if match else pattern


def matcher(pattern: str) -> re.Pattern[str]:
    """A regular expression for whole names that match the glob `pattern`."""
    out, end = "", 0
    for match in _MAGIC.finditer(pattern):
        out += re.escape(pattern[end : match.start()])
        word = match[0]
        if word in "*?":
            out += "[^/]*" if word == "*" else "[^/]"
        else:
            inside = word[1:-1].replace("\\", r"\\").replace("[", r"\[")
            out += f"(?!/)[^{inside[1:]}]" if inside[0] == "!" and inside[1:] else f"[{inside}]"
        end = match.end()
    try:
        return re.compile(out + re.escape(pattern[end:]) + r"\Z")
    except re.error as error:
        raise DataError(f"'{pattern}' is no glob", why=str(error), mend="mend the [...]") from error
