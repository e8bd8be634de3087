"""Fractions folded over. Oracle: R's FrF2, by the output that its own tests keep of `fold.design`
(`tests/foldtest.Rout.save` of the package, the designs fp1 to fp10 there), and Montgomery's table.

Where words of even length are folded over in full (fp6, fp8b, fp9c) the aliases that FrF2 prints
contradict the rows that it prints, F = A C D holding in all 32 of fp6: there the rows are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest

from seedbed import Factor
from seedbed.errors import StudyError
from seedbed.study.designs.fraction import Fraction
from seedbed.study.fold import FoldedOver, folded


@dataclass(frozen=True)
class Printed:
    """What FrF2 prints: `first` is its first row, and `aliased` names the half as a factor too:
    `letters` are those of our factors in it, in their order."""

    words: tuple[str, ...]
    over: str
    first: tuple[int, ...]
    letters: str
    aliased: str


FP1 = Printed(
    ("ABD", "ACE"), "", (-1, -1, -1, 1, 1), "ABCEF",
    "AB=-DE AC=-DF AD=-BE=-CF AE=-BD AF=-CD BC=EF BF=CE",
)  # fmt: skip
FP1B = Printed(
    ("ABD", "ACE"), "E", (-1, -1, -1, 1, 1), "ABCEF",
    "A=BE B=AE E=AB AC=-DF AD=-CF AF=-CD",
)  # fmt: skip
FP6 = Printed(("ABE", "ACDF"), "", (-1, -1, -1, -1, 1, -1), "ABCDFG", "")
FP9 = Printed(
    ("ABCE", "ACDF", "ABCDG"), "E", (-1, -1, -1, -1, -1, 1, 1), "ABCDFGH",
    "B=-GH G=-BH H=-BG AC=-DG AD=-CG AG=-CD DE=-FH DF=-EH DH=-EF",
)  # fmt: skip
FP10 = Printed(
    ("ABCE", "ACDF", "ABCDG"), "E", (-1, -1, -1, -1, 1, 1, -1), "ABCDFGH",
    "B=GH G=BH H=BG AC=-DG AD=-CG AG=-CD DE=-FH DF=-EH DH=-EF",
)  # fmt: skip
TABLES = {"fp1": FP1, "fp1b": FP1B, "fp9": FP9, "fp10": FP10}

# The rows that are added: A, B, C and so on.
MIRRORS = {
    "fp1": """
         1  1  1 -1 -1
        -1  1  1  1  1
         1 -1  1  1 -1
        -1 -1  1 -1  1
         1  1 -1 -1  1
        -1  1 -1  1 -1
         1 -1 -1  1  1
        -1 -1 -1 -1 -1""",
    "fp1b": """
        -1 -1 -1  1 -1
         1 -1 -1 -1  1
        -1  1 -1 -1 -1
         1  1 -1  1  1
        -1 -1  1  1  1
         1 -1  1 -1 -1
        -1  1  1 -1  1
         1  1  1  1 -1""",
    "fp6": """
         1  1  1  1 -1  1
        -1  1  1  1  1 -1
         1 -1  1  1  1  1
        -1 -1  1  1 -1 -1
         1  1 -1  1 -1 -1
        -1  1 -1  1  1  1
         1 -1 -1  1  1 -1
        -1 -1 -1  1 -1  1
         1  1  1 -1 -1 -1
        -1  1  1 -1  1  1
         1 -1  1 -1  1 -1
        -1 -1  1 -1 -1  1
         1  1 -1 -1 -1  1
        -1  1 -1 -1  1 -1
         1 -1 -1 -1  1  1
        -1 -1 -1 -1 -1 -1""",
}


def factors(one: Printed) -> tuple[Factor, ...]:
    """The first level, which a fraction always has together, is that of FrF2's first row."""
    names = "ABCDEFG"[: len(one.first)]
    return tuple(
        Factor(name, at="optimizer.lr", levels=(level, -level))
        for name, level in zip(names, one.first, strict=True)
    )


def ours(one: Printed) -> FoldedOver:
    return folded(Fraction(tuple(map(frozenset, one.words))), factors(one), one.over)


@pytest.mark.parametrize("name", MIRRORS)
def test_the_rows_added_are_those_of_frf2(name: str) -> None:
    one = {**TABLES, "fp6": FP6}[name]
    both = ours(one)
    cells = both.cells(factors(one), lambda cell: True)
    added = [cell for cell in cells if both.half(cell, factors(one)) == 2]
    rows = [tuple(map(int, line.split())) for line in MIRRORS[name].split("\n") if line]
    assert sorted(tuple(cell[f.name] for f in factors(one)) for cell in added) == sorted(rows)


@pytest.mark.parametrize("one", TABLES.values(), ids=TABLES)
def test_what_stays_aliased_is_what_frf2_says_with_its_signs(one: Printed) -> None:
    names = "ABCDEFG"[: len(one.first)]
    renamed = dict(zip(one.letters, names, strict=True))
    expected = set()
    for line in one.aliased.split():
        members = [(-1 if m[0] == "-" else 1, m.lstrip("-")) for m in line.split("=")]
        # Without what is aliased with the half: the half is a block.
        known = [(s, "".join(sorted(renamed[x] for x in m))) for s, m in members
                 if set(m) <= renamed.keys()]  # fmt: skip
        if len(known) > 1:
            expected.add(by_first(known))
    found = set()
    level = dict(zip(names, one.first, strict=True))
    for group in ours(one).whole.aliased(list(names)):
        members = []
        for member in group:
            letters = "".join(re.findall("[A-G]", member))
            # Ours are coded -1 at the first level, FrF2's by the levels themselves.
            turned = int(np.prod([-level[x] for x in letters]))
            members.append((turned * (-1 if member[0] == "-" else 1), "".join(sorted(letters))))
        found.add(by_first(members))
    assert found == expected


def by_first(group: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Signs relative to the first member by name."""
    members = sorted(group, key=lambda member: (len(member[1]), member[1]))
    return tuple((sign * members[0][0], name) for sign, name in members)


def test_fractions_of_even_words_have_no_full_fold_over() -> None:
    """FrF2's fp4 has the very cells of its first half again: here that is refused."""
    with pytest.raises(StudyError, match="would train no new cell"):
        ours(Printed(("ABCE", "ABDF"), "", (-1,) * 6, "ABCDFG", ""))


def test_seven_factors_folded_over_have_the_published_aliases() -> None:
    """Montgomery, Design and Analysis of Experiments, 8th ed., example 8.7 (eye focus time)."""
    published = "BD=CE=FG AD=CF=EG AE=BF=DG AB=CG=EF AC=BG=DF BC=AG=DE CD=BE=AF"
    own = ours(Printed(("ABD", "ACE", "BCF", "ABCG"), "", (-1,) * 7, "ABCDEFG", ""))
    assert own.whole.resolution == 4
    found = [frozenset(m.replace(" * ", "") for m in g) for g in own.whole.aliased("ABCDEFG")]
    assert set(found) == {frozenset(line.split("=")) for line in published.split()}
