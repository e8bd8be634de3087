"""Test sets and prompts as `seedbed evaluate` is told them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.evaluate.test_set import TestSet


def templates_of(said: str) -> tuple[str, ...]:
    """Of a file, or of a set that is known by name."""
    from seedbed.errors import DataError, first_line, nearest
    from seedbed.evaluate.prompt_sets import PROMPT_SETS
    from seedbed.evaluate.test_set import checked_templates

    if said in PROMPT_SETS:
        return PROMPT_SETS[said]()
    try:
        lines = Path(said).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the templates {said} cannot be read",
            why=f"{first_line(error)}: it is no text, and no set of prompts known by name",
            mend=nearest(said, PROMPT_SETS),
        ) from None
    return checked_templates([line.strip() for line in lines], said)


def opened_tests(said: Sequence[str]) -> list[TestSet]:
    """Raises DataError for two of one name."""
    from seedbed.errors import DataError

    tests: dict[str, TestSet] = {}
    for one in map(_opened, said):
        other = tests.setdefault(one.name, one)
        if other is not one:
            raise DataError(
                f"two test sets are called '{one.name}': {other.uri} and {one.uri}",
                why="their numbers would stand under one name",
                mend=f"give one a name of its own: --tests {other.uri} OTHER={one.uri}",
            )
    return list(tests.values())


def _opened(said: str) -> TestSet:
    """`NAME`, `URI` or `NAME=URI`, as a study names its test sets, or by its folder alone."""
    from seedbed.evaluate.named import NAMED, NamedTest
    from seedbed.evaluate.test_set import open_test_set
    from seedbed.home import home

    if NAMED.fullmatch(said.partition("=")[0]) and "=" in said:
        named = NamedTest.parse(said)
        return open_test_set(named.uri, called=named.name)
    prepared = home() / "tests" / said
    return open_test_set(str(prepared) if prepared.is_dir() else said)
