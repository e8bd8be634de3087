"""Where the members of a tar lie, by one pass over its headers.

A webdataset tar is plain: regular files with short names. Such headers are read here, at a
twentieth of what the standard library takes; anything else in a tar (long names, sparse files,
extended headers) goes to the standard library.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

from ablate.errors import DataError

BLOCK = 512
ZEROS = bytes(BLOCK)
PLAIN, IGNORED = b"0\0", b"5123467"  # regular files; folders, links and devices


@dataclass(frozen=True)
class Member:
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
    found: list[Member] = []
    place, size = 0, len(content)
    while True:
        header = content[place : place + BLOCK]
        if header == ZEROS:
            return found
        if len(header) < BLOCK:
            # Cut between two members, a tar reads to its end without complaint.
            raise cut_short(path, "it does not end with a tar's two blocks of zeros")
        kind = header[156:157]
        length = _octal(header[124:136])
        if kind not in PLAIN + IGNORED or length is None:
            return _by_library(path, content)
        if not _sound(header):
            raise cut_short(path, f"the header at byte {place:,} is damaged")
        start = place + BLOCK
        name = _name(header)
        if kind in PLAIN:
            if start + length > size:
                raise cut_short(
                    path, f"member {name} ends at byte {start + length:,} of {size:,}: it is cut"
                )
            found.append(Member(name, start, start + length))
            place = start + -(-length // BLOCK) * BLOCK
        else:
            place = start


def _octal(field: bytes) -> int | None:
    """A header's number; None where it is written in another way than octal."""
    digits = field.strip(b"\0 ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return None


def _sound(header: bytes) -> bool:
    """Whether the header's bytes add up to its checksum, taken with spaces in its place."""
    said = _octal(header[148:156])
    return said == sum(header) - sum(header[148:156]) + 8 * 32


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0" and (folder := header[345:500].split(b"\0", 1)[0]):
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
