"""The demo corpus. Oracles: a second, uninterrupted build; and the corpus' published counts."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from seedbed.data.shards.manifest import read_manifest
from seedbed.data.shards.samples import read_shard
from seedbed.errors import DataError
from seedbed.home import home as home_folder
from seedbed_corpora import prepare, resolve
from seedbed_corpora.build import build
from seedbed_corpora.shards import Pair, plan_shards, write_shards

COUNTS = {"train": 4376, "test": 1911, "train-skin-tones": 3905, "test-skin-tones": 1875}


def made(num_train: int = 60, num_test: int = 7) -> list[Pair]:
    splits = ["train"] * num_train + ["test"] * num_test
    return [
        Pair(f"v/{n}.png", split, bytes([n % 256]) * (n + 1), f"thing {n}", f"raw {n}", "v")
        for n, split in enumerate(splits)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def built(home: Path, pairs: list[Pair]) -> Path:
    return build(
        home,
        name="x",
        version="1",
        sources=(),
        pairs=lambda downloads: pairs,
        need_bytes=0,
        shard_samples=16,
    )


@pytest.mark.slow
def test_two_builds_are_the_same_bytes_whatever_the_order_of_the_pairs(tmp_path: Path) -> None:
    first, second = built(tmp_path / "a", made()), built(tmp_path / "b", made()[::-1])
    assert contents(first) == contents(second)
    assert len(list(first.glob("*.tar"))) == 5


def test_shards_hold_every_pair_once_in_its_split(tmp_path: Path) -> None:
    folder = built(tmp_path, made())
    found = [
        (shard.split, json.loads(sample.members["json"])["clean"])
        for shard in read_manifest(folder).shards
        for sample in read_shard(str(folder / shard.name))
    ]
    assert sorted(found) == sorted((pair.split, pair.clean) for pair in made())


@pytest.mark.slow
def test_keys_are_unique_over_the_corpus_and_webdatasets(tmp_path: Path) -> None:
    folder = built(tmp_path, made())
    samples = [s for path in sorted(folder.glob("*.tar")) for s in read_shard(str(path))]
    keys = [sample.key for sample in samples]
    assert len(set(keys)) == len(keys) == len(made())
    assert not any("." in key or "/" in key for key in keys)
    assert [json.loads(sample.members["json"])["key"] for sample in samples] == keys


@pytest.mark.slow
def test_an_interrupted_build_resumed_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = built(tmp_path / "whole", made())
    partial = tmp_path / "cut" / "corpora" / "x-1.partial"
    partial.mkdir(parents=True)
    calls = []

    def power_fails() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(plan_shards(made(), 16), partial, power_fails)
    kept = {path.name: path.stat().st_mtime_ns for path in partial.glob("*.tar")}
    assert kept
    resumed = built(tmp_path / "cut", made())
    assert contents(resumed) == contents(whole)
    assert {name: (resumed / name).stat().st_mtime_ns for name in kept} == kept


def test_a_second_build_returns_at_once_and_touches_nothing(tmp_path: Path) -> None:
    folder = built(tmp_path, made())
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert built(tmp_path, made(3, 3)) == folder
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_an_unknown_demo_corpus_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="emoji"):
        resolve("demo:emojis", tmp_path)


@pytest.mark.network
@pytest.mark.slow
def test_the_emoji_corpus_has_its_12067_pairs_with_captions() -> None:
    folder = prepare("emoji", home_folder())
    manifest = read_manifest(folder)
    found: Counter[str] = Counter()
    names: set[str] = set()
    keys: set[str] = set()
    for entry in manifest.shards:
        with tarfile.open(folder / entry.name) as tar:
            assert sum(m.name.endswith(".png") for m in tar) == entry.num_samples
        for sample in read_shard(str(folder / entry.name)):
            assert sample.image()
            assert all(sample.caption(field).strip() for field in ("clean", "raw", "txt"))
            names.add(json.loads(sample.members["json"])["name"])
            keys.add(sample.key)
            found[entry.split] += 1
    assert found == COUNTS
    assert len(names) == len(keys) == found.total() == 12_067
    assert sum(source.num_pairs for source in manifest.sources) == 12_067
