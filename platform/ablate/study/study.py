"""A study: one question, its factors, and the trials that answer it."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ablate.errors import AblateError, StudyError
from ablate.study.claim import Claim, check_claims
from ablate.study.factor import Factor, Label
from ablate.study.fraction import Fraction
from ablate.study.published import Published
from ablate.study.recipe import Recipe, content_key
from ablate.study.scale import Scale, scale_named

DATA_FIELDS = ("corpus", "augment", "seed", "image.size", "text.context", "budget.batch")


@dataclass(frozen=True)
class Trial:
    """One cell and seed with its resolved recipe, keyed by the recipe's content."""

    cell: tuple[tuple[str, Label], ...]
    recipe: Recipe

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @cached_property
    def key(self) -> str:
        return self.recipe.key()

    @cached_property
    def stream_key(self) -> str:
        """Equal for trials that read the same batches: what a cohort shares."""
        flat = self.recipe.flatten()
        shared: dict[str, Any] = {
            path: value
            for path, value in flat.items()
            if any(path == name or path.startswith(f"{name}.") for name in DATA_FIELDS)
        }
        return content_key(shared)

    @property
    def name(self) -> str:
        """`depth=3 s=0`, for people."""
        return " ".join([*(f"{factor}={label}" for factor, label in self.cell), f"s={self.seed}"])


