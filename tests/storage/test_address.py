"""How sources are written. Oracles: Python's own formatting, fnmatch on names without `/`, and
what the file system says is one folder."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.data.corpus import Corpus
from seedbed.errors import DataError
from seedbed.recipe.recipe import Recipe
from seedbed.storage.address import expand, matcher, parse_sources
from seedbed.storage.objects import list_objects, read_object, write_object
from seedbed.variants import CLIP

NAMES = st.text("ab1.-_", min_size=1, max_size=6)


@given(st.lists(st.tuples(NAMES, st.floats(1e-6, 1e6)), min_size=1, max_size=4))
def test_sources_and_weights_come_back(parts: list[tuple[str, float]]) -> None:
    found = parse_sources("::".join(f"s3://b/{name}@{weight!r}" for name, weight in parts))
    assert [(s.uri, s.weight) for s in found] == [(f"s3://b/{n}", w) for n, w in parts]


@given(st.integers(0, 500), st.integers(0, 50), st.integers(1, 6))
def test_a_range_counts_with_its_padding(first: int, more: int, width: int) -> None:
    text = f"/d/{{{first:0{width}}..{first + more:0{width}}}}.tar"
    assert expand(text) == [f"/d/{n:0{width}}.tar" for n in range(first, first + more + 1)]


def test_ranges_and_lists_multiply() -> None:
    assert expand("{a,b}/{8..10}") == ["a/8", "a/9", "a/10", "b/8", "b/9", "b/10"]
    assert expand("{a}/{}") == ["{a}/{}"]


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_a_glob_matches_as_fnmatch_does(pattern: str, name: str) -> None:
    assert bool(matcher(pattern).match(name)) == fnmatch.fnmatchcase(name, pattern)


def test_a_glob_stays_inside_one_name() -> None:
    assert not matcher("a/*.tar").match("a/b/c.tar")
    assert not matcher("a[!x]b").match("a/b")


def test_local_paths_become_absolute_and_demo_passes() -> None:
    local, demo = parse_sources("shards::demo:emoji@2")
    assert local.uri == str(Path("shards").resolve())
    assert (demo.uri, demo.weight) == ("demo:emoji", 2.0)


def test_one_folder_has_one_spelling_and_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d" / "plain").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = str((tmp_path / "d" / "plain").resolve())
    spellings = ["../d/plain", plain, f"{plain}/", "~/d/plain", f"file://{plain}", "../link/plain"]
    spellings += [f"{tmp_path}/work/../d//plain", "../d/x/../plain"]
    assert {s.uri for text in spellings for s in parse_sources(text)} == {plain}
    corpora = {Corpus(uri=text, test_uri=text) for text in spellings}
    assert len(corpora) == 1
    recipe = Recipe.paper(objective=CLIP)
    assert len({replace(recipe, corpus=c).key() for c in corpora}) == 1
    assert parse_sources("../d/{0..3}.tar")[0].uri == f"{tmp_path.resolve()}/d/{{0..3}}.tar"
    assert parse_sources("../d/pl*/[ab].tar@2")[0].uri == f"{tmp_path.resolve()}/d/pl*/[ab].tar"
    assert Corpus(uri="s3://bucket/x/") == Corpus(uri="s3://bucket/x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a::", "empty source"),
        ("a@0", "weight 0"),
        ("a@-1", "weight -1"),
        ("a@inf", "weight inf"),
        ("s4://b/c", "Did you mean 's3'"),
        ("s3://", "no bucket"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        parse_sources(text)


@pytest.mark.parametrize("text", ["{5..3}", "{0..9999999}", "{1..9999}{1..9999}"])
def test_ranges_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        expand(text)


def test_a_local_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    uri = str(tmp_path / "new" / "a.tar")
    write_object(uri, b"abcdef")
    assert read_object(uri, start=2, stop=4) == b"cd"
    assert [o.uri for o in list_objects(str(tmp_path / "new"))] == [uri]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.tar"]
    with pytest.raises(DataError, match="is gone"):
        read_object(uri + "x")
