"""Row filters. Oracles: captions judged by hand, and naive loops over all pairs of rows.

The contract holds for every filter of the package, found by walking it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import seedbed.data.select.filters
from seedbed.data.select.filters import near_duplicates
from seedbed.data.select.filters.aspect_ratio import AspectRatio
from seedbed.data.select.filters.characters import Characters
from seedbed.data.select.filters.clip_score import ClipScore
from seedbed.data.select.filters.duplicates import ExactDuplicates
from seedbed.data.select.filters.file_names import FileNames
from seedbed.data.select.filters.filter import Deduplication, Filter, by_hash, hashes
from seedbed.data.select.filters.image_side import MinImageSide
from seedbed.data.select.filters.length import Length
from seedbed.data.select.filters.markup import Markup
from seedbed.data.select.filters.near_duplicates import NearDuplicates
from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
from seedbed.errors import DataError


def found() -> list[type[Filter]]:
    held = []
    for module in pkgutil.iter_modules(seedbed.data.select.filters.__path__):
        place = importlib.import_module(f"seedbed.data.select.filters.{module.name}")
        for _, value in inspect.getmembers(place, inspect.isclass):
            own = value.__module__ == place.__name__ and not inspect.isabstract(value)
            if issubclass(value, Filter) and own:
                held.append(value)
    return sorted(held, key=lambda one: one.__name__)


class Watched(dict[str, NDArray[Any]]):
    """Columns that remember which of them were read."""

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        super().__init__(columns)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.read.add(name)
        return super().__getitem__(name)


CAPTIONS = ("a red fox in the snow", "IMG_1234.jpg", "", "狐", "<b>dog</b> walks", "fox", "Fox ")


def table(n: int = 400, seed: int = 0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**64, 20, dtype=np.uint64)
    flips = [sum(1 << int(b) for b in rng.integers(0, 64, rng.integers(0, 5))) for _ in range(n)]
    return {
        "caption": np.array(rng.choice(CAPTIONS, n), dtype=object),
        "width": rng.integers(0, 200, n),
        "height": rng.integers(0, 200, n),
        "clip_score": rng.uniform(-0.5, 1, n),
        "sha256": np.array([f"{v:x}" for v in rng.integers(0, 50, n)], dtype=object),
        "phash": rng.choice(base, n) ^ np.array(flips, np.uint64),
        "key": np.array([f"row{i}" for i in range(n)], dtype=object),
        "uid": np.array([f"{i:032x}" for i in range(n)], dtype=object),
        "shard": np.array([f"s{i % 3}.tar" for i in range(n)], dtype=object),
    }


@pytest.mark.parametrize("kind", found(), ids=lambda kind: kind.__name__)
class TestEvery:
    def test_reads_the_columns_it_declares_and_no_other(self, kind: type[Filter]) -> None:
        rows = Watched(table())
        kept = kind().keep(rows)
        assert rows.read == set(kind.columns)
        assert kept.dtype == np.bool_ and kept.shape == (400,)
        assert 0 < kept.sum() < 400, "the table must show that the filter does something"

    def test_is_a_value(self, kind: type[Filter]) -> None:
        value = kind()
        assert pickle.loads(pickle.dumps(value)) == value
        assert hash(kind()) == hash(value) and kind() == value
        fields = dataclasses.fields(kind)
        assert all(isinstance(getattr(value, f.name), (int, float, str, bool)) for f in fields)
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.anything = 1  # type: ignore[attr-defined]

    def test_permuting_the_rows_permutes_the_answer(self, kind: type[Filter]) -> None:
        rows = table()
        order = np.random.default_rng(1).permutation(400)
        kept = kind().keep({name: values[order] for name, values in rows.items()})
        np.testing.assert_array_equal(kept, kind().keep(rows)[order])

    def test_what_it_keeps_it_keeps_again(self, kind: type[Filter]) -> None:
        rows = table()
        kept = kind().keep(rows)
        assert kind().keep({name: values[kept] for name, values in rows.items()}).all()

    def test_what_it_says_of_a_row_by_itself_depends_on_that_row_alone(
        self, kind: type[Filter]
    ) -> None:
        rows, rule = table(), kind()
        alone = [{name: v[i : i + 1] for name, v in rows.items()} for i in range(400)]
        if isinstance(rule, Deduplication):
            every = rule.digest(rows)
            assert every.dtype == np.uint64
            assert [rule.digest(one)[0] for one in alone] == every.tolist()
            ranks = np.random.default_rng(2).permutation(400).astype(np.uint64)
            order = np.argsort(ranks)
            kept = rule.choose(every, ranks)
            np.testing.assert_array_equal(rule.choose(every[order], ranks[order]), kept[order])
        if rule.by_row:
            assert [bool(rule.keep(one)[0]) for one in alone] == rule.keep(rows).tolist()
            assert "key" not in rule.columns

    def test_takes_texts_as_a_corpus_gives_them(self, kind: type[Filter]) -> None:
        texts = np.dtypes.StringDType()
        rows = {n: v.astype(texts) if v.dtype == object else v for n, v in table().items()}
        np.testing.assert_array_equal(kind().keep(rows), kind().keep(table()))

    def test_leaves_the_columns_as_they_are(self, kind: type[Filter]) -> None:
        rows = table()
        kind().keep(rows)
        for name, values in table().items():
            np.testing.assert_array_equal(rows[name], values)

    def test_takes_no_rows(self, kind: type[Filter]) -> None:
        assert kind().keep({n: v[:0] for n, v in table().items()}).shape == (0,)

    def test_says_which_columns_there_are(self, kind: type[Filter]) -> None:
        missing = sorted(kind.columns)[0]
        rows = {name: values for name, values in table().items() if name != missing}
        with pytest.raises(DataError, match=rf"no column '{missing}'[^$]*shard"):
            kind().keep(rows)


def judged(rule: Filter, *captions: str) -> list[bool]:
    return rule.keep({"caption": np.array(captions, dtype=object)}).tolist()


def test_characters() -> None:
    rule = Characters()
    assert judged(rule, "a fox", "Füchse im Schnee", "лиса", "fox 狐", "123", "café au lait!") == [
        True,
        True,  # 1 of 14 letters
        False,
        False,
        False,
        True,
    ]
    assert judged(Characters(min_ascii_share=0), "лиса", "fox 狐", "\u4dff", "\u9fa6") == [
        True,
        False,
        True,
        True,
    ]
    assert judged(Characters(0, refuse_chinese=False), "狐") == [True]
    assert judged(Characters(0), "\u4e00", "\u9fa5") == [False, False]


def test_length() -> None:
    rule = Length(min_words=2, max_words=3, min_characters=4, max_characters=9)
    captions = ("a b", "ab cd", " ab  cd ", "a b c d e", "abcdefgh i", "one")
    assert judged(rule, *captions) == [False, True, True, False, False, False]


@pytest.mark.parametrize(
    "caption",
    ["IMG_1234", "DSC00012.JPG", "dsc_0042", "P1010012", "img-001 (2)", "beach.png", "20150612",
     "PICT0004", "see photo.jpeg here", "DSCN0123"],
)  # fmt: skip
def test_a_file_name_goes(caption: str) -> None:
    assert judged(FileNames(), caption) == [False]


@pytest.mark.parametrize(
    "caption",
    ["a photo of 2 dogs", "IMG_1234 my dog", "image of a fox", "Mt. Fuji", "summer 2015 at sea",
     "pictures", "e.g. a cat"],
)  # fmt: skip
def test_a_caption_is_no_file_name(caption: str) -> None:
    assert judged(FileNames(), caption) == [True]


def test_markup() -> None:
    captions = ("see http://x.org", "www.flickr.com", "<a href=x>y</a>", "a &amp; b", "me@x.org",
                "a < b and c > d", "R&B; live", "[b]dog[/b]", "at the sea")  # fmt: skip
    kept = [False, False, False, False, False, True, False, False, True]
    assert judged(Markup(), *captions) == kept
    assert judged(Markup(refuse_urls=False), "see http://x.org", "<b>") == [True, False]
    assert judged(Markup(refuse_tags=False), "see http://x.org", "<b>") == [False, True]


@pytest.mark.parametrize(
    "text", ["1" * 100_000 + "x", "a" * 100_000, "[b " * 30_000, "<a " * 30_000]
)
def test_a_scraping_accident_takes_no_time(text: str) -> None:
    code = (
        "import sys, numpy as np; from seedbed.data.select.filters.markup import Markup\n"
        "from seedbed.data.select.filters.file_names import FileNames\n"
        "rows = {'caption': np.array([sys.stdin.read()], dtype=object)}\n"
        "Markup().keep(rows); FileNames().keep(rows)"
    )
    subprocess.run([sys.executable, "-c", code], input=text, text=True, timeout=30, check=True)


def naive_most(rows: dict[str, NDArray[Any]], most: int) -> list[bool]:
    """Row i stays if fewer than `most` rows of its caption have a smaller hash."""
    names = [" ".join(str(c).lower().split()) for c in rows["caption"]]
    ranks = hashes(rows["key"]).tolist()
    return [
        sum(n == names[i] and r < ranks[i] for n, r in zip(names, ranks, strict=True)) < most
        for i in range(len(names))
    ]


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_repeated_captions_are_the_naive_loops(most: int) -> None:
    rows = table()
    assert RepeatedCaptions(most).keep(rows).tolist() == naive_most(rows, most)


def test_exact_duplicates_leave_one_of_each() -> None:
    rows = table()
    kept = ExactDuplicates().keep(rows)
    for digest in set(rows["sha256"]):
        same = np.flatnonzero(rows["sha256"] == digest)
        assert np.flatnonzero(kept[same]).tolist() == [int(hashes(rows["key"][same]).argmin())]


def test_rows_without_a_digest_are_nobodys_duplicates() -> None:
    rows = {"sha256": np.array(["", "", "a"], object), "key": np.array(["1", "2", "3"], object)}
    assert ExactDuplicates().keep(rows).all()


def naive_near(phash: list[int], order: list[int], distance: int) -> list[bool]:
    """Every row against every row that stays, all 64 bits counted."""
    kept: list[int] = []
    for row in order:
        if all(bin(phash[row] ^ phash[other]).count("1") > distance for other in kept):
            kept.append(row)
    return [row in kept for row in range(len(phash))]


@pytest.mark.slow
@pytest.mark.parametrize(("few", "many"), [(64, 1_024), (2, 3)])
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    base=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    distance=st.integers(0, 3),
)
def test_near_duplicates_are_the_naive_loops(
    few: int, many: int, data: st.DataObject, base: list[int], distance: int
) -> None:
    flips = st.lists(st.integers(0, 63), max_size=6)
    values = [
        data.draw(st.sampled_from(base)) ^ sum(1 << bit for bit in set(data.draw(flips)))
        for _ in range(data.draw(st.integers(0, 30)))
    ]
    keys = np.array([f"k{n}" for n in range(len(values))], object)
    rows = {"phash": np.array(values, np.uint64), "key": keys}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "FEW", few)
        patch.setattr(near_duplicates, "MANY", many)
        kept = NearDuplicates(distance).keep(rows).tolist()
    assert kept == naive_near(values, by_hash(keys).tolist(), distance)


def test_sides_and_ratio() -> None:
    rows = {
        "width": np.array([64, 63, 300, 301, 0, 0]),
        "height": np.array([64, 200, 100, 100, 9, 0]),
    }
    assert MinImageSide(64).keep(rows).tolist() == [True, False, True, True, False, False]
    assert AspectRatio(3).keep(rows).tolist() == [True, False, True, False, False, False]


def test_a_pair_without_a_score_goes() -> None:
    rows = {"clip_score": np.array([0.3, 0.29, np.nan, 0.9])}
    assert ClipScore(0.3).keep(rows).tolist() == [True, False, False, True]
    with pytest.raises(DataError, match="does not hold numbers"):
        ClipScore().keep({"clip_score": np.array(["high"], object)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Length(min_words=3, max_words=2), "Length.max_words is 2"),
        (lambda: Length(min_words=True), "Length.min_words is True"),
        (lambda: Characters(min_ascii_share=1.5), "min_ascii_share is 1.5"),
        (lambda: Characters(refuse_chinese=1), "refuse_chinese is 1"),  # type: ignore[arg-type]
        (lambda: RepeatedCaptions(0), "RepeatedCaptions.most is 0"),
        (lambda: NearDuplicates(4), "from 0 to 3"),
        (lambda: AspectRatio(0.5), "AspectRatio.most is 0.5"),
        (lambda: ClipScore(float("nan")), "ClipScore.least is nan"),
        (lambda: MinImageSide(0), "MinImageSide.pixels is 0"),
    ],
)
def test_impossible_fields_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_one_and_one_point_zero_are_one_filter() -> None:
    assert AspectRatio(3) == AspectRatio(3.0) and AspectRatio(3).name == AspectRatio(3.0).name
