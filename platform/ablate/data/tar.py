"""Where the members of a tar lie, by one pass over its headers.

A webdataset tar is plain: regular files with short names. Such headers are read here, at a
twentieth of what the standard library takes; anything else in a tar (long names, sparse files,
extended headers) goes to the standard library.
"""

from __future__ import annotations

import io
import tarfile
from typing import NamedTuple

import numpy as np

from ablate.errors import DataError

BLOCK = 512
ZEROS = bytes(BLOCK)
PLAIN, IGNORED = (
    frozenset(b"0\0"),
    frozenset(b"512346"),
)  # regular files; folders, links and devices


class Member(NamedTuple):
    """A regular file in a tar: its bytes are `start` to `stop` - 1 of the whole."""

    name: str
    start: int
    stop: int


def members(path: str, content: bytes) -> list[Member]:
    """The regular files of the tar `content`, in order; `path` is for messages.

    Raises DataError where it is no tar, is damaged, or does not end as a tar ends.
    """
    if not content:
        raise cut_short(path, "it has zero bytes")
    places: list[int] = []  # of all headers
    found: list[Member] = []
    place, end = 0, len(content)
    while True:
        if place + BLOCK > end:
            # Cut between two members, a tar reads to its end without complaint.
            raise cut_short(path, "it does not end with a tar's two blocks of zeros")
        if not content[place] and content[place : place + BLOCK] == ZEROS:
            break
        kind = content[place + 156]
        try:
            length = int(content[place + 124 : place + 135], 8)
        except ValueError:
            return _by_library(path, content)
        if kind not in PLAIN and kind not in IGNORED:
            return _by_library(path, content)
        places.append(place)
        start = place + BLOCK
        if kind in PLAIN:
            place = start + length
            if place > end:
                _check_headers(path, content, places)
                name = _name(content, places[-1])
                raise cut_short(path, f"member {name} ends at byte {place:,} of {end:,}: it is cut")
            found.append(Member(_name(content, places[-1]), start, place))
            place += -length % BLOCK
        else:
            place = start
    _check_headers(path, content, places)
    return found


def _check_headers(path: str, content: bytes, places: list[int]) -> None:
    """Each header's bytes must add up to its checksum, taken with spaces in its place."""
    if not places:
        return
    whole = np.frombuffer(content, np.uint8)
    headers = whole[np.array(places)[:, None] + np.arange(BLOCK)]
    sums = headers.sum(1, dtype=np.int64) - headers[:, 148:156].sum(1, dtype=np.int64) + 8 * 32
    for place, total in zip(places, sums.tolist(), strict=True):
        said = content[place + 148 : place + 156].strip(b"\0 ")
        if not said.isdigit() or int(said, 8) != total:
            raise cut_short(path, f"the header at byte {place:,} is damaged")


def _name(content: bytes, place: int) -> str:
    name = content[place : place + 100].partition(b"\0")[0]
    if content[place + 345] and content[place + 257 : place + 263] == b"ustar\0":
        folder = content[place + 345 : place + 500].partition(b"\0")[0]
        name = folder + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _by_library(path: str, content: bytes) -> list[Member]:
    found = []
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
                found.append(Member(member.name, member.offset_data, stop))
    except (tarfile.TarError, EOFError) as error:
        raise cut_short(path, str(error)) from error
    if any(content[-BLOCK:]):
        raise cut_short(path, "it does not end with a tar's two blocks of zeros")
    return found


def cut_short(path: str, why: str) -> DataError:
    """The error for a shard that does not end as one ends."""
    return DataError(
        f"shard {path} is cut short or is not a {'parquet file' if _parquet(path) else 'tar'}",
        why=why,
        mend="copy it again, or leave it out of the folder",
    )


def _parquet(path: str) -> bool:
    return path.endswith(".parquet")
