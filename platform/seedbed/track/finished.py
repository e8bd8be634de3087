"""Which trials of a results storage have ended, by key: a small file for each of its studies.

Each study's driver keeps its own file, under the study's lock, so that none is written by two. A
key is eight bytes: of 10,000 trials 80 kB, and of a thousand such studies what a bucket gives in
seconds. A file may know too much (its study was cleared by hand) or too little (its driver was
killed), so that whoever finds a key there looks at the record itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import DataError
from seedbed.storage.folder import Folder

PLACE = ".finished"  # `studies` lists nothing that begins with a point
THREADS = 16  # files that are asked for at a time
BYTES = 8  # of a key of 16 hex digits


def note_finished(top: Folder, study: str, keys: Iterable[str]) -> None:
    """Write down that trials of `study` have ended, beside those that it had before."""
    noted = study in top.names(PLACE)
    before = _of_study(top, study, noted)
    found = np.union1d(before, _numbers(keys)).astype("<u8")
    if len(found) > len(before) or not noted:
        top.write_bytes(found.tobytes(), PLACE, study)


def forget_finished(top: Folder, study: str) -> None:
    """Nothing of `study` is there any more."""
    top.remove(PLACE, study)


def finished_elsewhere(top: Folder, keys: Iterable[str], study: str) -> dict[str, str]:
    """The study that has a record of a trial, for those of `keys` that another than `study` has.

    The first by name, where several have one. A study whose driver has written no file yet (of an
    older version) is listed.
    """
    wanted = _numbers(keys)
    if not len(wanted):
        return {}
    noted = set(top.names(PLACE))
    others = [n for n in top.names() if not n.startswith(".") and n != study]
    with ThreadPoolExecutor(THREADS) as pool:
        known = list(pool.map(lambda name: _of_study(top, name, name in noted), others))
    found: dict[str, str] = {}
    for name, there in zip(others, known, strict=True):
        for key in wanted[np.isin(wanted, there)]:
            found.setdefault(f"{key:016x}", name)
    return found


def _of_study(top: Folder, name: str, noted: bool) -> NDArray[np.uint64]:
    if noted:
        content = _content(top, name)
        return np.frombuffer(content[: len(content) // BYTES * BYTES], "<u8").astype(np.uint64)
    return _numbers(top.names(name, "trials"))


def _content(top: Folder, name: str) -> bytes:
    try:
        return top.read_bytes(PLACE, name)
    except DataError as error:
        if error.passing:  # the storage is away, which says nothing of the study
            raise
        return b""  # removed since it was listed, or never there


def _numbers(keys: Iterable[str]) -> NDArray[np.uint64]:
    """Keys as numbers, sorted; what is no key is left out."""
    numbers = []
    for key in keys:
        with contextlib.suppress(ValueError):
            if len(key) == 2 * BYTES:
                numbers.append(int(key, 16))
    return np.unique(np.array(numbers, dtype="<u8"))
