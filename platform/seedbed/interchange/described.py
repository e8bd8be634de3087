"""What of a recipe decides a model's shape, and how it is read back from a trial's record."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

import seedbed.data.views
import seedbed.model.terms
from seedbed.data.corpus import Corpus
from seedbed.data.render.image import CenterCrop
from seedbed.data.select import filters
from seedbed.data.select.filters.filter import Filter
from seedbed.data.views import Modality, View
from seedbed.errors import DataError, nearest
from seedbed.found import classes_in
from seedbed.model.objective import Objective
from seedbed.model.term import Temperature, Term, Weighted
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.recipe import Recipe, Value

if TYPE_CHECKING:
    from seedbed.model.pretrainer import Pretrainer

FIELDS = "__dataclass_fields__"


@dataclass(frozen=True)
class Described:
    """The part of a recipe that a trained model consists of, and how it is shown a picture."""

    image: ImageTower
    text: TextTower
    objective: Objective
    embed_dim: int
    crop: CenterCrop = CenterCrop(ratio=1.0)

    @classmethod
    def of(cls, recipe: Recipe) -> Described:
        """The part of `recipe`."""
        crop = recipe.augment.test
        return cls(recipe.image, recipe.text, recipe.objective, recipe.embed_dim, crop)

    @classmethod
    def read(cls, flat: Mapping[str, Value], where: str) -> Described:
        """The part of a recipe that `Recipe.flatten` wrote down.

        Raises DataError, naming `where` it was read, for a term or a field that this version does
        not have.
        """
        try:
            return cls(
                _made(ImageTower, flat, "image"),
                _made(TextTower, flat, "text"),
                _objective(flat),
                int(flat["embed_dim"]),  # type: ignore[arg-type]
                _made(CenterCrop, flat, "augment.test"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the recipe of {where} cannot be read",
                why=f"{type(error).__name__}: {error}",
                mend="read it with the seedbed that wrote it, or a newer one",
            ) from error

    def build(self, seed: int = 0, freeze: Sequence[Modality] = ()) -> Pretrainer:
        """The model, untrained, in evaluation mode."""
        from seedbed.model.pretrainer import Pretrainer

        model = Pretrainer(
            self.image,
            self.text,
            self.objective,
            embed_dim=self.embed_dim,
            seed=seed,
            freeze=freeze,
        )
        return model.eval()


def corpus_of(flat: Mapping[str, Value]) -> Corpus:
    """The corpus of a recipe that `Recipe.flatten` wrote down.

    Raises DataError for a filter that this package does not have.
    """
    listed = json.loads(str(flat.get("corpus.filters", "[]")))
    plain = {path: value for path, value in flat.items() if path != "corpus.filters"}
    return dataclasses.replace(_made(Corpus, plain, "corpus"), filters=tuple(map(_filter, listed)))


def _filter(said: str) -> Filter:
    """The one of that name: `MinImageSide(pixels=64)`."""
    kinds = {kind.__name__: kind for _, kind in classes_in(filters.__name__, Filter)}
    try:
        call = ast.parse(said, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        fields = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
        return kinds[call.func.id](**fields)  # type: ignore[arg-type]
    except (AssertionError, KeyError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(
            f"the filter {said} of its corpus is none of this seedbed",
            why=f"{type(error).__name__}: {error}",
            mend=nearest(said.partition("(")[0], kinds),
        ) from None


def _objective(flat: Mapping[str, Value]) -> Objective:
    names = sorted({p.split(".")[1] for p in flat if p.startswith("objective.")})
    known = _terms()
    terms: dict[str, Weighted] = {}
    for name in names:
        kind = str(flat[f"objective.{name}.term"])
        if kind not in known:
            raise DataError(
                f"the term '{name}' of the objective is a {kind}, which this seedbed has not",
                why="the weights of its layers belong to a term of another package or version",
                mend=nearest(kind, known),
            )
        term = _made(known[kind], flat, f"objective.{name}")
        terms[name] = Weighted(term, float(flat[f"objective.{name}.weight"]))  # type: ignore[arg-type]
    return Objective(**terms)


def _terms() -> dict[str, type[Term]]:
    """The terms of the package by the name of their class."""
    kinds = (kind for _, kind in classes_in(seedbed.model.terms.__name__, Term))
    return {kind.__name__: kind for kind in kinds if hasattr(kind, FIELDS)}


def _made(kind: type[Any], flat: Mapping[str, Value], prefix: str) -> Any:
    """A dataclass from its fields below `prefix`; those that are absent have their default."""
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        path = f"{prefix}.{field.name}"
        if hints[field.name] is Temperature:
            fields[field.name] = _made(Temperature, flat, path)
        elif path in flat:
            fields[field.name] = _value(hints[field.name], flat[path])
    return kind(**fields)


def _value(hint: Any, value: Value) -> Any:
    if value is not None and View in (hint, *getattr(hint, "__args__", ())):
        return _VIEWS[str(value)]
    if str(hint).startswith("tuple"):
        return dict(json.loads(str(value)))
    return value


_VIEWS = {v.name: v for v in vars(seedbed.data.views).values() if isinstance(v, View)}
