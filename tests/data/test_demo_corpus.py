"""The demo corpus. Oracles: a second, uninterrupted build; and the corpus' published counts."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from ablate.data.demo import prepare_demo, resolve
from ablate.data.demo.build import SHARD_SAMPLES, Pair, build, write_shards
from ablate.data.manifest import read_manifest
from ablate.data.shard import read_shard
from ablate.errors import DataError
from ablate.home import home as home_folder

COUNTS = {"train": 4376, "test": 1911, "train-skin-tones": 3905, "test-skin-tones": 1875}


def made(num_train: int = 600, num_test: int = 40) -> list[Pair]:
    splits = ["train"] * num_train + ["test"] * num_test
    return [
        Pair(f"v/{n}.png", split, bytes([n % 256]) * (n + 1), f"thing {n}", f"raw {n}", "v")
        for n, split in enumerate(splits)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def built(folder: Path, pairs: list[Pair]) -> Path:
    build(folder, name="x", version="1", sources=(), pairs=lambda cache: pairs, need_bytes=0)
    return folder


def test_shards_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = (write_shards(made(), tmp_path / name) for name in ("a", "b"))
    assert first == second
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_shards_do_not_depend_on_the_order_of_the_pairs(tmp_path: Path) -> None:
    assert contents(built(tmp_path / "a", made())) == contents(built(tmp_path / "b", made()[::-1]))


def test_shards_hold_every_pair_once_in_its_split(tmp_path: Path) -> None:
    entries = write_shards(made(), tmp_path)
    assert [(e.split, e.num_samples) for e in entries] == [
        ("test", 40),
        ("train", SHARD_SAMPLES),
        ("train", SHARD_SAMPLES),
        ("train", 600 - 2 * SHARD_SAMPLES),
    ]
    captions = [s.caption("clean") for e in entries for s in read_shard(str(tmp_path / e.name))]
    assert sorted(captions) == sorted(pair.clean for pair in made())


def test_an_interrupted_build_resumed_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = built(tmp_path / "whole", made())

    def interrupted(cache: Path) -> list[Pair]:
        (cache / "fetched.tgz").write_bytes(b"kept for the next build")
        raise KeyboardInterrupt

    folder = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        build(folder, name="x", version="1", sources=(), pairs=interrupted, need_bytes=0)
    assert not folder.exists()
    partial = tmp_path / "resumed.partial"
    kept = contents(whole)
    (partial / "train-00000.tar").write_bytes(kept["train-00000.tar"])  # was finished
    (partial / "train-00001.tar").write_bytes(kept["train-00001.tar"][:5000])  # was cut short
    (partial / "train-00002.unfinished").write_bytes(b"half")  # was being written
    written = (partial / "train-00000.tar").stat().st_mtime_ns
    assert contents(built(folder, made())) == kept
    assert (folder / "train-00000.tar").stat().st_mtime_ns == written
    assert not partial.exists()


def test_an_interrupted_build_keeps_what_it_fetched(tmp_path: Path) -> None:
    seen: list[bool] = []

    def pairs(cache: Path) -> list[Pair]:
        seen.append((cache / "fetched.tgz").exists())
        (cache / "fetched.tgz").write_bytes(b"bytes")
        if len(seen) == 1:
            raise KeyboardInterrupt
        return made()

    for _ in range(2):
        try:
            build(tmp_path / "x", name="x", version="1", sources=(), pairs=pairs, need_bytes=0)
        except KeyboardInterrupt:
            continue
    assert seen == [False, True]
    assert not list((tmp_path / "x").rglob("*.tgz"))


def test_a_built_corpus_is_not_built_again(tmp_path: Path) -> None:
    folder = built(tmp_path / "x", made())
    before = contents(folder)
    assert contents(built(folder, made(num_train=3))) == before


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    def pairs(cache: Path) -> list[Pair]:
        raise AssertionError("something was fetched")

    with pytest.raises(DataError, match=r"MB free; the corpus needs 1,000,000,000,000 MB"):
        build(tmp_path / "x", name="x", version="1", sources=(), pairs=pairs, need_bytes=10**18)


def test_an_unknown_demo_corpus_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'emoji'"):
        resolve("demo:emojis", tmp_path)


def names_and_keys(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """In how many splits each name and each key stands."""
    names, keys = set(), set()
    for entry in read_manifest(folder).shards:
        for sample in read_shard(str(folder / entry.name)):
            names.add((json.loads(sample.members["json"])["name"], entry.split))
            keys.add((sample.key, entry.split))
    return Counter(name for name, _ in names), Counter(key for key, _ in keys)


def test_no_name_is_in_two_splits(tmp_path: Path) -> None:
    names, _ = names_and_keys(built(tmp_path / "x", made()))
    assert len(names) == 640 and set(names.values()) == {1}


def test_no_key_is_in_two_splits(tmp_path: Path) -> None:
    _, keys = names_and_keys(built(tmp_path / "x", made()))
    assert set(keys.values()) == {1}


@pytest.mark.network
@pytest.mark.slow
def test_the_emoji_corpus_has_its_12067_pairs_with_captions() -> None:
    folder = prepare_demo("emoji", home_folder())
    manifest = read_manifest(folder)
    found: Counter[str] = Counter()
    names: set[str] = set()
    for entry in manifest.shards:
        with tarfile.open(folder / entry.name) as tar:
            assert sum(m.name.endswith(".png") for m in tar) == entry.num_samples
        for sample in read_shard(str(folder / entry.name)):
            assert sample.image()
            assert all(sample.caption(field).strip() for field in ("clean", "raw", "txt"))
            names.add(json.loads(sample.members["json"])["name"])
            found[entry.split] += 1
    assert found == COUNTS
    assert len(names) == found.total() == 12_067
    assert sum(source.num_pairs for source in manifest.sources) == 12_067
