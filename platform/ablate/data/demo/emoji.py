"""12,067 emoji with names and keywords, from three vendors under open licences.

Trained on two vendors, a model is asked to name a third vendor's pictures: the same things,
drawn by other hands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from ablate.data.demo import packages
from ablate.data.demo.build import Pair, build, progress, say
from ablate.data.manifest import Source

SIZE = 64  # pixels: what the two bitmap packages carry
NEED_BYTES = 400_000_000  # packages, shards and room to spare
TONES = {
    "1F3FB": "light skin tone",
    "1F3FC": "medium-light skin tone",
    "1F3FD": "medium skin tone",
    "1F3FE": "medium-dark skin tone",
    "1F3FF": "dark skin tone",
}
SOURCES = (
    Source(
        name="google",
        package="emoji-datasource-google",
        version="16.0.0",
        licence="Apache-2.0 (pictures), MIT (data)",
        attribution="Noto Emoji by Google; data by Cal Henderson (emoji-data).",
        num_pairs=3_786,
    ),
    Source(
        name="twitter",
        package="emoji-datasource-twitter",
        version="16.0.0",
        licence="CC-BY-4.0 (pictures), MIT (data)",
        attribution="Twemoji by Twitter and contributors; data by Cal Henderson (emoji-data).",
        num_pairs=3_786,
    ),
    Source(
        name="openmoji",
        package="openmoji",
        version="17.0.0",
        licence="CC-BY-SA-4.0",
        attribution="OpenMoji, the open-source emoji and icon project.",
        num_pairs=4_495,
    ),
)


def prepare(folder: Path) -> None:
    """Build the corpus in `folder`: splits train, test, and each one's skin-tone variants."""
    build(
        folder,
        name="emoji",
        version="1",
        sources=SOURCES,
        pairs=make_pairs,
        need_bytes=NEED_BYTES,
    )


def make_pairs(cache: Path) -> list[Pair]:
    """All pairs; twitter's are for testing."""
    pairs: list[Pair] = []
    for source in SOURCES:
        say(f"corpus  fetching {source.package} {source.version}")
        archive = packages.fetch(source.package, source.version, cache)
        pairs += _openmoji(archive) if source.name == "openmoji" else _bitmaps(archive, source.name)
    return pairs


def _bitmaps(archive: Path, vendor: str) -> list[Pair]:
    pictures = dict(packages.members(archive, f"img/{vendor}/{SIZE}/", ".png"))
    split = "test" if vendor == "twitter" else "train"
    pairs: list[Pair] = []
    for entry in json.loads(packages.only(archive, "emoji.json")):
        name = entry["name"].lower()
        words = " ".join(word.replace("_", " ") for word in entry["short_names"])
        variants = [("", entry), *sorted(entry.get("skin_variations", {}).items())]
        for tones, variant in variants:
            if variant["image"] not in pictures:
                continue
            clean = name
            if tones:
                clean += ": " + ", ".join(TONES[tone] for tone in tones.split("-"))
            pairs.append(
                Pair(
                    name=f"{vendor}/{variant['image']}",
                    split=f"{split}-skin-tones" if tones else split,
                    png=pictures[variant["image"]],
                    clean=clean,
                    raw=f"{words} {variant['image']}",
                    source=vendor,
                    about=_about(entry["category"], entry["subcategory"], variant["unified"]),
                )
            )
    return pairs


def _openmoji(archive: Path) -> list[Pair]:
    drawings = dict(packages.members(archive, "color/svg/", ".svg"))
    entries = json.loads(packages.only(archive, "data/openmoji.json"))
    known = [entry for entry in entries if f"{entry['hexcode']}.svg" in drawings]
    svgs = [drawings[f"{entry['hexcode']}.svg"].decode() for entry in known]
    pairs: list[Pair] = []
    for entry, png in zip(known, _rendered(svgs), strict=True):
        toned = bool(entry["skintone"])
        tags = f"{entry['tags']}, {entry['openmoji_tags']}".strip(", ")
        pairs.append(
            Pair(
                name=f"openmoji/{entry['hexcode']}.svg",
                split="train-skin-tones" if toned else "train",
                png=png,
                clean=entry["annotation"].lower(),
                raw=f"{tags} {entry['hexcode']}.svg",
                source="openmoji",
                about=_about(entry["group"], entry["subgroups"], entry["hexcode"]),
            )
        )
    return pairs


def _rendered(svgs: Sequence[str]) -> list[bytes]:
    """PNGs of the drawings, rendered on all cores."""
    size = 128
    parts = [list(svgs[first : first + size]) for first in range(0, len(svgs), size)]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        done = pool.map(_render, parts)
        results = [next(done) for _ in progress(parts, f"rendering {len(svgs):,} drawings")]
    return [png for part in results for png in part]


def _render(svgs: list[str]) -> list[bytes]:
    import resvg_py

    return [bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE)) for svg in svgs]


def _about(group: str, subgroup: str, code_points: str) -> dict[str, str | bool]:
    toned = any(tone in code_points.upper() for tone in TONES)
    return {
        "group": group,
        "subgroup": subgroup,
        "code_points": code_points,
        "skin_tone": toned,
    }
