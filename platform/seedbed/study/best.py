"""A design around the best cell of another study, which is found where results are kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seedbed.errors import StudyError, nearest
from seedbed.study.arguments import check_called
from seedbed.study.cell import Cell
from seedbed.study.cell_design import CellDesign
from seedbed.study.centre import Centred
from seedbed.study.crossing import crossed
from seedbed.study.factor import Factor
from seedbed.study.label import Label, label_text, same_label


@dataclass(frozen=True)
class Best:
    """The best cell of the study called `study`, in the same results storage."""

    study: str

    def __post_init__(self) -> None:
        check_called(self.study, "a study is named")


def best(study: str) -> Best:
    """The centre of `Study(one_at_a_time=best("depths"))`, or the full recipe of `leave_one_out`.

    It is the cell of the ended study with the best mean of the primary response over its seeds. It
    is looked up once: the study's first start records it, and later ones go by that.
    """
    return Best(study)


@dataclass(frozen=True)
class AroundBest(CellDesign):
    """The design `kind` around the best cell of the study `of`, as long as that is not known.

    Its cells are those of one factor at a time around the baseline, which have every level: a study
    is checked by them where it is written, and trains none of them.
    """

    order = 1

    name: str
    kind: type[Centred]
    of: str
    baseline: Cell

    @classmethod
    def parse(cls, given: Any, factors: Sequence[Factor], baseline: Cell) -> Self | None:
        """None: a study states the design that it is drawn around."""
        return None

    def cells(self, factors: Sequence[Factor], allowed: Callable[[Cell], bool]) -> list[Cell]:
        each = [Cell({**self.baseline, f.name: label}) for f in factors for label in f.levels]
        found = [cell for cell in dict.fromkeys([self.baseline, *each]) if allowed(cell)]
        for factor in factors:
            for label in factor.levels:  # one that no rule lets stand beside the baseline's others
                if not any(cell[factor.name] == label for cell in found):
                    one = factor.only([label])
                    among = [one if other is factor else other for other in factors]
                    found += itertools.islice(filter(allowed, crossed(among)), 1)
        return found

    def around(self, levels: Mapping[str, Label], factors: Sequence[Factor]) -> CellDesign:
        """The design around the cell with these levels, others at their baseline.

        Raises StudyError for factors and levels that the study does not have.
        """
        by_name = {factor.name: factor for factor in factors}
        for name, label in levels.items():
            self._check(name, label, by_name)
        found = self.kind.parse(dict(levels), factors, self.baseline)
        assert found is not None
        return found.best_of(self.of)

    def _check(self, name: str, label: Label, by_name: Mapping[str, Factor]) -> None:
        what = f"{self.name} is around the best of '{self.of}', which has {name}="
        if name not in by_name:
            raise StudyError(
                f"{what}{label_text(label)}",
                why=f"this study has no factor '{name}'",
                mend=f"give it the factors of '{self.of}', or name the levels. "
                + nearest(name, by_name),
            )
        levels = by_name[name].levels
        if not any(same_label(own, label) for own in levels):
            raise StudyError(
                f"{what}{label_text(label)}",
                why=f"this study's factor '{name}' has no such level",
                mend=f"add it, or name the levels: {self.name}={{...}}. {_nearest(label, levels)}",
            )

    def unknown(self) -> StudyError:
        """What is said where trials are asked for."""
        return StudyError(
            f"{self.name} is drawn around the best of '{self.of}', which is not known here",
            why="a study's command looks it up where results are kept",
            mend="run the study by its file, or name the levels",
        )

    def __str__(self) -> str:
        return f"{self.name} around the best of {self.of}"


def _nearest(label: Label, levels: Iterable[Label]) -> str:
    """Of numbers the one of the nearest value, else the one that is spelt alike."""
    numbers = [own for own in levels if not isinstance(own, str)]
    if isinstance(label, str) or not numbers:
        return nearest(label, levels)
    closest = min(numbers, key=lambda own: abs(own - label))
    return f"The nearest that it has is {label_text(closest)}."
