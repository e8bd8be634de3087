"""53,227 emoji and icons with names and keywords, from 42 sources under open licences.

The corpus `emoji`, four drawings of the same things by Microsoft, and 35 sets of colour icons.
The test splits are those of `emoji`: a held-out vendor's pictures of 1,911 names.

It also goes by `icons-55k`, after the 55,027 pairs that were planned. Those had two proprietary
vendors (Apple, Facebook) among them, whose pictures may not be passed on.

As in `emoji`, another renderer version or processor may round a pixel differently, so that no
expected fingerprint stands here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from seedbed.data.shards.manifest import Provenance
from seedbed_corpora import emoji, iconify
from seedbed_corpora.build import build
from seedbed_corpora.packages import Package, fetch_all, read
from seedbed_corpora.shards import Drawing, Pair

if TYPE_CHECKING:
    from rich.progress import Progress

VERSION = "1"
SIZE = 128  # pixels of what is rendered: the side of the scale `small`
SHARD_SAMPLES = 1_000
NEED_BYTES = 1_100_000_000  # packages 290 MB, as much in npm's own cache, shards 392 MB
STYLES = ("flat", "modern", "high-contrast")
TONES = ("default", "light", "medium-light", "medium", "medium-dark", "dark")
PACKAGES = {
    "fluent-3d": Package(
        name="@lobehub/fluent-emoji-3d",
        version="1.1.0",
        integrity="sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60l"
        "UAG3h7g==",
    ),
    "fluent": Package(
        name="fluentui-emoji",
        version="1.3.0",
        integrity="sha512-JTXXwqIie2rWTgOkIJDJxr0WtwTz2WU4kdOq8buLVThYwQ264aFR2jdTyuon2oEbLqqGMT64zI4btyn"
        "1saB2xw==",
    ),
    "names": Package(
        name="emojibase-data",
        version="17.0.0",
        integrity="sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItlj"
        "HsTygjA==",
    ),
    "iconify": iconify.PACKAGE,
}
_3D, _FLUENT = PACKAGES["fluent-3d"], PACKAGES["fluent"]
SOURCES = (
    *emoji.SOURCES,
    Provenance(
        "fluent-3d",
        _3D.name,
        _3D.version,
        "MIT",
        "Fluent Emoji 3D by Microsoft, packed by LobeHub; names from emojibase (MIT).",
        num_pairs=0,
    ),
    *(
        Provenance(
            f"fluent-{style}",
            _FLUENT.name,
            _FLUENT.version,
            "MIT",
            f"Fluent UI Emoji ({style}) by Microsoft, packed by Mohammad Abu Mattar.",
            num_pairs=0,
        )
        for style in STYLES
    ),
    *iconify.SOURCES,
)


def prepare(home: Path, *, progress: Progress | None = None) -> Path:
    """The corpus' folder, built if needed: train, test, and each one's skin-tone variants."""

    def fetch_pairs(downloads: Path) -> list[Pair]:
        packages = emoji.PACKAGES | PACKAGES
        archives = fetch_all(list(packages.values()), downloads, progress)
        return make_pairs(dict(zip(packages, archives, strict=True)))

    return build(
        home,
        name="icons",
        version=VERSION,
        sources=SOURCES,
        pairs=fetch_pairs,
        need_bytes=NEED_BYTES,
        progress=progress,
        shard_samples=SHARD_SAMPLES,
    )


def make_pairs(archives: Mapping[str, Path]) -> list[Pair]:
    """All pairs of the archives; twitter's are for testing."""
    emojibase = read(archives["names"], lambda path: path == "en/data.json")
    entries = named(json.loads(emojibase["en/data.json"]))
    labels = {points: entry["label"].lower() for points, entry in entries.items()}
    vendors = emoji.make_pairs({vendor: archives[vendor] for vendor in emoji.PACKAGES})
    return [
        *(_at_size(pair) for pair in vendors),
        *_fluent_3d(archives["fluent-3d"], entries),
        *_fluent(archives["fluent"]),
        *iconify.icon_pairs(archives["iconify"], SIZE, labels),
    ]


def named(emojibase: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Emojibase's entries and their skin-tone variants by code points, presentation aside."""
    entries: dict[str, dict[str, Any]] = {}
    for entry in emojibase:
        for variant in (entry, *entry.get("skins", ())):
            entries[points(variant["hexcode"])] = {**variant, "tags": entry.get("tags", [])}
    return entries


def points(code_points: str) -> str:
    """`A9-FE0F` and `00a9` as `00A9`."""
    parts = code_points.upper().replace("_", "-").split("-")
    return "-".join(part.zfill(4) for part in parts if part != "FE0F")


def _at_size(pair: Pair) -> Pair:
    if isinstance(pair.picture, bytes):
        return pair
    return replace(pair, picture=Drawing(pair.picture.svg, SIZE))


def _fluent_3d(archive: Path, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Pair]:
    folder = "assets/"
    files = read(archive, lambda path: path.startswith(folder))
    with ThreadPoolExecutor() as pool:
        pictures = list(pool.map(_png, files.values()))
    for path, picture in zip(files, pictures, strict=True):
        image = path.removeprefix(folder)
        code_points = points(image.removesuffix(".webp"))
        # A flag of a part of a country lacks its closing tag in the file's name.
        entry = entries.get(code_points) or entries[f"{code_points}-E007F"]
        toned = any(tone in code_points for tone in emoji.TONES)
        yield Pair(
            name=f"fluent-3d/{image}",
            split="train-skin-tones" if toned else "train",
            picture=picture,
            clean=entry["label"].lower(),
            raw=f"{' '.join(entry['tags'])} {image}".strip(),
            source="fluent-3d",
            about=_about("fluent-3d", code_points, toned),
        )


def _png(webp: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(webp), formats=["WEBP"]) as picture:
        small = picture.convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    small.save(out, "PNG")
    return out.getvalue()


def _fluent(archive: Path) -> Iterator[Pair]:
    files = read(archive, lambda path: path.startswith("icons/"))
    for path, drawing in files.items():
        _, style, image = path.split("/")
        base, tone = split_tone(image.removesuffix(".svg"), style, files)
        toned = tone not in ("", "default")
        yield Pair(
            name=f"fluent-{style}/{image}",
            split="train-skin-tones" if toned else "train",
            picture=Drawing(drawing, SIZE),
            clean=iconify.words(f"{base}-{tone}-skin-tone" if toned else base),
            raw=f"{base.replace('-', ' ')} fluent {style} {image}",
            source=f"fluent-{style}",
            about=_about(f"fluent-{style}", "", toned),
        )


def split_tone(name: str, style: str, files: Mapping[str, bytes]) -> tuple[str, str]:
    """`waving-hand-medium-dark` to its name and tone; no tone where the thing has no variants."""
    for tone in sorted(TONES, key=len, reverse=True):
        base = name.removesuffix(f"-{tone}")
        if base != name and f"icons/{style}/{base}-default.svg" in files:
            return base, tone
    return name, ""


def _about(vendor: str, code_points: str, toned: bool) -> dict[str, str | bool]:
    return {
        "group": "",
        "subgroup": vendor,
        "code_points": code_points,
        "skin_tone": toned,
    }
