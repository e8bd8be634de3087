"""A digest of shards: of their bytes on a disk, and of their sizes and etags in a bucket.

Of those on a disk it is kept, by their paths, sizes and times, in the folder for state: a test set
has gigabytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import xxhash

from seedbed.errors import DataError
from seedbed.home import home
from seedbed.storage.address import Object
from seedbed.storage.objects import exists, read_object, write_object

SETTLED_SECONDS = 2.0  # the coarsest clock of a file system, FAT's


def digest_of(shards: Sequence[Object]) -> str:
    """The xxh3 digest, in hexadecimal digits."""
    in_bucket = any("://" in shard.uri for shard in shards)
    return _read_digest(shards) if in_bucket else _kept_digest(shards)


def _read_digest(shards: Sequence[Object]) -> str:
    digest = xxhash.xxh3_64()
    for shard in shards:
        digest.update(f"{shard.num_bytes}\n".encode())
        if "://" in shard.uri:
            digest.update(f"{shard.etag}\n".encode())
            continue
        with Path(shard.uri).open("rb") as file:
            while part := file.read(1 << 22):
                digest.update(part)
    return digest.hexdigest()


def _kept_digest(shards: Sequence[Object]) -> str:
    """The digest, for which no file is read whose path, size and time are known."""
    began = time.time()
    known = repr([(one.uri, one.num_bytes, one.etag) for one in shards])
    place = str(home() / "marks" / xxhash.xxh3_128_hexdigest(known.encode()))
    if exists(place):
        return read_object(place).decode()
    digest = _read_digest(shards)
    # A file that was written a moment ago may be written again within a tick of the disk's clock.
    if all(began - Path(one.uri).stat().st_mtime > SETTLED_SECONDS for one in shards):
        with suppress(DataError):  # a folder that cannot be written: it is read again next time
            write_object(place, digest.encode())
    return digest
