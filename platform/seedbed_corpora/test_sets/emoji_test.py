"""The emoji of the vendor that the demo corpus holds out, each among all names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.data.shards.sample import RawSample
from seedbed.data.shards.samples import samples_of
from seedbed_corpora import emoji

if TYPE_CHECKING:
    from rich.progress import Progress

    from seedbed_corpora.test_sets import Labelled

TEMPLATES = ("{c}", "an emoji of {c}.", "a picture of {c}.")
ATTRIBUTION = "Twemoji by Twitter and contributors, CC-BY-4.0; data by Cal Henderson (iamcal), MIT."
CAPTION = "clean"


def read(
    home: Path, downloads: Path, progress: Progress | None
) -> tuple[tuple[str, ...], dict[str, Labelled]]:
    folder = emoji.prepare(home, progress=progress)
    samples = [
        sample
        for path in sorted(folder.glob("test-[0-9]*.tar"))
        for sample in samples_of(str(path), path.read_bytes())
    ]
    names = tuple(sorted({sample.caption(CAPTION) for sample in samples}))
    return names, {"test": _labelled(samples, {name: n for n, name in enumerate(names)})}


def _labelled(
    samples: Sequence[RawSample], labels: Mapping[str, int]
) -> Iterator[tuple[bytes, str, int]]:
    for sample in samples:
        yield sample.image(), "png", labels[sample.caption(CAPTION)]
