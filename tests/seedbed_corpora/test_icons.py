"""The bigger demo corpus. Oracles: names judged by hand, pixels that were drawn, its counts."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.data.shards.manifest import read_manifest
from seedbed.data.shards.samples import read_shard
from seedbed.home import home as home_folder
from seedbed_corpora import emoji, iconify, icons, names, prepare, resolve
from seedbed_corpora.shards import Drawing

COUNTS = {"train": 39607, "test": 1911, "train-skin-tones": 9834, "test-skin-tones": 1875}
OPEN = {"MIT", "Apache-2.0", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add-circle-16", "add circle"),
        ("button-rewind-1-flat", "button rewind"),
        ("file_type_ai", "file type ai"),
        ("100", "100"),
        ("4k", "4k"),
        ("guard-medium-dark-skin-tone", "guard: medium-dark skin tone"),
        ("guard-medium-skin-tone", "guard: medium skin tone"),
        ("1st-place-medal", "1st place medal"),
    ],
)
def test_a_file_name_becomes_words(name: str, expected: str) -> None:
    assert iconify.words(name) == expected


def test_a_flags_code_becomes_its_name() -> None:
    scotland = "1F3F4-E0067-E0062-E0073-E0063-E0074-E007F"
    labels = {"1F1E6-1F1E9": "flag: andorra", scotland: "flag: scotland"}
    codes = ("ad", "ad-1x1", "gb-sct", "xx", "lang-bg")
    assert [iconify.flag(code, labels) for code in codes] == [
        "flag: andorra",
        "flag: andorra",
        "flag: scotland",
        "flag: xx",
        "flag: lang bg",
    ]


def test_a_wide_icon_stands_in_the_middle_of_a_square_and_ends_at_its_box() -> None:
    entry = {"width": 20, "height": 10, "left": 5, "body": '<path fill="#f00" d="M5-50h20v99H5z"/>'}
    png = Drawing(iconify.svg(entry), 40).png()
    alpha = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3]
    drawn = np.zeros((40, 40), bool)
    drawn[10:30] = True
    assert ((alpha > 127) == drawn).all()


def test_code_points_have_one_form() -> None:
    assert icons.points("a9-fe0f") == icons.points("00A9") == "00A9"
    assert icons.points("1f3f4-e0067_e0062") == "1F3F4-E0067-E0062"


def test_a_tone_is_one_only_where_the_thing_has_tones() -> None:
    files = {"icons/flat/waving-hand-default.svg": b"", "icons/flat/traffic-light.svg": b""}
    assert icons.split_tone("waving-hand-medium-dark", "flat", files) == (
        "waving-hand",
        "medium-dark",
    )
    assert icons.split_tone("waving-hand-default", "flat", files) == ("waving-hand", "default")
    assert icons.split_tone("traffic-light", "flat", files) == ("traffic-light", "")


def test_every_source_has_an_open_licence_and_attribution() -> None:
    for source in icons.SOURCES:
        assert any(source.licence.startswith(licence) for licence in OPEN), source
        assert source.attribution and source.package and source.version
    assert len({source.name for source in icons.SOURCES}) == len(icons.SOURCES) == 42


def test_the_planned_name_is_the_same_corpus(tmp_path: Path) -> None:
    assert resolve("demo:icons-55k", tmp_path) == resolve("demo:icons", tmp_path)
    assert names() == ("emoji", "icons")


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.long
def test_the_icons_corpus_has_its_53227_pairs_and_the_test_split_of_emoji() -> None:
    folder = prepare("icons", home_folder())
    manifest = read_manifest(folder)
    found: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    keys: set[str] = set()
    test: set[tuple[str, str]] = set()
    for entry in manifest.shards:
        for sample in read_shard(str(folder / entry.name)):
            about = json.loads(sample.members["json"])
            assert all(sample.caption(field).strip() for field in ("clean", "raw", "txt"))
            found[entry.split] += 1
            sources[about["source"]] += 1
            keys.add(sample.key)
            if entry.split == "test":
                test.add((about["name"], hashlib.sha256(sample.image()).hexdigest()))
    assert dict(found) == COUNTS
    assert len(keys) == sum(COUNTS.values())
    assert {source.name: source.num_pairs for source in manifest.sources} == dict(sources)
    small = prepare("emoji", home_folder())
    assert test == {
        (json.loads(sample.members["json"])["name"], hashlib.sha256(sample.image()).hexdigest())
        for entry in read_manifest(small).shards
        if entry.split == "test"
        for sample in read_shard(str(small / entry.name))
    }
    assert set(emoji.PACKAGES) < set(sources)
