"""12,067 emoji with names and keywords, from three vendors under open licences.

Trained on two vendors, a model is asked to name a third vendor's pictures: the same things,
drawn by other hands.

No expected fingerprint stands here. The packages are pinned by their integrity and the tars carry
no times, so every build on one machine gives the same bytes; but a third of the pictures is
rendered, and another renderer version or processor may round a pixel differently. The test splits
hold published bitmaps only, and are the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.data.shards.manifest import Provenance
from seedbed_corpora.build import build
from seedbed_corpora.packages import Package, fetch_all, read
from seedbed_corpora.shards import Drawing, Pair

if TYPE_CHECKING:
    from rich.progress import Progress

VERSION = "2"  # 2: sample keys are unique over the splits
SIZE = 64  # pixels: what the two bitmap packages carry
NEED_BYTES = 400_000_000  # packages 140 MB, as much again in npm's own cache, shards 65 MB
TONES = {
    "1F3FB": "light skin tone",
    "1F3FC": "medium-light skin tone",
    "1F3FD": "medium skin tone",
    "1F3FE": "medium-dark skin tone",
    "1F3FF": "dark skin tone",
}
PACKAGES = {
    "google": Package(
        name="emoji-datasource-google",
        version="16.0.0",
        integrity="sha512-ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ"
        "+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
    ),
    "twitter": Package(
        name="emoji-datasource-twitter",
        version="16.0.0",
        integrity="sha512-7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP"
        "/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==",
    ),
    "openmoji": Package(
        name="openmoji",
        version="17.0.0",
        integrity="sha512-EBnYrNGdcdw+OSXmENeNE1yBNRu6tOraTmoOyUbJkTmvT"
        "/+XETp8RZLSJFzD3lrPc5N9CzsyPnRTk0Vp4UaI9w==",
    ),
}
TERMS = {
    "google": (
        "Apache-2.0 (pictures), MIT (data)",
        "Noto Emoji by Google; data by Cal Henderson (iamcal), emoji-data.",
    ),
    "twitter": (
        "CC-BY-4.0 (pictures), MIT (data)",
        "Twemoji by Twitter and contributors; data by Cal Henderson (iamcal), emoji-data.",
    ),
    "openmoji": (
        "CC-BY-SA-4.0",
        "OpenMoji, the open-source emoji and icon project; drawings rendered at 64 pixels.",
    ),
}
SOURCES = tuple(
    Provenance(vendor, package.name, package.version, *TERMS[vendor], num_pairs=0)
    for vendor, package in PACKAGES.items()
)


def prepare(home: Path, *, progress: Progress | None = None) -> Path:
    """The corpus' folder, built if needed: train, test, and each one's skin-tone variants."""

    def fetch_pairs(downloads: Path) -> list[Pair]:
        archives = fetch_all(list(PACKAGES.values()), downloads, progress)
        return make_pairs(dict(zip(PACKAGES, archives, strict=True)))

    return build(
        home,
        name="emoji",
        version=VERSION,
        sources=SOURCES,
        pairs=fetch_pairs,
        need_bytes=NEED_BYTES,
        progress=progress,
    )


def make_pairs(archives: Mapping[str, Path]) -> list[Pair]:
    """All pairs of the vendors' archives; twitter's are for testing."""
    pairs: list[Pair] = []
    for vendor, archive in archives.items():
        pairs += _openmoji(archive) if vendor == "openmoji" else _bitmaps(archive, vendor)
    return pairs


def _bitmaps(archive: Path, vendor: str) -> list[Pair]:
    folder = f"img/{vendor}/{SIZE}/"
    files = read(archive, lambda path: path == "emoji.json" or path.startswith(folder))
    split = "test" if vendor == "twitter" else "train"
    pairs: list[Pair] = []
    for entry in json.loads(files["emoji.json"]):
        for tones, variant in [("", entry), *sorted(entry.get("skin_variations", {}).items())]:
            picture = files.get(folder + variant["image"])
            if picture is None:  # the vendor has not drawn it
                continue
            clean, raw = _bitmap_captions(entry, variant["image"], tones)
            pairs.append(
                Pair(
                    name=f"{vendor}/{variant['image']}",
                    split=f"{split}-skin-tones" if tones else split,
                    picture=picture,
                    clean=clean,
                    raw=raw,
                    source=vendor,
                    about=_about(entry["category"], entry["subcategory"], variant["unified"]),
                )
            )
    return pairs


def _bitmap_captions(entry: Mapping[str, Any], image: str, tones: str) -> tuple[str, str]:
    """The name in natural words, and the short names with the file's."""
    clean = str(entry["name"]).lower()
    if tones:
        clean += ": " + ", ".join(TONES[tone] for tone in tones.split("-"))
    words = " ".join(word.replace("_", " ") for word in entry["short_names"])
    return clean, f"{words} {image}"


def _openmoji(archive: Path) -> list[Pair]:
    folder, data = "color/svg/", "data/openmoji.json"
    files = read(archive, lambda path: path == data or path.startswith(folder))
    pairs: list[Pair] = []
    for entry in json.loads(files[data]):
        image = f"{entry['hexcode']}.svg"
        if folder + image not in files:
            continue
        tags = f"{entry['tags']}, {entry['openmoji_tags']}".strip(", ")
        pairs.append(
            Pair(
                name=f"openmoji/{image}",
                split="train-skin-tones" if entry["skintone"] else "train",
                picture=Drawing(files[folder + image], SIZE),
                clean=entry["annotation"].lower(),
                raw=f"{tags} {image}",
                source="openmoji",
                about=_about(entry["group"], entry["subgroups"], entry["hexcode"]),
            )
        )
    return pairs


def _about(group: str, subgroup: str, code_points: str) -> dict[str, str | bool]:
    toned = any(tone in code_points.upper() for tone in TONES)
    return {
        "group": group,
        "subgroup": subgroup,
        "code_points": code_points,
        "skin_tone": toned,
    }
