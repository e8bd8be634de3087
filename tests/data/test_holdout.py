"""What is tested on is never trained on. Oracle: the pictures' bytes, read shard by shard."""

from __future__ import annotations

import io
import re
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.anew import index_anew

from seedbed.data.corpus import Corpus
from seedbed.data.holdout import HOLDOUT_MAX, num_held_out, smallest
from seedbed.data.opening import OpenCorpus, open_corpora
from seedbed.data.rows import Rows, held_out
from seedbed.data.select.filters.length import Length
from seedbed.data.shards.manifest import Manifest, ShardEntry, fingerprint, write_manifest
from seedbed.data.shards.samples import read_shard
from seedbed.data.shards.source import open_source
from seedbed.errors import DataError, StudyError
from seedbed.run.driver.launch import check_one_test

pytestmark = pytest.mark.slow


def picture(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()


def folder(path: Path, numbers: Sequence[int], each: int = 50) -> str:
    """Shards of `each` pairs, whose pictures are those of `numbers`."""
    path.mkdir()
    for first in range(0, len(numbers), each):
        with tarfile.open(path / f"{first // each:03}.tar", "w") as tar:
            for row, number in enumerate(numbers[first : first + each], first):
                caption = " ".join(["word"] * (number % 5 + 1) + [str(number)]).encode()
                for name, content in ((f"{row}.png", picture(number)), (f"{row}.txt", caption)):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.fixture
def a(tmp_path: Path) -> str:
    return folder(tmp_path / "a", range(300))


@pytest.fixture
def b(tmp_path: Path) -> str:
    return folder(tmp_path / "b", range(1000, 1200))


def images(rows: Rows) -> set[bytes]:
    """The pictures of some rows."""
    return {
        sample.image()
        for shard, path in enumerate(rows.paths)
        for samples in [read_shard(path)]
        for sample in (samples[row] for row in rows.of_shard(shard).tolist())
    }


def study(home: Path, *uris: str, **fields: object) -> list[OpenCorpus]:
    """The corpora of a study whose levels are `uris`, as they are before it starts."""
    stated = [Corpus(uri=uri, caption="txt", **fields) for uri in uris]  # type: ignore[arg-type]
    opened = list(open_corpora(stated, home).values())
    check_one_test(opened)
    return opened


def assert_none_is_tested_on_what_it_trained_on(opened: Sequence[OpenCorpus]) -> None:
    tests = [images(corpus.test) for corpus in opened]
    assert all(test == tests[0] and test for test in tests)
    for corpus in opened:
        assert not images(corpus.train) & tests[0]


def test_the_advice_names_no_training_corpus_and_obeying_it_tests_on_new_pictures(
    a: str, b: str, tmp_path: Path, home: Path
) -> None:
    with pytest.raises(StudyError, match="scored on different pictures") as refused:
        study(home, a, b)
    advice = str(refused.value).split("mend:")[1]
    assert a not in advice and b not in advice
    assert "Corpus.test_uri" in advice and "no trial trains on" in advice
    apart = folder(tmp_path / "apart", range(5000, 5040))
    opened = study(home, a, b, test_uri=apart)
    assert_none_is_tested_on_what_it_trained_on(opened)
    assert [len(images(c.train)) for c in opened] == [300, 200]
    assert [len(images(c.test)) for c in opened] == [40, 40]


@pytest.mark.parametrize("levels", ["{a} {b}", "{a} {a}::{b}", "{a}::{b} {b}@3::{a}@0.5", "{b}"])
def test_a_training_corpus_that_is_tested_on_is_held_out_by_one_rule_from_every_corpus(
    a: str, b: str, home: Path, levels: str
) -> None:
    opened = study(home, *levels.format(a=a, b=b).split(), test_uri=a)
    assert_none_is_tested_on_what_it_trained_on(opened)
    alone = study(home, a)[0]
    if levels != "{b}":
        assert images(opened[0].test) == images(alone.test)
    else:
        assert len(images(opened[0].test)) == 300  # nobody trains on it: it is tested as a whole


def test_a_mixtures_weights_leave_one_test_set(a: str, b: str, home: Path) -> None:
    """The README's factor: no advice is needed."""
    opened = study(home, f"{a}::{b}", f"{a}@2::{b}", f"{b}@0.5::{a}")
    assert_none_is_tested_on_what_it_trained_on(opened)
    parts = [images(study(home, uri)[0].test) for uri in (a, b)]
    assert images(opened[0].test) == parts[0] | parts[1]
    assert len({c.train.fingerprint for c in opened}) == 3
    assert len({c.test.fingerprint for c in opened}) == 1


@pytest.mark.parametrize(
    "fields",
    [{"fraction": 0.5}, {"take": 60}, {"filters": (Length(min_words=3, min_characters=1),)}],
)
def test_a_selection_changes_nothing_of_what_is_held_out(
    a: str, b: str, home: Path, fields: dict[str, object]
) -> None:
    opened = study(home, f"{a}::{b}", b, test_uri=b, **fields)
    assert_none_is_tested_on_what_it_trained_on(opened)
    assert images(opened[0].test) == images(study(home, b)[0].test)


def test_a_shard_that_is_named_by_two_spellings_is_held_out_from_both(a: str, home: Path) -> None:
    opened = study(home, f"{a}/*.tar", f"{a}/{{000..003}}.tar", test_uri=a)
    assert_none_is_tested_on_what_it_trained_on(opened)


def test_pictures_that_are_tested_on_and_trained_on_are_refused_with_count_and_examples(
    a: str, tmp_path: Path, home: Path
) -> None:
    other = folder(tmp_path / "other", [*range(2000, 2090), *range(0, 35, 5), 15])
    with pytest.raises(DataError) as refused:
        study(home, a, test_uri=other)
    told = str(refused.value)
    assert f"7 of the 98 pictures to be tested on are among those that '{a}' trains on" in told
    found = re.findall(r"(/\S+/a/\d+\.tar)/(\d+) is (/\S+/other/\d+\.tar)/(\d+)", told)
    assert len(found) == 3
    for ours, our_key, theirs, their_key in found:
        pair = [
            next(s.image() for s in read_shard(path) if s.key == key)
            for path, key in ((ours, our_key), (theirs, their_key))
        ]
        assert pair[0] == pair[1]
    # Pairs that a selection leaves out are not trained on.
    longer = (Length(min_words=3, min_characters=1),)  # one word and a number is too short
    kept = study(home, a, test_uri=other, filters=longer)
    assert_none_is_tested_on_what_it_trained_on(kept)


def test_copies_of_held_out_pictures_in_their_own_source_are_left_out_and_counted(
    tmp_path: Path, home: Path
) -> None:
    twice = folder(tmp_path / "twice", [*range(100), *range(100)])
    (opened,) = study(home, twice)
    assert_none_is_tested_on_what_it_trained_on([opened])
    (step,) = opened.steps
    assert step.name == "held_out_copies"
    assert step.num_removed > 0
    assert step.num_rows - step.num_removed == opened.train.num_samples
    assert opened.train.num_samples + opened.test.num_samples + step.num_removed == 200
    half = study(home, twice, fraction=0.5)[0]
    assert [s.name for s in half.steps] == ["held_out_copies", "fraction=0.5"]
    assert_none_is_tested_on_what_it_trained_on([half])


def test_shards_that_were_indexed_one_after_the_other_make_the_same_corpus(
    tmp_path: Path, home: Path
) -> None:
    """An index has shards in the order in which it learnt of them; a corpus has its own."""
    twice = folder(tmp_path / "twice", [*range(100), *range(100)])
    whole = study(home, twice)[0]
    names = sorted(path.name for path in Path(twice).iterdir())
    later = tmp_path / "later"
    later.mkdir()
    for name in reversed(names):
        (later / name).write_bytes((Path(twice) / name).read_bytes())
        time.sleep(0.02)  # past the tick of the disk's clock in which it was written
        index_anew(later, home)
    assert len(whole.train.apart) > 1
    again = study(home, str(later))[0]
    assert list(again.train.apart) == list(whole.train.apart)
    assert again.train.fingerprint == whole.train.fingerprint


def described(path: Path, splits: Sequence[str], home: Path) -> None:
    """A manifest.json for the folder's shards, of one split each."""
    shards = open_source(str(path), home / "other").manifest.shards
    named = tuple(
        ShardEntry(s.name, split, s.num_samples, s.num_bytes, s.sha256)
        for s, split in zip(shards, splits, strict=True)
    )
    write_manifest(Manifest("x", "1", ("txt",), named, (), fingerprint(named)), path)


def test_a_split_that_is_trained_on_by_another_name_is_left_out(a: str, home: Path) -> None:
    described(Path(a), ["train"] * 5 + ["test"], home)
    opened = study(home, a, f"{a}/*.tar", test_uri=a)
    assert_none_is_tested_on_what_it_trained_on(opened)
    assert [len(images(c.train)) for c in opened] == [250, 250]
    with pytest.raises(DataError, match=r"has 0 samples to train on(.|\n)*never trained on"):
        study(home, a, test_split="train")


@pytest.mark.parametrize(
    ("num_rows", "held"),
    [
        (40, 10),
        (300, 75),
        (800, 200),
        (4_000, 200),
        (10_000, 500),
        (10**6, HOLDOUT_MAX),
        (15_000_000, HOLDOUT_MAX),
    ],
)
def test_a_source_holds_out_exactly_so_many_rows(num_rows: int, held: int) -> None:
    assert num_held_out(num_rows) == held
    counts = {f"{n:05}.tar": 10_000 for n in range(num_rows // 10_000)}
    counts["last.tar"] = num_rows % 10_000
    limit = smallest(counts, held)
    found = [held_out(f"/x/{name}", np.arange(n), limit).sum() for name, n in counts.items()]
    assert sum(found) == held


def test_shards_of_one_name_in_many_folders_never_hold_out_more() -> None:
    counts = {f"{n}/0.tar": 100 for n in range(40)}
    limit = smallest(counts, num_held_out(4_000))
    found = sum(held_out(name, np.arange(n), limit).sum() for name, n in counts.items())
    assert 160 <= found <= 200
