"""The scale that a claim is about, and the one that its trials ran at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a scale is: how much is trained, on what size of model. Where `--set` changes one of these,
# the trials are no longer that scale's; data, devices and how a step is computed are other matters.
_SIZES = ("budget", "embed_dim", "image", "text")


def scale_of(design: Mapping[str, Any]) -> str:
    """The scale of a design's trials in words: `demo`, `paper with budget.samples = 640`."""
    changed = [
        f"{path} = {value}"
        for path, value in sorted(dict(design.get("overrides") or {}).items())
        if path.partition(".")[0] in _SIZES
    ]
    scale = str(design.get("scale", ""))
    return f"{scale} with {', '.join(changed)}" if changed else scale


def is_about(claim: Mapping[str, Any], scale: str) -> bool:
    """Whether trials at `scale` can judge the claim; one that names no scale is about any."""
    about = claim.get("scale") or ()
    return not about or not scale or scale in about
