"""Corpora as levels of a factor. Oracles: sets of ids, and the folders taken one by one."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpora, open_corpus
from seedbed.data.order import Order
from seedbed.data.render.image import STANDARD_SLIP
from seedbed.data.render.render import Rendering, render_span
from seedbed.data.rounds import Span
from seedbed.data.select.filters.duplicates import ExactDuplicates
from seedbed.data.select.filters.length import Length
from seedbed.data.select.filters.near_duplicates import NearDuplicates
from seedbed.data.views import IMAGE, TEXT
from seedbed.errors import DataError, StudyError
from seedbed.run.driver.launch import check_one_test


def picture(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()


def folder(path: Path, first: int, num_shards: int = 3, each: int = 40) -> str:
    path.mkdir()
    for shard in range(num_shards):
        with tarfile.open(path / f"{shard:03}.tar", "w") as tar:
            for n in range(first + shard * each, first + (shard + 1) * each):
                caption = " ".join(["word"] * (n % 5 + 1))
                for name, content in ((f"{n}.png", picture(n)), (f"{n}.txt", caption.encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.fixture
def one(tmp_path: Path) -> str:
    return folder(tmp_path / "one", 0)


@pytest.fixture
def two(tmp_path: Path) -> str:
    return folder(tmp_path / "two", 1000)


def epoch(corpus: OpenCorpus, epoch: int = 0) -> list[int]:
    """The ids of an epoch's samples, in stream order."""
    order = Order(
        corpus.train.blocks, fingerprint=corpus.train.fingerprint, seed=0, lanes=1, window_rows=64
    )
    n = order.num_samples
    rendering = Rendering({IMAGE: STANDARD_SLIP}, (TEXT,), 8, 12, "txt", seed=0)
    span = Span(epoch * n, (epoch + 1) * n, 1)
    parts = [part["id"] for part in render_span(corpus.train, order, span, rendering, 64)]
    return [int(number) for number in np.concatenate(parts)]


def at(home: Path, **fields: object) -> OpenCorpus:
    return open_corpus(Corpus(caption="txt", **fields), home)  # type: ignore[arg-type]


def test_several_sources_are_read_as_one(one: str, two: str, home: Path) -> None:
    both, first, second = (at(home, uri=u) for u in (f"{one}::{two}", one, two))
    assert both.train.num_samples == first.train.num_samples + second.train.num_samples
    assert both.train.paths == first.train.paths + second.train.paths
    ids = epoch(both)
    assert len(set(ids)) == len(ids) == both.train.num_samples
    assert both.fingerprint not in (first.fingerprint, second.fingerprint)


def test_a_weight_repeats_a_sources_pairs_each_as_another_sample(
    one: str, two: str, home: Path
) -> None:
    plain, weighted = at(home, uri=f"{one}::{two}"), at(home, uri=f"{one}@2::{two}@0.5")
    first = at(home, uri=one).train.num_samples
    second = plain.train.num_samples - first
    ids = epoch(weighted)
    assert len(ids) == len(set(ids)) == 2 * first + round(second / 2)
    rows = Counter((i >> 32, i & 0xFFFFFF) for i in ids)
    ours = {key: n for key, n in rows.items() if key[0] < 3}
    theirs = {key: n for key, n in rows.items() if key[0] >= 3}
    assert set(ours.values()) == {2} and len(ours) == first
    assert set(theirs.values()) == {1}
    assert set(rows) <= {(i >> 32, i & 0xFFFFFF) for i in epoch(plain)}


def test_copies_of_a_row_are_augmented_each_in_its_own_way(one: str, home: Path) -> None:
    twice = at(home, uri=f"{one}@2")
    order = Order(twice.train.blocks, fingerprint="f", seed=0, lanes=1, window_rows=64)
    n = order.num_samples
    rendering = Rendering({IMAGE: STANDARD_SLIP}, (TEXT,), 8, 12, "txt", seed=0)
    parts = list(render_span(twice.train, order, Span(0, n, 1), rendering, 1000))
    images = {int(i): image for p in parts for i, image in zip(p["id"], p["image"], strict=True)}
    pairs = [(images[i], images[i | 1 << 24]) for i in images if not i >> 24 & 0xFF]
    assert len(pairs) == n // 2
    assert sum((a != b).any() for a, b in pairs) > 0.9 * len(pairs)


def test_a_selection_takes_training_pairs_only_and_counts_what_it_removed(
    one: str, home: Path
) -> None:
    every = at(home, uri=one)
    some = at(home, uri=one, filters=(Length(min_words=3, min_characters=1),), take=30)
    assert some.train.num_samples == 30 == len(set(epoch(some)))
    assert set(epoch(some)) <= set(epoch(every))
    assert all((i & 0xFFFFFF) % 5 >= 2 for i in epoch(some))  # 40 a shard: row and number agree
    assert some.test.fingerprint == every.test.fingerprint
    assert [s for n in range(3) for s in some.test.of_shard(n)] == [
        s for n in range(3) for s in every.test.of_shard(n)
    ]
    length, take = some.steps
    assert length.num_rows == every.train.num_samples
    assert length.num_rows - length.num_removed == take.num_rows
    assert take.num_rows - take.num_removed == 30
    assert some.fingerprint != every.fingerprint


