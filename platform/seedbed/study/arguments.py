"""Checks the arguments of a study and a factor, each with an error that says how to mend it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from seedbed.checks import is_integer, one_of
from seedbed.errors import StudyError, nearest
from seedbed.recipe.recipe import Recipe

ERRORS = ("cells", "pooled")  # of a study's intervals, the default first
Item = TypeVar("Item")


def check_names(kind: type, fields: Mapping[str, Any], also: Iterable[str] = ()) -> None:
    """Raise StudyError for an argument that `kind` does not take, with the nearest that it does.

    `also` are names that it takes besides those that it spells out.
    """
    stated = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    known = [one.name for one in stated if one.kind is not one.VAR_KEYWORD] + list(also)
    for name in fields:
        if name not in known:
            raise StudyError(
                f"{kind.__name__} takes no '{name}'",
                why=f"its value {fields[name]!r} would be nowhere",
                mend=nearest(name, known),
            )


def check_called(name: Any, said: str) -> None:
    """Raise StudyError for a name that cannot be a folder's and an experiment's."""
    if not isinstance(name, str) or not name.isidentifier():
        raise StudyError(
            f"{said} '{name}'",
            why="its name becomes a folder and an experiment",
            mend="use letters, digits and _, not starting with a digit",
        )


def check_something(name: str, factors: Sequence[object], responses: Sequence[str]) -> None:
    """Raise StudyError for a study of nothing, or by nothing."""
    if not factors:
        raise StudyError(
            f"study '{name}' has no factors",
            why="there is nothing to compare",
            mend="give it at least one Factor",
        )
    if not responses:
        raise StudyError(
            f"study '{name}' has no responses",
            why="there is nothing to compare by",
            mend='give at least one metric, like "zeroshot/top1"',
        )


def several(value: Any, kind: type[Item], name: str) -> tuple[Item, ...]:
    """`value` as a tuple. Raises StudyError for a single one."""
    shown = kind.__name__ if kind is not str else "text"
    if isinstance(value, str | kind) or not isinstance(value, Sequence):
        letters = "; a text would be taken letter by letter" if isinstance(value, str) else ""
        raise StudyError(
            f"{name} is {value!r}",
            why=f"it is a sequence of {shown}s, also where there is one{letters}",
            mend=f"give {name}=({value!r},), with the comma"
            if isinstance(value, kind)
            else f"give {name}=(...,)",
        )
    for item in value:
        if not isinstance(item, kind):
            raise StudyError(
                f"{name} holds {item!r}",
                why=f"it is a sequence of {shown}s",
                mend=f"give a {shown} in its place",
            )
    return tuple(value)


def check_base(base: Recipe, scales: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise StudyError for a non-recipe, and for a seed that the study's seeds would override."""
    if not isinstance(base, Recipe):
        raise StudyError(
            f"the base is {base!r}",
            why="it is the recipe that all trials share",
            mend="give Recipe.paper(objective=...)",
        )
    stated = {"the base recipe": base.seed} | {
        f"scale '{name}'": patches["seed"] for name, patches in scales.items() if "seed" in patches
    }
    for where, seed in stated.items():
        if seed != Recipe.seed:
            raise StudyError(
                f"{where} has the seed {seed!r}",
                why="every cell is trained with each of the study's seeds, and never with that one",
                mend=f"give Study(seeds=({seed!r},)), or several",
            )


def checked_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds as a tuple. Raises StudyError for seeds that are not integers, repeated or negative,
    and where there are none."""
    given: Any = range(seeds) if isinstance(seeds, int) and is_integer(seeds) else seeds
    if not isinstance(given, Sequence) or not all(map(is_integer, given)):
        raise StudyError(
            f"the seeds are {seeds!r}",
            why="they are a number of repetitions, or the seeds themselves",
            mend="give seeds=3, or seeds=(0, 1, 2)",
        )
    chosen = tuple(given)
    if not chosen:
        raise StudyError(
            f"the seeds are {seeds!r}: there are none",
            why="every cell is trained once for each seed",
            mend="give 1 or more; intervals need 2, and 3 is the least to recommend",
        )
    repeated = [seed for seed in chosen if chosen.count(seed) > 1]
    if repeated:
        raise StudyError(
            f"the seed {repeated[0]} is given twice",
            why="the same seed gives the same trial, not a repetition of it",
            mend="give each seed once",
        )
    if any(seed < 0 for seed in chosen):
        raise StudyError(
            f"the seed {min(chosen)} is negative", why="seeds count from 0", mend="give 0 or more"
        )
    return chosen


def checked_error(error: object) -> str:
    """The error that a study's intervals use. Raises StudyError if it is not among `ERRORS`."""
    why = "the report's intervals rest on an error that it knows"
    one_of("Study.error", error, ERRORS, why=why)
    return str(error)
