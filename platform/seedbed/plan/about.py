"""The scale that trials are of, and which claims trials of a scale can judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seedbed.errors import StudyError
from seedbed.study.claim import Claim
from seedbed.study.looks import DECIDED, Looks

if TYPE_CHECKING:
    from seedbed.plan.design import Design

# What a scale is: how much is trained, on what size of model. Where `--set` changes one of these,
# the trials are no longer that scale's; data, devices and how a step is computed are other matters.
_SIZES = ("budget", "embed_dim", "image", "text")


def scale_words(scale: str, overrides: Mapping[str, Any]) -> str:
    """The scale of trials in words: `demo`, `paper with budget.samples = 640`."""
    changed = [
        f"{path} = {value}"
        for path, value in sorted(overrides.items())
        if path.partition(".")[0] in _SIZES
    ]
    return f"{scale} with {', '.join(changed)}" if changed else scale


def scale_of(design: Design) -> str:
    """The same of a design's trials."""
    return scale_words(design.scale, design.overrides)


def is_about(claim: Claim, scale: str) -> bool:
    """Whether trials at `scale` can judge the claim; one that names no scale is about any."""
    return not claim.scale or not scale or scale in claim.scale


def check_decidable(looks: Looks | None, claims: Iterable[Claim], scale: str) -> None:
    """Raises StudyError for looks until claims are decided, of which none is about `scale`."""
    if looks is None or not looks.by_claims or any(is_about(claim, scale) for claim in claims):
        return
    named = list(dict.fromkeys(name for claim in claims for name in claim.scale))
    raise StudyError(
        f'Looks.until is "{DECIDED}", and no claim is about {scale}',
        why="a claim about another scale gets no verdict, so none would ever be decided",
        mend=f"run at the claims' scale as it is (--scale {' or '.join(named)}), or give the width "
        "of an interval: Looks(until=0.01)",
    )