def test_a_smaller_fraction_lies_inside_a_larger(one: str, home: Path) -> None:
    small, large, whole = (
        set(epoch(at(home, uri=one, fraction=f))) if f < 1 else set(epoch(at(home, uri=one)))
        for f in (0.2, 0.5, 1)
    )
    assert small < large < whole


def test_another_selection_of_equal_count_is_another_order(one: str, home: Path) -> None:
    whole = at(home, uri=one)
    by_take = at(home, uri=one, take=whole.train.num_samples)
    assert sorted(epoch(by_take)) == sorted(epoch(whole))
    assert epoch(by_take) != epoch(whole)


def test_duplicates_are_found_over_sources(one: str, tmp_path: Path, home: Path) -> None:
    again = folder(tmp_path / "again", 0)
    both = at(home, uri=f"{one}::{again}", filters=(ExactDuplicates(),))
    single = at(home, uri=one)
    # What is held out of one source is held out of its twin: both have the same names.
    assert both.train.num_samples == single.train.num_samples
    near = at(home, uri=f"{one}::{again}", filters=(NearDuplicates(distance=0),))
    assert near.train.num_samples == single.train.num_samples


def test_a_filter_that_leaves_nothing_says_what_removed_it(one: str, home: Path) -> None:
    with pytest.raises(DataError, match=r"no pair of .* is left.*\n.*Length.* removed 90"):
        at(home, uri=one, filters=(Length(min_words=50),))


def test_a_list_of_uids_finds_nothing_in_a_corpus_without(
    one: str, tmp_path: Path, home: Path
) -> None:
    listed = tmp_path / "uids.txt"
    listed.write_text("3\n44\n")
    with pytest.raises(DataError, match=r"no pair of .* is left.*\n.*uids="):
        at(home, uri=one, uids=str(listed))


def test_trials_of_two_corpora_are_scored_on_one_test_set_or_not_at_all(
    one: str, two: str, tmp_path: Path, home: Path
) -> None:
    corpora = [Corpus(uri=uri, caption="txt") for uri in (one, two)]
    with pytest.raises(StudyError, match=r"scored on different pictures.*\n.*\n.*test_uri"):
        check_one_test(open_corpora(corpora, home).values())
    third = folder(tmp_path / "third", 5000, num_shards=1)
    corpora = [Corpus(uri=uri, caption="txt", test_uri=third) for uri in (one, two)]
    opened = open_corpora(corpora, home)
    check_one_test(opened.values())
    assert {c.test.num_samples for c in opened.values()} == {40}
    assert {c.train.num_samples for c in opened.values()} == {120}
    assert len({c.fingerprint for c in opened.values()}) == 2


def test_other_captions_are_scored_on_the_same_names_or_not_at_all(one: str, home: Path) -> None:
    filtered = Corpus(uri=one, caption="txt", fraction=0.5)
    check_one_test(open_corpora([filtered, Corpus(uri=one, caption="txt")], home).values())
    other = OpenCorpus(
        Corpus(uri=one, caption="raw"),
        *(
            getattr(open_corpus(filtered, home), n)
            for n in ("train", "test", "fingerprint", "sources")
        ),
    )
    with pytest.raises(StudyError, match=r"scored on different captions: raw, txt"):
        check_one_test([other, open_corpus(filtered, home)])


def test_corpora_on_one_source_share_where_its_rows_begin(one: str, two: str, home: Path) -> None:
    """Of 400 million rows these are 1.6 GB. Oracle: what pickle writes."""
    stated = [
        Corpus(uri=one, caption="txt"),
        Corpus(uri=one, caption="txt", filters=(Length(min_words=3),)),
        Corpus(uri=f"{two}::{one}", caption="txt"),
    ]
    opened = open_corpora(stated, home)
    whole, filtered, both = (opened[corpus].train.starts for corpus in stated)
    (column,) = whole.columns
    assert column is filtered.columns[0]
    assert column is both.columns[1] and len(both.columns) == 2
    assert column is opened[stated[0]].test.starts.columns[0]
    values = column.whole()
    # As they go into Ray's store: the array once for each source (the two look alike).
    buffers: list[pickle.PickleBuffer] = []
    pickle.dumps(opened, protocol=5, buffer_callback=buffers.append)
    assert sum(values.tobytes() == bytes(buffer.raw()) for buffer in buffers) == 2
    # And each corpus finds its own in them.
    for shard, path in enumerate(opened[stated[2]].train.paths):
        alone = opened[stated[0]].train
        if path in alone.paths:
            mine = both.of_shard(shard).tolist()
            assert mine == whole.of_shard(alone.paths.index(path)).tolist()
