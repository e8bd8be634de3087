"""Colour icon sets out of one package that collects them: 35 sets, each with its own licence.

Left out are the sets that repeat a vendor of the corpus (openmoji, twemoji, noto, fluent-emoji,
fluent-emoji-flat) and collections of other people's logos whose licence is the collector's
(selfhst, thesvg-color, token-branded). Names of brands stay their owners' trademarks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seedbed.data.shards.manifest import Provenance
from seedbed_corpora.packages import Package, read
from seedbed_corpora.shards import Drawing, Pair

PACKAGE = Package(
    name="@iconify/json",
    version="2.2.535",
    integrity="sha512-nAV60ACUSHwnsb6fsp+letHlNkrwO4vzBtcC6B4EDHErQQfezk7E3nJdnwJjve6OCfMNO0uVT5Vrgna9"
    "/NCmXw==",
)
# Per licence the sets and their makers, as the package's collections.json states them.
SETS: dict[str, dict[str, str]] = {
    "CC-BY-4.0": {
        "streamline-ultimate-color": "Streamline",
        "streamline-plump-color": "Streamline",
        "streamline-freehand-color": "Streamline",
        "streamline-kameleon-color": "Streamline",
        "streamline-stickies-color": "Streamline",
        "streamline-color": "Streamline",
        "streamline-flex-color": "Streamline",
        "streamline-sharp-color": "Streamline",
        "streamline-cyber-color": "Streamline",
        "streamline-emojis": "Streamline",
        "emojione": "Emoji One",
    },
    "CC-BY-SA-4.0": {"emojione-v1": "Emoji One"},
    "CC0-1.0": {
        "logos": "Gil Barbara",
        "cryptocurrency-color": "Christopher Downer",
        "cif": "creativeLabs Łukasz Holeczek",
    },
    "Apache-2.0": {
        "icon-park": "ByteDance",
        "gcp": "Google Cloud",
        "k8s": "The Kubernetes Authors",
        "unjs": "UnJS",
        "noto-v1": "Google Inc",
        "fxemoji": "Mozilla",
    },
    "MIT": {
        "glyphs-poly": "Goran Spasojevic",
        "fluent-color": "Microsoft Corporation",
        "marketeq": "Marketeq",
        "vscode-icons": "Roberto Huertas",
        "material-icon-theme": "Material Extensions",
        "devicon": "konpa",
        "catppuccin": "Catppuccin",
        "skill-icons": "tandpfun",
        "circle-flags": "HatScripts",
        "flag": "Panayiotis Lipiridis",
        "flagpack": "Yummygum",
        "meteocons": "Bas Milius",
        "flat-color-icons": "Icons8",
        "flat-ui": "Designmodo, Inc.",
    },
}
SOURCES = tuple(
    Provenance(
        name,
        PACKAGE.name,
        PACKAGE.version,
        licence,
        f"The icon set {name} by {author}, collected by Iconify.",
        num_pairs=0,
    )
    for licence, sets in SETS.items()
    for name, author in sets.items()
)
FLAGS = frozenset({"circle-flags", "flag", "flagpack", "cif"})  # named by country codes
TONE = re.compile(r"-((?:medium-)?(?:light|dark)|medium)-skin-tone")
SHAPE = re.compile(r"-(?:1x1|4x3)$")


def icon_pairs(archive: Path, size: int, labels: Mapping[str, str]) -> Iterator[Pair]:
    """The pairs of all sets; `labels` maps code points to the emoji's name, for the flags."""
    sets = [source.name for source in SOURCES]
    files = read(archive, lambda path: path in {f"json/{name}.json" for name in sets})
    for name in sets:
        yield from _set_pairs(name, json.loads(files[f"json/{name}.json"]), size, labels)


def _set_pairs(
    name: str, held: Mapping[str, Any], size: int, labels: Mapping[str, str]
) -> Iterator[Pair]:
    groups: dict[str, list[str]] = {}
    for group, members in held.get("categories", {}).items():
        for member in members:
            groups.setdefault(member, []).append(group)
    blank = BLANK.get(name, "").split()
    for icon, entry in sorted(held["icons"].items()):
        if entry.get("hidden") or icon in blank:
            continue
        toned = TONE.search(icon) is not None
        keywords = [*groups.get(icon, []), icon, f"{name}-{icon}.svg"]
        yield Pair(
            name=f"{name}/{icon}.svg",
            split="train-skin-tones" if toned else "train",
            picture=Drawing(svg({**held, **entry}), size),
            clean=flag(icon, labels) if name in FLAGS else words(icon),
            raw=" ".join(keywords),
            source=name,
            about={
                "group": ", ".join(groups.get(icon, [])),
                "subgroup": name,
                "code_points": "",
                "skin_tone": toned,
            },
        )


def svg(entry: Mapping[str, Any]) -> bytes:
    """The icon in the middle of a square, clipped to its own box. 16 is Iconify's default side."""
    left, top = entry.get("left", 0), entry.get("top", 0)
    width, height = entry.get("width", 16), entry.get("height", 16)
    side = max(width, height)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {side} {side}"><svg x="{(side - width) / 2}" y="{(side - height) / 2}" '
        f'width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">'
        f"{entry['body']}</svg></svg>"
    ).encode()


def words(name: str) -> str:
    """A file's name in natural words: no hyphens, no variant, size or style at its end."""
    tones = TONE.findall(name)
    parts = re.split(r"[-_\s]+", TONE.sub("", name).lower())
    while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] == "flat"):
        parts.pop()
    text = " ".join(part for part in parts if part)
    if tones:
        text += ": " + ", ".join(f"{tone} skin tone" for tone in tones)
    return text


def flag(code: str, labels: Mapping[str, str]) -> str:
    """`flag: andorra` of `ad-1x1`; the code itself where Unicode has no such flag."""
    place = SHAPE.sub("", code)
    if len(place) == 2:
        points = "-".join(f"{0x1F1E6 + ord(letter) - ord('a'):X}" for letter in place)
    else:  # gb-eng: a black flag with the letters as tags
        tags = [f"E00{ord(letter):02X}" for letter in place.replace("-", "")]
        points = "-".join(["1F3F4", *tags, "E007F"])
    return labels.get(points, f"flag: {place.replace('-', ' ')}")


# Invisible drawings: white on the white of pictures, or empty without animation.
BLANK: dict[str, str] = {
    "logos": """
        codex-dark deepgram-dark dokploy-dark google-aistudio-dark resend-icon-dark
        x-ai-dark
    """,
    "noto-v1": """
        asterisk digit-eight digit-five digit-four digit-nine digit-one digit-seven
        digit-six digit-three digit-two digit-zero pound-symbol
    """,
    "vscode-icons": """
        file-type-go-white file-type-hashicorp file-type-packship file-type-railway
        file-type-vlt
    """,
    "devicon": """
        datatables icinga icinga-wordmark linear linear-wordmark railway
        railway-wordmark shotgrid-wordmark terramate terramate-wordmark
    """,
    "meteocons": """
        pressure-high pressure-high-fill pressure-low pressure-low-fill smoke-particles
        smoke-particles-fill
    """,
}
