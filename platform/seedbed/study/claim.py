"""Claims: a study's preregistered hypotheses, as data."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.evaluate.named import NamedTest, test_called
from seedbed.metric import Metric
from seedbed.recipe.scale import scale_named
from seedbed.study.contrast import Contrast, Levelled


class Claim:
    """A sentence that trials can support or refute.

    It holds when every one of `contrasts` does. `response` is the study's primary where it is not
    named. `alpha` is the error rate of its verdict; `source` says whose claim it is. `scale` is
    the scale that it speaks of, or several: elsewhere the report says what was seen there and
    gives no verdict. A claim that names none is about whatever the study runs at, and is judged at
    every scale. `test_set` is the one that it speaks of, as "ImageNet": where trials are scored on
    a test set of that name (`--test imagenet=URI`) it is judged by its top-1, and by `response`
    elsewhere.
    """

    def __init__(
        self,
        id: str,
        statement: str,
        *contrasts: Contrast,
        response: str = "",
        alpha: float = 0.05,
        source: str = "",
        scale: str | Sequence[str] = (),
        test_set: str = "",
    ) -> None:
        self.id, self.statement, self.contrasts = id, statement, contrasts
        self.response, self.alpha, self.source = response, alpha, source
        self.scale, self.test_set = _scales(id, scale), test_set

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Claim) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.id, self.statement))

    def __repr__(self) -> str:
        return f"Claim({self.id!r}, {self.statement!r}, contrasts={list(self.contrasts)})"

    def check(self, factors: Sequence[Levelled], responses: Sequence[Metric]) -> None:
        """Raises StudyError where a study of these factors and responses cannot judge it."""
        by_response = {metric.name: metric for metric in responses}
        if not self.contrasts:
            raise StudyError(
                f"Claim {self.id} has no contrast",
                why="there is nothing in the trials to judge it by",
                mend="give at least one Contrast",
            )
        if self.response and self.response not in by_response:
            raise StudyError(
                f"Claim {self.id}: the study has no response '{self.response}'",
                why="its trials would not report it",
                mend=nearest(self.response, by_response),
            )
        if not 0 < self.alpha < 0.5:
            raise StudyError(
                f"Claim {self.id}: alpha is {self.alpha!r}",
                why="it is the share of wrong verdicts that is tolerated",
                mend="give a number between 0 and 0.5, as 0.05",
            )
        for scale in self.scale:
            try:
                scale_named(scale)
            except StudyError as error:
                raise StudyError(
                    f"Claim {self.id}: {error.what}",
                    why="it would be judged at no scale",
                    mend=error.mend,
                ) from None
        by_name = {factor.name: factor for factor in factors}
        for contrast in self.contrasts:
            contrast.check(self.id, by_name)
            contrast.check_margin(self.id, by_response.get(self.response, responses[0]))

    def on(self, tests: Iterable[NamedTest]) -> Claim:
        """The claim where trials are scored on `tests`: about its own, if that is among them."""
        mine = test_called(self.test_set, tests)
        if mine is None:
            return self
        claim = copy.copy(self)
        claim.response = mine.primary
        return claim

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Claim:
        """The claim that `to_json` wrote; when it was stated is not its own."""
        contrasts = map(Contrast.from_json, values["contrasts"])
        names = ("response", "alpha", "source", "scale", "test_set")
        named = {n: values[n] for n in names if n in values}
        return cls(values["id"], values["statement"], *contrasts, **named)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the design."""
        return {
            "id": self.id,
            "statement": self.statement,
            "response": self.response,
            "alpha": self.alpha,
            "source": self.source,
            # Left out where none is named: such a claim keeps its digest.
            **({"scale": list(self.scale)} if self.scale else {}),
            **({"test_set": self.test_set} if self.test_set else {}),
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
        }


def _scales(claim: str, scale: object) -> tuple[str, ...]:
    """One scale or several as a tuple. Raises StudyError for what names none."""
    given = (scale,) if isinstance(scale, str) else scale
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise StudyError(
            f"Claim {claim}: its scale is {scale!r}",
            why="a claim is judged at the scales that it names",
            mend='give a name or several, as scale="paper" or scale=("small", "paper")',
        )
    return tuple(given)


def check_claims(
    claims: Sequence[Claim], factors: Sequence[Levelled], responses: Sequence[Metric]
) -> None:
    """Raises StudyError for a claim that the study cannot judge, and for two of one id."""
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise StudyError(
                f"two claims have the id '{claim.id}'",
                why="their verdicts could not be told apart",
                mend="rename one of them",
            )
        seen.add(claim.id)
        claim.check(factors, responses)


ERROR_ID = ":error"  # the id of a study's choice of error, recorded beside its claims


def digest_of(claim: Mapping[str, Any]) -> str:
    """16 hex digits of a claim's JSON form, whatever the order of its fields."""
    text = json.dumps(claim, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
