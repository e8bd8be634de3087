"""Synonyms from the database files of WordNet 3.0 (Princeton University, wndb(5WN)).

The indexes are read when first asked for, a synset only when a word needs it.
"""

from __future__ import annotations

import functools
import io
import mmap
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seedbed.data.provided import provider
from seedbed.errors import DataError
from seedbed.home import home as seedbed_home
from seedbed.storage.local import new_folder

PARTS = ("noun", "verb", "adj", "adv")
FILES = tuple(f"{kind}.{part}" for part in PARTS for kind in ("index", "data"))
DEBIAN = Path("/usr/share/wordnet")  # of the package wordnet-base
MEND = (
    "apt install wordnet-base, or SEEDBED_WORDNET=<folder with index.noun, data.noun, ...>, or "
    "do without by --set augment.text_aug.synonyms=none"
)
# Rules that undo inflections, as in WordNet's morphy(7WN). Its lists of exceptions (children,
# geese) are left out: npm's package has none, and the views must not depend on where WordNet was
# found.
ENDINGS = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


class WordNet:
    """The database in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._indexes: dict[str, dict[bytes, bytes]] = {}
        self._data: dict[str, mmap.mmap] = {}
        self._known: dict[str, tuple[str, ...]] = {}

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Other words of the synsets that hold `word` or its stem, sorted; none if unknown.

        Lower case, letters and single spaces only, as textaugment makes them.
        """
        if (known := self._known.get(word)) is None:
            lemmas = {_plain(lemma) for lemma in self._lemmas(word)} - {word, ""}
            known = self._known[word] = tuple(sorted(lemmas))
        return known

    def _lemmas(self, word: str) -> Iterator[str]:
        for part in PARTS:
            index = self._index(part)
            for form in dict.fromkeys([word, *stems(word, part)]):
                if (entry := index.get(form.encode())) is None:
                    continue
                # part, number of synsets, pointers ..., and last that many offsets.
                fields = entry.split()
                for offset in fields[-int(fields[1]) :]:
                    yield from self._synset(part, int(offset))

    def _synset(self, part: str, offset: int) -> Iterator[str]:
        data = self._data_of(part)
        # offset, file, type, number of words in hexadecimal, then word and sense by turns.
        fields = data[offset : data.find(b"|", offset)].decode().split()
        for lemma in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
            yield lemma.partition("(")[0]  # an adjective's place: galore(ip)

    def _index(self, part: str) -> dict[bytes, bytes]:
        if part not in self._indexes:
            lines = (self.folder / f"index.{part}").read_bytes().split(b"\n")
            entries = (line.partition(b" ") for line in lines if line[:1] not in (b" ", b""))
            self._indexes[part] = {lemma: rest for lemma, _, rest in entries}
        return self._indexes[part]

    def _data_of(self, part: str) -> mmap.mmap:
        if part not in self._data:
            with (self.folder / f"data.{part}").open("rb") as opened:
                self._data[part] = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        return self._data[part]


def stems(word: str, part: str) -> list[str]:
    """The words that `word` may be an inflection of, whether in WordNet or not."""
    return [
        word.removesuffix(end) + new
        for end, new in ENDINGS[part]
        if len(word) > len(end) and word.endswith(end)
    ]


def _plain(lemma: str) -> str:
    text = lemma.replace("_", " ").replace("-", " ").lower()
    return " ".join("".join(c for c in text if c == " " or "a" <= c <= "z").split())


def home_folder(home: Path) -> Path:
    """Where `WordNetFiles.prepare` puts the database."""
    return home / "wordnet-3.0"


def find_wordnet(home: Path | None = None) -> Path:
    """The folder of the database: SEEDBED_WORDNET, Debian's, or that under `home`.

    Raises DataError where there is none.
    """
    if own := os.environ.get("SEEDBED_WORDNET"):
        folder = Path(own).expanduser().absolute()
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise DataError(
                f"SEEDBED_WORDNET is {own}, which lacks {', '.join(missing)}",
                why="synonyms are looked up in WordNet's database files",
                mend=MEND,
            )
        return folder
    places = (DEBIAN, home_folder(home or seedbed_home()))
    for folder in places:
        if _is_whole(folder):
            return folder
    raise DataError(
        "there is no WordNet",
        why=f"synonyms need its database files; looked in {' and '.join(map(str, places))}",
        mend=MEND,
    )


def open_wordnet() -> WordNet:
    """The database, one for each process."""
    return _opened(os.environ.get("SEEDBED_WORDNET"), os.environ.get("SEEDBED_HOME"))


@functools.cache
def _opened(own: str | None, home: str | None) -> WordNet:
    return WordNet(find_wordnet())


@dataclass(frozen=True)
class WordNetFiles:
    """The database as an asset of the views that read synonyms."""

    name: str = "wordnet"

    def prepare(self, home: Path) -> Path:
        """The folder of the database; where there is none it is fetched by npm into `home`, once.

        Raises DataError when it cannot be had.
        """
        try:
            return find_wordnet(home)
        except DataError:
            if os.environ.get("SEEDBED_WORDNET"):
                raise
        try:
            return _placed(home, lambda folder: provider().asset(self.name, folder))
        except (DataError, OSError) as error:
            why = f"{error.what}: {error.why}" if isinstance(error, DataError) else str(error)
            raise DataError("WordNet could not be fetched", why=why, mend=MEND) from error

    def pack(self) -> bytes:
        """The database as a zip. Raises DataError where there is none."""
        folder, out = find_wordnet(), io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in FILES:
                packed.write(folder / name, name)
        return out.getvalue()

    def install(self, packed: Callable[[], bytes]) -> None:
        """Put the database of `pack` where this process looks, if it finds none there."""
        try:
            find_wordnet()
        except DataError:

            def unpack(folder: Path) -> None:
                with zipfile.ZipFile(io.BytesIO(packed())) as opened:
                    opened.extractall(folder)

            _placed(seedbed_home(), unpack)


WORDNET = WordNetFiles()


def _placed(home: Path, fill: Callable[[Path], None]) -> Path:
    """The folder of the database under `home`, filled by `fill`."""
    target = home_folder(home)
    with new_folder(target, is_whole=_is_whole) as made:
        fill(made)
    return target


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)
