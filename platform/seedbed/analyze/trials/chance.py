"""Chance levels of a table's responses, and what its runs come to over several tasks above them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from seedbed.analyze.trials.observations import AnalysisError
from seedbed.errors import nearest
from seedbed.evaluate.means import ABOVE_CHANCE, MEAN, MEANS, above_chance
from seedbed.metric import Kind, Metric


def check_chance(chance: Mapping[str, float], responses: Sequence[str], kind: Kind) -> None:
    """Raises AnalysisError for the chance level of what is no response, or no share."""
    for name, level in chance.items():
        if name not in responses:
            raise AnalysisError(
                f"The chance level of '{name}' is given, which is no response.",
                why="It is what guessing would get of a response.",
                mend=nearest(name, responses),
            )
        if not 0 <= level < 1:
            raise AnalysisError(
                f"The chance level of '{name}' is {level:g}.",
                why="It is the share that guessing gets right: from 0, and below 1.",
                mend=f"Give 1 / its number of classes, as {name}=0.001 for 1,000.",
            )
    if chance and kind != "share":
        raise AnalysisError(
            f"The chance level of '{next(iter(chance))}' is given, and responses are no shares.",
            why="What is above chance is told in shares of all that can be had.",
            mend="Give --unit share, or --unit percent; a loss has no chance level.",
        )


def means_of(chance: Mapping[str, float], responses: Sequence[str]) -> tuple[Metric, ...]:
    """The means over the responses with a chance level; none where there are not two of them."""
    return tuple(m for m in MEANS if len(chance) > 1 and m.name not in responses)


def with_means(
    values: Mapping[str, float], chance: Mapping[str, float], means: Sequence[Metric]
) -> dict[str, float]:
    """`values` of one run with its `means`, where it has all that they are over: a run that lacks
    one would be averaged over easier tasks, or harder ones."""
    own = [values[name] for name in chance]
    if not means or any(map(math.isnan, own)):
        return dict(values)
    above = [above_chance(one, level) for one, level in zip(own, chance.values(), strict=True)]
    found = {MEAN.name: sum(own) / len(own), ABOVE_CHANCE.name: sum(above) / len(above)}
    return {**values, **{metric.name: found[metric.name] for metric in means}}
