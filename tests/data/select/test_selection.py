"""Selections. Oracles: nestedness and counts as stated, sets of uids, and a naive recount."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seedbed.data.select.choice import Choice
from seedbed.data.select.filters.duplicates import ExactDuplicates
from seedbed.data.select.filters.filter import Filter, Mask, Rows, hashes
from seedbed.data.select.filters.image_side import MinImageSide
from seedbed.data.select.filters.length import Length
from seedbed.data.select.filters.repeated_captions import RepeatedCaptions
from seedbed.data.select.judge import Question, judge
from seedbed.data.select.removed import removed, removed_by
from seedbed.data.select.selection import (
    UID_DTYPE,
    Removal,
    Selection,
    copies,
    read_uids,
)
from seedbed.errors import DataError

counts = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def uid(n: int) -> str:
    return hashlib.md5(str(n).encode()).hexdigest()


@dataclass(frozen=True)
class RowTable:
    """Rows of a corpus: number of the shard [n], number of the row in it [n], columns of [n]."""

    shards: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.shards)

    def where(self, kept: NDArray[Any]) -> RowTable:
        columns = {name: values[kept] for name, values in self.columns.items()}
        return RowTable(self.shards[kept], self.rows[kept], columns)


@dataclass(frozen=True)
class Selected:
    shards: NDArray[np.int64]
    rows: NDArray[np.int64]
    steps: tuple[Removal, ...]

    def of_shard(self, shard: int) -> NDArray[np.int64]:
        return self.rows[self.shards == shard]


def applied(selection: Selection, table: RowTable) -> Selected:
    """What a selection leaves of `table`, judged shard by shard as a corpus is."""
    by_shard = table.where(np.argsort(table.shards, kind="stable"))
    counts = np.bincount(table.shards, minlength=1)
    asked = Question(selection)
    choice = Choice(asked, counts.tolist())
    for shard in range(len(counts)):
        mine = by_shard.where(by_shard.shards == shard)
        choice.add(shard, judge(asked, mine.columns, shard))
    uids = by_shard.columns.get("uid", np.full(len(by_shard), "", object))
    words = list(zip(uids.tolist(), by_shard.columns["key"].tolist(), strict=True))
    stays, steps = choice.chosen(lambda rows: [words[row] for row in rows.tolist()])
    left = by_shard.where(stays)
    order = np.lexsort((left.rows, left.shards))
    return Selected(left.shards[order], left.rows[order], steps)


def table(sizes: list[int], *, uids: bool = True, unique: bool = True) -> RowTable:
    """Shards of `sizes` rows; captions of 0 to 4 words, and sides of 0 to 99."""
    shards = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.concatenate([np.arange(size) for size in sizes]).astype(np.int64)
    n = len(shards)
    names = [f"{s}-{r}" if unique else str(r) for s, r in zip(shards, rows, strict=True)]
    columns: dict[str, Any] = {
        "key": np.array(names, object),
        "caption": np.array([" ".join(["word"] * (i % 5)) for i in range(n)], object),
        "width": np.arange(n) * 37 % 100,
        "height": np.full(n, 99),
    }
    if uids:
        columns["uid"] = np.array([uid(i) for i in range(n)], object)
    return RowTable(shards.astype(np.int64), rows, columns)


def chosen(selected: Selected) -> set[tuple[int, int]]:
    pairs = list(zip(selected.shards.tolist(), selected.rows.tolist(), strict=True))
    assert pairs == sorted(set(pairs)), "ascending, and no row twice"
    return set(pairs)


@settings(max_examples=50, deadline=None)
@given(sizes=counts, a=st.floats(0.01, 1), b=st.floats(0.01, 1), uids=st.booleans())
def test_a_smaller_fraction_lies_inside_a_larger(
    sizes: list[int], a: float, b: float, uids: bool
) -> None:
    rows = table(sizes, uids=uids)
    small, large = (chosen(applied(Selection(fraction=f), rows)) for f in sorted((a, b)))
    assert small <= large
    assert len(chosen(applied(Selection(fraction=1.0), rows))) == sum(sizes)


@settings(max_examples=50, deadline=None)
@given(sizes=counts, data=st.data(), unique=st.booleans(), uids=st.booleans())
def test_take_is_exact_and_nested(
    sizes: list[int], data: st.DataObject, unique: bool, uids: bool
) -> None:
    rows = table(sizes, unique=unique, uids=uids)
    a, b = sorted(data.draw(st.integers(0, len(rows))) for _ in range(2))
    small = chosen(applied(Selection(take=a), rows)) if a else set()
    large = chosen(applied(Selection(take=b), rows)) if b else set()
    assert (len(small), len(large)) == (a, b)
    assert small <= large


@settings(max_examples=50, deadline=None)
@given(sizes=counts, seed=st.integers(0, 99), unique=st.booleans(), fraction=st.floats(0.1, 1))
def test_the_order_of_the_rows_is_no_matter(
    sizes: list[int], seed: int, unique: bool, fraction: float
) -> None:
    rows = table(sizes, unique=unique, uids=False)
    mixed = rows.where(np.random.default_rng(seed).permutation(len(rows)))
    selection = Selection((RepeatedCaptions(3),), fraction)
    first, second = applied(selection, rows), applied(selection, mixed)
    assert chosen(first) == chosen(second)
    assert first.steps == second.steps
    take = Selection(take=len(rows) // 2)
    assert chosen(applied(take, rows)) == chosen(applied(take, mixed))


def test_a_tenth_is_about_a_tenth() -> None:
    rows = table([4000])
    kept = len(chosen(applied(Selection(fraction=0.1), rows)))
    assert abs(kept - 400) < 5 * (4000 * 0.1 * 0.9) ** 0.5


def test_taking_is_taking_the_smallest_hashes_as_a_fraction_does() -> None:
    rows = table([500])
    part = chosen(applied(Selection(fraction=0.3), rows))
    assert chosen(applied(Selection(take=len(part)), rows)) == part


def test_a_row_with_a_uid_is_chosen_by_it_wherever_it_lies() -> None:
    one, other = table([100]), table([30, 70])
    uids = other.columns["uid"][::-1]
    other = RowTable(other.shards, other.rows, {**other.columns, "uid": uids})

    def kept(rows: RowTable) -> set[str]:
        names = dict(
            zip(zip(rows.shards, rows.rows, strict=True), rows.columns["uid"], strict=True)
        )
        return {names[pair] for pair in chosen(applied(Selection(take=20), rows))}

    assert kept(one) == kept(other)


def test_keys_that_come_back_in_another_shard_are_other_rows() -> None:
    rows = table([50, 50, 50], unique=False, uids=False)
    kept = applied(Selection(fraction=0.5), rows)
    assert len({tuple(kept.of_shard(shard).tolist()) for shard in range(3)}) == 3


def test_what_a_selection_records_is_declared_with_and_without_a_step_before_it() -> None:
    selection = Selection((Length(min_words=2, min_characters=0),), fraction=0.5, take=5)
    steps = [step.name for step in applied(selection, table([60, 40])).steps]
    names = [metric.name for metric in removed_by(selection)]
    for before in ([], ["held_out_copies"]):
        recorded = [removed(n, step).name for n, step in enumerate([*before, *steps], 1)]
        assert set(recorded) <= set(names)
    assert recorded == [
        f"data/removed/{n}" for n in ("1_held_out_copies", "2_Length", "3_fraction", "4_take")
    ]


def test_each_step_counts_what_it_removed_of_what_was_left() -> None:
    rows = table([60, 40])
    rules = (Length(min_words=2, min_characters=0), MinImageSide(50))
    selected = applied(Selection(rules, fraction=0.5, take=5), rows)
    captions, widths = rows.columns["caption"], rows.columns["width"]
    long = [i for i in range(100) if len(captions[i].split()) >= 2]
    wide = [i for i in long if widths[i] >= 50]
    half = chosen(applied(Selection(fraction=0.5), rows))
    ids = list(zip(rows.shards.tolist(), rows.rows.tolist(), strict=True))
    left = [i for i in wide if ids[i] in half]
    assert [(step.num_rows, step.num_removed) for step in selected.steps] == [
        (100, 100 - len(long)),
        (len(long), len(long) - len(wide)),
        (len(wide), len(wide) - len(left)),
        (len(left), len(left) - 5),
    ]
    assert [step.name for step in selected.steps] == [
        rules[0].name,
        "MinImageSide(pixels=50)",
        "fraction=0.5",
        "take=5",
    ]
    assert chosen(selected) <= {ids[i] for i in left}


def test_all_rows_are_all_rows() -> None:
    rows = table([3, 0, 4])
    selected = applied(Selection(), rows)
    assert [selected.of_shard(n).tolist() for n in range(3)] == [[0, 1, 2], [], [0, 1, 2, 3]]
    assert selected.steps == () and Selection().is_all and Selection().fingerprint == ""
    assert Selection().columns == frozenset()


@settings(max_examples=25, deadline=None)
@given(sizes=counts, picks=st.sets(st.integers(0, 250)))
def test_both_forms_of_a_list_of_uids_choose_the_same(
    sizes: list[int], picks: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rows = tmp_path_factory.mktemp("uids"), table(sizes)
    listed = [uid(n) for n in picks]
    (folder / "u.txt").write_text("\n".join(listed) + "\n\n")
    halves = [(int(u[:16], 16), int(u[16:], 16)) for u in listed]
    np.save(folder / "u.npy", np.array(halves, UID_DTYPE))
    text, binary = (Selection(uids=str(folder / name)) for name in ("u.txt", "u.npy"))
    assert chosen(applied(text, rows)) == chosen(applied(binary, rows))
    assert len(chosen(applied(text, rows))) == len({n for n in picks if n < len(rows)})
    assert text.fingerprint == binary.fingerprint != ""


@pytest.mark.parametrize("name", ["none.txt", "none.npy", "bad.npy", "floats.npy"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no array")
    np.save(tmp_path / "floats.npy", np.zeros(3))
    with pytest.raises(DataError, match=f"list of uids .*{name} cannot be read"):
        read_uids(str(tmp_path / name))


def test_a_list_that_has_changed_is_another_selection(tmp_path: Path) -> None:
    path = tmp_path / "u.txt"
    path.write_text(uid(1))
    before = Selection(uids=str(path)).fingerprint
    path.write_text(uid(2))
    assert Selection(uids=str(path)).fingerprint != before


def test_uids_need_the_column(tmp_path: Path) -> None:
    (tmp_path / "u.txt").write_text(uid(1))
    with pytest.raises(DataError, match=r"no column 'uid'[^$]*caption"):
        applied(Selection(uids=str(tmp_path / "u.txt")), table([3], uids=False))


def test_taking_more_than_there_is_names_what_was_removed() -> None:
    with pytest.raises(DataError, match=r"3 rows are left[^$]*MinImageSide.* removed 7"):
        applied(Selection((MinImageSide(60),), take=5), table([10]))


@pytest.mark.parametrize(
    "fields",
    [{"fraction": 0}, {"fraction": 1.1}, {"take": -1}, {"take": 1.0}, {"filters": (len,)}],
)
def test_impossible_selections_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=f"Selection.{next(iter(fields))}"):
        Selection(**fields)


def test_a_selection_is_a_value_with_a_fingerprint_of_its_content() -> None:
    one, same, other = Selection((Length(),)), Selection((Length(),)), Selection((Length(3),))
    assert one == pickle.loads(pickle.dumps(same)) and hash(one) == hash(same)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len({Selection(take=1).fingerprint, Selection(fraction=0.5).fingerprint}) == 2
    assert one.columns == {"caption", "key"}


@given(size=st.integers(1, 60), weight=st.floats(0.01, 5))
def test_a_weight_says_how_often_each_row_comes(size: int, weight: float) -> None:
    drawn = copies(hashes([f"r{n}" for n in range(size)]), weight)
    assert set(drawn.tolist()) <= {int(weight), int(weight) + 1}
    assert abs(drawn.sum() - weight * size) <= 0.5 + 1e-9


def test_given_weights() -> None:
    names = hashes([f"r{n}" for n in range(10)])
    assert copies(names, 1).tolist() == [1] * 10
    assert copies(names, 3).tolist() == [3] * 10
    assert Counter(copies(names, 2.5).tolist()) == {2: 5, 3: 5}


def test_copies_are_nested() -> None:
    names = hashes([f"r{n}" for n in range(30)])
    small, large = copies(names, 0.25), copies(names, 0.4)
    assert (small <= large).all() and small.sum() < large.sum()


@dataclass(frozen=True)
class FirstOfTen(Filter):
    """Somebody's own: every tenth row by the order of the keys, and those with long captions."""

    columns: ClassVar[frozenset[str]] = frozenset({"key", "caption"})

    def keep(self, rows: Rows) -> Mask:
        line = sorted(rows["key"].tolist())
        tenth = set(line[::10])
        pairs = zip(rows["key"].tolist(), rows["caption"].tolist(), strict=True)
        return np.array([key in tenth or len(words.split()) > 3 for key, words in pairs], bool)


