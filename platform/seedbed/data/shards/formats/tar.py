"""A webdataset tar: the members of one key stand together, and are one sample.

Where they lie is found by one pass over the headers. A webdataset tar is plain: regular files with
short names. Such headers are read here, at a twentieth of what the standard library takes;
anything else in a tar (long names, sparse files, extended headers) goes to the standard library.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedbed.data.shards.formats.format import Indexed, Range, Ranged, ShardFormat
from seedbed.data.shards.sample import RawSample
from seedbed.errors import DataError

BLOCK = 512
ZEROS = bytes(BLOCK)
PLAIN, IGNORED = (
    frozenset(b"0\0"),
    frozenset(b"512346"),
)  # regular files; folders, links and devices


class TarFormat(ShardFormat):
    """A tar as webdataset and img2dataset write it, the latter with a table beside it."""

    suffix = ".tar"
    name = "tar"
    unit = BLOCK
    sidecar = ".parquet"

    def indexed(self, path: str, content: bytes) -> Iterator[Indexed]:
        for key, start, spans in places_of(path, content):
            stop = max(last for _, last in spans.values())
            yield Indexed(RawSample(key, _Slices(content, spans)), start, stop)

    def starts(self, path: str, content: bytes, bounds: Sequence[int]) -> Sequence[int]:
        return [-(-bound // BLOCK) for bound in bounds]

    def read(self, path: str, shard: Ranged, one: Range) -> list[RawSample]:
        content = shard.bytes_at(one.start, one.stop)
        places = places_of(path, content, part=True)
        return [RawSample(place.key, _Slices(content, place.spans)) for place in places]


def _cut_short(path: str, why: str) -> DataError:
    return TarFormat().cut_short(path, why)


Spans = dict[str, tuple[int, int]]  # extension to the member's first byte and the one past it
# Names, where each one's header begins, and where its content begins and ends.
Columns = tuple[list[str], list[int], list[int], list[int]]


def columns(path: str, content: bytes, *, part: bool = False) -> Columns:
    """Names, headers, starts and stops of the regular files; `path` is for messages.

    Lists of plain values: an object for each member would wake the garbage collector. With `part`
    the content is some whole members of a tar. Raises DataError where it is no tar, is damaged,
    or does not end as a tar ends.
    """
    if not content:
        raise _cut_short(path, "it has zero bytes")
    places: list[int] = []  # of all headers
    regular: list[bool] = []  # whether a header is a regular file's
    starts: list[int] = []
    stops: list[int] = []
    place, end = 0, len(content)
    while True:
        if part and place == end:
            break
        if place + BLOCK > end:
            # Cut between two members, a tar reads to its end without complaint.
            raise _cut_short(path, "it does not end with a tar's two blocks of zeros")
        if not content[place] and content[place : place + BLOCK] == ZEROS:
            break
        kind = content[place + 156]
        try:
            length = int(content[place + 124 : place + 135], 8)
        except ValueError:
            return _by_library(path, content, part=part)
        if kind not in PLAIN and kind not in IGNORED:
            return _by_library(path, content, part=part)
        if length < 0:  # it would lead back
            raise _cut_short(path, f"the header at byte {place:,} is damaged")
        places.append(place)
        place += BLOCK
        regular.append(kind in PLAIN)
        if regular[-1]:
            starts.append(place)
            place += length
            stops.append(place)
            if place > end:
                name = _checked(path, content, places)[-1]
                raise _cut_short(
                    path, f"member {name} ends at byte {place:,} of {end:,}: it is cut"
                )
            place += -length % BLOCK
    names = list(compress(_checked(path, content, places), regular))
    return names, list(compress(places, regular)), starts, stops


def _checked(path: str, content: bytes, places: list[int]) -> list[str]:
    """The names in the headers at `places`.

    Each header's bytes must add up to its checksum, taken with spaces in its place.
    """
    if not places:
        return []
    blocks = np.frombuffer(content, np.uint8, len(content) // BLOCK * BLOCK).reshape(-1, BLOCK)
    headers = blocks[np.array(places) // BLOCK]
    sums = headers.sum(1, dtype=np.uint32) - headers[:, 148:156].sum(1, dtype=np.uint32) + 8 * 32
    for place, said, total in zip(places, _texts(headers, 148, 156), sums.tolist(), strict=True):
        if said.strip(b"\0 ").lstrip(b"0") != b"%o" % total:
            raise _cut_short(path, f"the header at byte {place:,} is damaged")
    texts = _texts(headers, 0, 100)
    names = b"\0".join(texts).decode("utf-8", "surrogateescape").split("\0")
    if len(names) != len(texts) or headers[:, 345].any():  # text past a name's end, or a folder
        return [_name(content, place) for place in places]
    return names


def _texts(headers: NDArray[np.uint8], start: int, stop: int) -> list[bytes]:
    """Bytes `start` to `stop` - 1 of each header, without the NULs at their end."""
    texts: list[bytes] = headers[:, start:stop].copy().view(f"S{stop - start}")[:, 0].tolist()
    return texts


def _name(content: bytes, place: int) -> str:
    name = content[place : place + 100].partition(b"\0")[0]
    if content[place + 345] and content[place + 257 : place + 263] == b"ustar\0":
        folder = content[place + 345 : place + 500].partition(b"\0")[0]
        name = folder + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _by_library(path: str, content: bytes, *, part: bool) -> Columns:
    names: list[str] = []
    headers: list[int] = []
    starts: list[int] = []
    stops: list[int] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                stop = member.offset_data + member.size
                if member.issparse():
                    raise tarfile.ReadError(f"member {member.name} is sparse")
                if stop > len(content):
                    raise tarfile.ReadError(f"member {member.name} ends early")
                names.append(member.name)
                headers.append(member.offset)  # of the extended header, where it has one
                starts.append(member.offset_data)
                stops.append(stop)
    except (tarfile.TarError, EOFError) as error:
        raise _cut_short(path, str(error)) from error
    if not part and any(content[-BLOCK:]):
        raise _cut_short(path, "it does not end with a tar's two blocks of zeros")
    return names, headers, starts, stops


def split_name(member: str) -> tuple[str, str]:
    """`dir/key.ext.more` to (`dir/key`, `ext.more`), lower-cased: webdataset's rule."""
    folder, _, base = member.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