class Study:
    """A question, a base recipe, and the factors that are crossed to answer it.

    `responses` are metrics, the primary first. `seeds` is a number (0 to n - 1) or the seeds
    themselves; without it the scale decides. `scales` adds to a scale's patches for this study:
    `{"demo": {"budget.samples": 10_000}}`. `fraction` keeps a part of the cells of two-level
    factors, by defining words: `("a * b * c * d * e",)` keeps half. `published` are values of
    others that the report sets beside the study's own; `claims` are what the study expects, judged
    in the report. Everything is checked here, at definition: a wrong path, level or patch raises
    StudyError before anything starts.
    """

    def __init__(
        self,
        *,
        name: str,
        question: str,
        base: Recipe,
        factors: Sequence[Factor],
        responses: Sequence[str] = ("zeroshot/top1", "cost/device_hours"),
        seeds: int | Sequence[int] | None = None,
        scales: Mapping[str, Mapping[str, Any]] | None = None,
        fraction: Sequence[str] = (),
        published: Published | None = None,
        claims: Sequence[Claim] = (),
    ) -> None:
        self.name, self.question, self.base = name, question, base
        self.factors, self.responses = tuple(factors), tuple(responses)
        self.fraction = Fraction.parse(fraction, self.factors) if fraction else None
        self.seeds = None if seeds is None else checked_seeds(seeds)
        self.scales = {scale: dict(patch) for scale, patch in (scales or {}).items()}
        self.published, self.claims = published, tuple(claims)
        self._check()

    def _check(self) -> None:
        if not self.name.isidentifier():
            raise StudyError(
                f"a study is named '{self.name}'",
                why="its name becomes a folder and an experiment",
                mend="use letters, digits and _, not starting with a digit",
            )
        if not self.factors:
            raise StudyError(
                f"study '{self.name}' has no factors",
                why="there is nothing to compare",
                mend="give it at least one Factor",
            )
        if not self.responses:
            raise StudyError(
                f"study '{self.name}' has no responses",
                why="there is nothing to compare by",
                mend='give at least one metric, like "zeroshot/top1"',
            )
        names = [factor.name for factor in self.factors]
        for name in names:
            if names.count(name) > 1:
                raise StudyError(
                    f"study '{self.name}' has two factors named '{name}'",
                    why="their columns could not be told apart",
                    mend="rename one of them",
                )
        for scale in self.scales:
            scale_named(scale)
        self._check_paths()
        if self.published is not None:
            self.published.check(self.factors, self.responses)
        check_claims(self.claims, self.factors, self.responses)
        for cell in self.cells():
            self._check_cell(cell)

    def _check_cell(self, cell: tuple[tuple[str, Label], ...]) -> None:
        recipe = self.resolve(cell, self.base)
        zero_shot = [name for name in self.responses if name.startswith("zeroshot/")]
        if zero_shot and recipe.objective.aligning() is None:
            where = ", ".join(f"{name}={label}" for name, label in cell)
            raise StudyError(
                f"the cell {where} has no term that draws pictures and captions together",
                why=f"the response {zero_shot[0]} compares pictures with captions, and such a "
                "model has learnt nothing to compare them by",
                mend="keep InfoNCE, MultiView or LateInteraction in every cell, or choose other "
                "responses",
            )

    def _check_paths(self) -> None:
        for one, other in itertools.combinations(self.factors, 2):
            both = [p for p in one.paths if any(overlap(p, q) for q in other.paths)]
            if both:
                raise StudyError(
                    f"the factors '{one.name}' and '{other.name}' both set {min(both)}",
                    why="the one applied last would win, and the other would vary nothing",
                    mend="let each recipe field be set by one factor",
                )
        for factor in self.factors:
            if "seed" in factor.paths:
                raise StudyError(
                    f"Factor '{factor.name}' varies the seed",
                    why="seeds are the study's repetitions, not a factor of it",
                    mend="give Study(seeds=...) instead",
                )

    def cells(self) -> list[tuple[tuple[str, Label], ...]]:
        """Every combination of levels that the fraction keeps, the last factor varying fastest."""
        labels = [[(factor.name, label) for label in factor.levels] for factor in self.factors]
        cells = itertools.product(*labels)
        if self.fraction is None:
            return list(cells)
        return [cell for cell in cells if self.fraction.keeps(cell, self.factors)]

    def resolve(self, cell: tuple[tuple[str, Label], ...], base: Recipe) -> Recipe:
        """`base` with the levels of `cell` applied."""
        by_name = {factor.name: factor for factor in self.factors}
        try:
            recipe = base
            for name, label in cell:
                recipe = by_name[name].apply(recipe, label)
            return recipe
        except StudyError as error:
            # One after the other may pass through what makes no sense (a term off before
            # another is on) on the way to a cell that does.
            patches = {p: v for name, label in cell for p, v in by_name[name].levels[label].items()}
            try:
                return patched_together(base, patches)
            except AblateError:
                raise error from None

    def trials(
        self,
        scale: Scale,
        *,
        overrides: Mapping[str, Any] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> tuple[Trial, ...]:
        """Every trial at `scale`, seed by seed; `overrides` are patches that come last."""
        self._check_overrides(overrides or {})
        base = self.base_at(scale, overrides)
        chosen = seeds or self.seeds or tuple(range(scale.num_seeds))
        found = [
            Trial(cell, dataclasses.replace(self._at(scale, cell, base, overrides), seed=seed))
            for seed in chosen
            for cell in self.cells()
        ]
        self._check_distinct(found)
        return tuple(found)

    def _at(
        self,
        scale: Scale,
        cell: tuple[tuple[str, Label], ...],
        base: Recipe,
        overrides: Mapping[str, Any] | None,
    ) -> Recipe:
        # What was set by hand stays, though the scale would have a smaller one.
        return patched_together(scale.shrink(self.resolve(cell, base)), overrides or {})

    def _check_overrides(self, overrides: Mapping[str, Any]) -> None:
        for path in overrides:
            if path == "seed":
                raise StudyError(
                    "--set seed: seeds are the study's repetitions",
                    why="every cell is trained once for each seed",
                    mend="give --seeds N",
                )
            for factor in self.factors:
                if any(overlap(path, own) for own in factor.paths):
                    raise StudyError(
                        f"--set {path}: the factor '{factor.name}' varies that field",
                        why="the factor's levels would overwrite it in every trial",
                        mend="set another field, or change the factor's levels",
                    )

    def base_at(self, scale: Scale, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """The base recipe at `scale`, with this study's own patches and then `overrides`."""
        base = self.base
        patches: dict[str, Any] = {}
        for patch in (scale.patches, self.scales.get(scale.name, {}), overrides or {}):
            for path, value in patch.items():
                patches.pop(path, None)  # set last, applied last
                patches[path] = value
        try:
            return patched_together(base, patches)
        except AblateError as error:
            where = "--set" if overrides and _named(error, overrides) else f"scale '{scale.name}'"
            raise StudyError(f"{where}: {error.what}", why=error.why, mend=error.mend) from None

    def _check_distinct(self, trials: Sequence[Trial]) -> None:
        by_key: dict[str, Trial] = {}
        for trial in trials:
            other = by_key.setdefault(trial.key, trial)
            if other is not trial:
                raise StudyError(
                    f"the trials '{other.name}' and '{trial.name}' are the same recipe",
                    why="two cells that compute the same thing cannot differ",
                    mend="remove one of the levels, or the --set that makes them equal",
                )

    def results(self, *, scale: str = "", tracking_uri: str = "") -> Any:
        """A pandas table, one row for each planned trial, as MLflow has them: for notebooks.

        Of the newest run, at `scale` where it is given; columns as in `ablate.analyze`. Raises
        TrackingError where the study has not run.
        """
        # By name: a study knows nothing of where results are kept, and imports nothing of it.
        recall = importlib.import_module("ablate.recall").recall
        return recall(self.name, scale=scale, tracking_uri=tracking_uri).trials

    def responses_at(self, scale: Scale) -> tuple[str, ...]:
        """The responses, the primary first, as `scale` can resolve them."""
        if scale.primary is None:
            return self.responses
        rest = [response for response in self.responses if response != scale.primary]
        return (scale.primary, *rest)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, factors={list(self.factors)})"


def patched_together(base: Recipe, patches: Mapping[str, Any]) -> Recipe:
    """`base` with all `patches`, whatever their order.

    One at a time, a patch may pass through a recipe that is not valid on its way to one that is
    (a smaller budget before its smaller warm-up), so patches that fail are tried again.
    """
    left = dict(patches)
    while left:
        failed: dict[str, Any] = {}
        last: AblateError | None = None
        for path, value in left.items():
            try:
                base = base.patch(path, value)
            except AblateError as error:
                failed[path], last = value, error
        if len(failed) == len(left) and last is not None:
            raise last
        left = failed
    return base


def overlap(one: str, other: str) -> bool:
    """Whether two paths set the same field, or one a part of what the other sets."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _named(error: AblateError, overrides: Mapping[str, Any]) -> bool:
    leaves = {path.rpartition(".")[2] for path in overrides}
    return any(leaf in error.what for leaf in leaves)


def checked_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds as a tuple. Raises StudyError for none, for a repeated one and for a negative one."""
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
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