@dataclass(frozen=True)
class WideAlone(MinImageSide):
    """The same rule as its base, but asked for all rows at once."""

    by_row: ClassVar[bool] = False


@settings(max_examples=30, deadline=None)
@given(sizes=counts, unique=st.booleans(), pixels=st.integers(1, 90))
def test_any_filter_sees_the_rows_of_all_shards_that_are_left_when_its_turn_comes(
    sizes: list[int], unique: bool, pixels: int
) -> None:
    rows = table(sizes, unique=unique)
    wide = MinImageSide(pixels)
    whole = {**rows.columns}
    if len(set(whole["key"].tolist())) < len(rows):  # keys that come back are told apart
        pairs = zip(rows.shards.tolist(), whole["key"].tolist(), strict=True)
        whole["key"] = np.array([f"{shard}/{key}" for shard, key in pairs], object)
    left = np.flatnonzero(wide.keep(whole))
    left = left[FirstOfTen().keep({n: values[left] for n, values in whole.items()})]
    expected = {(int(rows.shards[i]), int(rows.rows[i])) for i in left}
    assert chosen(applied(Selection((wide, FirstOfTen())), rows)) == expected
    assert chosen(applied(Selection((WideAlone(pixels), FirstOfTen())), rows)) == expected


def test_a_comparison_comes_after_the_filters_before_it_and_before_those_after_it() -> None:
    rows = table([40, 40])
    digests = np.array([f"{i // 2}" for i in range(80)], object)
    rows = RowTable(rows.shards, rows.rows, {**rows.columns, "sha256": digests})
    one, other = MinImageSide(50), ExactDuplicates()
    wide = one.keep(rows.columns)
    first = chosen(applied(Selection((one, other)), rows))
    assert len(first) == len({d for d, w in zip(digests, wide, strict=True) if w})
    kept = other.keep(rows.columns) & wide
    last = chosen(applied(Selection((other, one)), rows))
    assert last == {
        (int(s), int(r)) for s, r in zip(rows.shards[kept], rows.rows[kept], strict=True)
    }
    assert first != last


def test_rows_of_one_uid_are_taken_in_the_order_of_their_keys() -> None:
    rows = table([30, 30], unique=False)
    same = np.array([uid(i % 2) for i in range(60)], object)
    rows = RowTable(rows.shards, rows.rows, {**rows.columns, "uid": same})
    taken = chosen(applied(Selection(take=40), rows))
    small, large = sorted((0, 1), key=lambda n: int(hashes([uid(n)])[0]))
    by_uid = {n: [i for i in range(60) if i % 2 == n] for n in (small, large)}
    names = {i: f"{rows.shards[i]}/{rows.columns['key'][i]}" for i in range(60)}
    expected = [*by_uid[small], *sorted(by_uid[large], key=names.__getitem__)[:10]]
    assert taken == {(int(rows.shards[i]), int(rows.rows[i])) for i in expected}