class _Slices(Mapping[str, bytes]):
    """Members cut out of their shard when they are asked for: what is not read is not copied."""

    __slots__ = ("_content", "_spans")

    def __init__(self, content: bytes, spans: Spans) -> None:
        self._content, self._spans = content, spans

    def __getitem__(self, extension: str) -> bytes:
        start, stop = self._spans[extension]
        return self._content[start:stop]

    def __contains__(self, extension: object) -> bool:
        return extension in self._spans  # `Mapping` would cut the member out for it

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


class Place(NamedTuple):
    """Where a sample lies in a tar: its key, the first byte of its first header, its members."""

    key: str
    header: int
    spans: Spans


def places_of(path: str, content: bytes, *, part: bool = False) -> Iterator[Place]:
    """The samples of a tar, or with `part` of some neighbouring members of one.

    The members of one key stand together: one that comes back is two samples under one name.
    Raises DataError for it, and for a tar that is damaged.
    """
    seen: set[str] = set()
    current, first, spans = "", 0, Spans()
    for name, header, start, stop in zip(*columns(path, content, part=part), strict=True):
        key, extension = split_name(name)
        begins = not spans or key != current
        if key in seen if begins else extension in spans:
            raise DataError(
                f"shard {path} has the key '{key}' twice",
                why="the members of one sample must stand together, under a key of their own",
                mend="write the shard again with unique keys",
            )
        if begins:
            if spans:
                yield Place(current, first, spans)
            current, first, spans = key, header, Spans()
            seen.add(key)
        spans[extension] = (start, stop)
    if spans:
        yield Place(current, first, spans)
