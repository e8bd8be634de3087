"""The studies whose results are in a storage: of each how far it is, and how much it holds."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from seedbed.errors import SeedbedError
from seedbed.storage.folder import Folder
from seedbed.track.seen import Seen, read_state
from seedbed.track.state import STATE_NAME

THREADS = 16  # studies that are asked for at a time


@dataclass(frozen=True)
class Listed:
    """A study by its name, as `status` takes it; `seen` is None where its state cannot be read.

    `num_bytes` are those of all its files, and `fault` says why it cannot be read.
    """

    name: str
    num_bytes: int
    seen: Seen | None
    fault: str = ""


def listed(storage: str) -> list[Listed]:
    """Every study in `storage`, the last that was started first.

    Of a bucket a listing for all, and for each study one (a request for 1,000 files) and two reads.
    """
    top = Folder(storage)
    names = [name for name in top.names() if not name.startswith(".")]
    with ThreadPoolExecutor(THREADS) as pool:
        found = [one for many in pool.map(lambda name: _studies(top, name), names) for one in many]
    return sorted(found, key=lambda one: (_since(one), one.name), reverse=True)


def _studies(top: Folder, name: str) -> Iterable[Listed]:
    """The study in the folder `name`: one, or of a rehearsal one for each of its surfaces."""
    sizes = top.sizes(name)
    inside = [""] if STATE_NAME in sizes else []
    inside += sorted(
        folder
        for path in sizes
        if path.endswith(f"/{STATE_NAME}") and "/" not in (folder := path.rpartition("/")[0])
    )
    for folder in inside:
        held = sum(n for path, n in sizes.items() if path.startswith(f"{folder}/" * bool(folder)))
        parts = (name, folder) if folder else (name,)
        try:
            yield Listed("/".join(parts), held, read_state(top.sub(*parts)))
        except (SeedbedError, ValueError, KeyError, TypeError) as error:
            yield Listed("/".join(parts), held, None, str(error).partition("\n")[0])


def _since(one: Listed) -> str:
    return one.seen.state.since if one.seen is not None else ""
