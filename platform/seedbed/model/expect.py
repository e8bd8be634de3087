"""Which views a term may be given: refused where the term is made."""

from __future__ import annotations

from seedbed.data.views import Modality, View
from seedbed.errors import StudyError


def expect(term: object, modality: Modality, *views: View) -> None:
    """Raise StudyError unless every one of `views`, fields of `term`, is of `modality`."""
    for view in views:
        if view.modality != modality:
            raise StudyError(
                f"{type(term).__name__} is given {view.name} for its {modality} view",
                why=f"'{view.name}' is a view of the {view.modality}",
                mend=f"give one of seedbed.data.views, made from the {modality}",
            )


def expect_two(term: object, modality: Modality, one: View, other: View) -> None:
    """`expect` of two views; raises StudyError where they are the same one."""
    expect(term, modality, one, other)
    if one == other:
        raise StudyError(
            f"{type(term).__name__} compares {one.name} with itself",
            why="two equal views have nothing to teach each other",
            mend=f"give it two views of the {modality}, like IMAGE_A and IMAGE_B",
        )
