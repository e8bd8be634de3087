"""An objective: a weighted sum of named supervision terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from seedbed.data.views import View
from seedbed.errors import StudyError
from seedbed.metric import Metric
from seedbed.model.term import LEARNED, Compared, Feature, Temperature, Term, Weighted

LOSS = Metric("loss", "Training loss", "loss", higher_is_better=False)


class Objective:
    """Named weighted terms: `Objective(clip=InfoNCE(), filip=0.2 * LateInteraction())`.

    Immutable; compares, hashes and pickles by its terms. `a + b` joins two objectives, and the
    same name in both raises StudyError.
    """

    __slots__ = ("_hash", "_sound", "_terms")
    _terms: tuple[tuple[str, Weighted], ...]
    _hash: int
    _sound: bool

    def __init__(self, **terms: Term | Weighted) -> None:
        weighted = {
            name: term if isinstance(term, Weighted) else Weighted(term)
            for name, term in terms.items()
        }
        object.__setattr__(self, "_terms", tuple(sorted(weighted.items(), key=lambda t: t[0])))
        self._check_temperatures()

    def check(self) -> None:
        """Raise StudyError for an objective that cannot be trained as it stands.

        Called for a recipe's objective, not for the partial sums that it is built from.
        """
        if hasattr(self, "_sound"):  # of thousands of recipes
            return
        if not dict(self.present()):
            raise StudyError(
                "the objective has no term with a weight above 0",
                why="there would be nothing to learn",
                mend="give at least one term a weight",
            )
        learned = {self._part(f) for _, w in self.present() for f in w.term.learns}
        for name, weighted in self.present():
            for feature in sorted(weighted.term.needs - weighted.term.learns):
                if feature.kind in LEARNED and self._part(feature) not in learned:
                    modality = feature.view.modality
                    raise StudyError(
                        f"the term '{name}' reads {modality} features that no term trains",
                        why=f"{type(weighted.term).__name__} sends them no gradient, so that they "
                        "would stay as they were drawn at the start",
                        mend=f"switch on a term that learns from the {modality} too, "
                        "like InfoNCE or MultiView",
                    )
        object.__setattr__(self, "_sound", True)

    @staticmethod
    def _part(feature: Feature) -> tuple[str, str]:
        return feature.view.modality, feature.kind

    def aligning(self) -> tuple[str, Compared] | None:
        """The term by which pictures and captions are compared, and the features it reads.

        Embeddings before tokens, since they are the cheaper to compare; None where no present term
        aligns the two, so that there is nothing to compare them by.
        """
        for kind in get_args(Compared):
            for name, weighted in self.present():
                if weighted.term.similarity == kind:
                    return name, kind
        return None

    def _check_temperatures(self) -> None:
        by_name: dict[str, Temperature] = {}
        for temperature in {t for _, w in self.present() for t in w.term.temperatures}:
            other = by_name.setdefault(temperature.name, temperature)
            if other != temperature:
                raise StudyError(
                    f"two terms describe the temperature '{temperature.name}' differently",
                    why=f"{other} and {temperature} would be one parameter",
                    mend="give one of them another name",
                )

    def present(self) -> Iterator[tuple[str, Weighted]]:
        """The terms whose weight is not 0, by name."""
        return ((name, weighted) for name, weighted in self._terms if weighted.weight)

    def items(self) -> tuple[tuple[str, Weighted], ...]:
        """All terms, those of weight 0 with them, by name."""
        return self._terms

    @property
    def needs(self) -> frozenset[Feature]:
        """The union of what the present terms read."""
        return frozenset(need for _, w in self.present() for need in w.term.needs)

    @property
    def views(self) -> tuple[View, ...]:
        """The views to be made, in a fixed order."""
        return tuple(sorted({need.view for need in self.needs}))

    @property
    def temperatures(self) -> tuple[Temperature, ...]:
        return tuple(sorted({t for _, w in self.present() for t in w.term.temperatures}))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What training records at every point: total loss, each term's loss, scales."""
        losses = [
            Metric(f"loss_{name}", f"Loss of {name}", "loss", higher_is_better=False)
            for name, _ in self.present()
        ]
        scales = [Metric(f"scale_{t.name}", f"Scale {t.name}") for t in self.temperatures]
        return (LOSS, *losses, *scales)

    def weighted(self, name: str, weight: float) -> Objective:
        """This objective with the weight of the term `name` replaced."""
        terms = dict(self._terms)
        terms[name] = Weighted(terms[name].term, weight)
        return Objective(**terms)

    def __add__(self, other: Objective) -> Objective:
        both = {name for name, _ in self._terms} & {name for name, _ in other._terms}
        if both:
            raise StudyError(
                f"both objectives have a term '{sorted(both)[0]}'",
                why="a sum of objectives keeps each term once, under its own name",
                mend="name one of them differently, or leave it out",
            )
        return Objective(**dict(self._terms), **dict(other._terms))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Objective does not change; `+` and `weighted` give a new one")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and self._terms == other._terms

    def __hash__(self) -> int:
        # Once: the cells of a large study share an objective, and are told apart by it.
        if not hasattr(self, "_hash"):
            object.__setattr__(self, "_hash", hash(self._terms))
        return self._hash

    def __repr__(self) -> str:
        return f"Objective({', '.join(f'{n}={w.weight:g} * {w.term}' for n, w in self._terms)})"

    def __reduce__(self) -> tuple[object, ...]:
        return (_objective, (self._terms,))


def _objective(terms: tuple[tuple[str, Weighted], ...]) -> Objective:
    return Objective(**dict(terms))
