"""The sets of prompts by which papers classify pictures of ImageNet.

The paper's released code names them by how many there are (Sense-GVT/DeCLIP, `query_pattern_*`),
and reports its results with 80: those of Radford et al. 2021, of which seven are their best subset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seedbed.evaluate.test_set import NAME

ONE = (f"a photo of a {NAME}.",)
SIX = (
    *ONE,
    f"a photo of a big {NAME}.",
    f"a photo of a small {NAME}.",
    f"a {NAME} on the photo.",
    f"a big {NAME} on the photo.",
    f"a small {NAME} on the photo.",
)


def _eight() -> tuple[str, ...]:
    from open_clip import SIMPLE_IMAGENET_TEMPLATES

    return (f"a photo of a {NAME}", *_written(SIMPLE_IMAGENET_TEMPLATES))


def _eighty() -> tuple[str, ...]:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return _written(OPENAI_IMAGENET_TEMPLATES)


# By name what makes it: open_clip, which has two of them, takes seconds to import.
PROMPT_SETS: dict[str, Callable[[], tuple[str, ...]]] = {
    "prompt1": lambda: ONE,
    "prompt6": lambda: SIX,
    "prompt8": _eight,
    "prompt80": _eighty,
}


def _written(templates: Sequence[Callable[[str], str]]) -> tuple[str, ...]:
    return tuple(template(NAME) for template in templates)
