"""Test sets that anybody can build from published packages: one file each.

A test set is a module of this package with `splits(downloads, progress)`, `CLASSES` or
`classes(...)` in the order of labels, and `TEMPLATES`; its name is the module's, with `-` for `_`.
It is written in clip_benchmark's layout (see `seedbed.evaluate.test_set`).
"""

from __future__ import annotations

import importlib
import io
import itertools
import pkgutil
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from seedbed.errors import DataError
from seedbed.storage.lock import file_lock
from seedbed_corpora.steps import say

if TYPE_CHECKING:
    from rich.progress import Progress

SHARD = 10_000  # pictures, as clip_benchmark's own builder writes them
Labelled = Iterable[tuple[bytes, str, int]]  # a picture, its file's ending, its label


def names() -> tuple[str, ...]:
    return tuple(entry.name.replace("_", "-") for entry in pkgutil.iter_modules(__path__))


def test_set_folder(home: Path, name: str) -> Path:
    """Where a test set lies, built or not."""
    return home / "tests" / name


def prepare(name: str, home: Path, progress: Progress | None = None) -> Path:
    """The folder of the test set `name`, built if it is not there. Raises DataError."""
    folder = test_set_folder(home, name)
    if folder.is_dir():
        return folder
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(folder.with_name(f"{name}.lock")):
            if not folder.is_dir():
                partial = folder.with_name(f"{name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                _write(module, home, partial, progress)
                partial.rename(folder)
    except OSError as error:
        raise DataError(
            f"the test set '{name}' cannot be written to {folder.parent}",
            why=str(error),
            mend="mend that, or point SEEDBED_HOME at another disk",
        ) from error
    return folder


def _write(module: ModuleType, home: Path, folder: Path, progress: Progress | None) -> None:
    downloads = folder / "packages"
    downloads.mkdir()
    classes, splits = module.read(home, downloads, progress)
    (folder / "classnames.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    (folder / "zeroshot_classification_templates.txt").write_text(
        "\n".join(module.TEMPLATES) + "\n", encoding="utf-8"
    )
    (folder / "ATTRIBUTION.md").write_text(module.ATTRIBUTION + "\n", encoding="utf-8")
    for split, labelled in splits.items():
        count = write_split(folder / split, labelled)
        say(f"{folder.stem}: {count:,} pictures in {split}")
    shutil.rmtree(downloads)


def write_split(folder: Path, labelled: Labelled) -> int:
    """Shards of at most 10,000 pictures and their number; how many pictures there are.

    Members carry no time and no owner: the same pictures give the same bytes.
    """
    folder.mkdir()
    count = num_shards = 0
    left = iter(labelled)
    while some := list(itertools.islice(left, SHARD)):
        with tarfile.open(folder / f"{num_shards}.tar", "w") as shard:
            for picture, ending, label in some:
                for suffix, content in ((ending, picture), ("cls", str(label).encode())):
                    member = tarfile.TarInfo(f"s{count:07d}.{suffix}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))
                count += 1
        num_shards += 1
    (folder / "nshards.txt").write_text(str(num_shards))
    return count
