"""A recipe: everything that decides what one trial computes, as one frozen value."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seedbed.checks import UNSAID, choice, counts, one_of
from seedbed.data.corpus import Corpus
from seedbed.data.render.augmentation import Asset, Augmentation, all_assets
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import MOCOV2, STANDARD_SLIP, CenterCrop, RandomResizedCrop, Strong
from seedbed.data.render.masking import Masking
from seedbed.data.select.filters.filter import Filter
from seedbed.data.views import Modality, View
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.term import Weighted
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.optimizer import AdamW as AdamW
from seedbed.recipe.paths import patched, value_at

SCHEMA = 4  # part of every key: raised when the same fields come to mean something else

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Budget:
    """How much a trial sees, counted in samples, so that no worker count or batch changes it.

    Defaults: 128,000 steps of 4,096 pairs, and a warm-up that peaks at step 2,500
    (Sense-GVT/DeCLIP; 34.07 passes over 15,388,848 pairs, not the 32 its README states).
    """

    samples: int = 128_000 * 4_096
    warmup_samples: int = 2_499 * 4_096
    batch: int = 4_096

    def __post_init__(self) -> None:
        counts(self, "samples", "batch", why="it counts something that a trial needs")
        counts(self, "warmup_samples", least=0, why="it counts samples of the budget")
        if self.warmup_samples >= self.samples:
            raise StudyError(
                f"Budget.warmup_samples is {self.warmup_samples:,}",
                why=f"the budget is {self.samples:,} samples",
                mend="give 0 or more, and less than the budget",
            )
        if self.samples < self.batch:
            raise StudyError(
                f"Budget.samples {self.samples:,} is less than one batch of {self.batch:,}",
                why="a trial takes at least one step",
                mend="raise budget.samples or lower budget.batch",
            )

    @property
    def steps(self) -> int:
        """Whole batches in the budget."""
        return self.samples // self.batch


@dataclass(frozen=True)
class Augment:
    """What each view looks like, by its name; the raw caption has no options.

    The weak view and the two strong ones are the paper's released code's (Sense-GVT/DeCLIP).
    `test` is how a held-out picture is cropped: its whole short side, where that code takes
    256 / 224 of it (ONECROP).
    """

    image: RandomResizedCrop = STANDARD_SLIP
    image_a: Strong = MOCOV2
    image_b: Strong = MOCOV2
    text_aug: EDA = field(default_factory=EDA)
    text_masked: Masking = field(default_factory=Masking)
    test: CenterCrop = CenterCrop(ratio=1.0)

    def of(self, view: View) -> Augmentation:
        """What makes `view`."""
        augmentation: Augmentation = getattr(self, view.name, Augmentation())
        return augmentation


@dataclass(frozen=True)
class Recipe:
    """Corpus, towers, objective, optimizer, budget, augmentation and seed of one trial.

    `micro_batch` rows pass the towers at a time (0: all), with the losses still over the whole
    batch (gradient caching); `compile` compiles the towers with torch.compile. With either the
    losses agree to rounding.

    `init_from` names the weights that its towers start from, in open_clip's layout: a folder or a
    file, local or in a bucket, or `open_clip:MODEL@PRETRAINED`; "" draws them from the seed. A plan
    adds their digest, `#` and hex digits, and that alone enters the key: wherever they lie, the
    same weights are one recipe. `freeze` are towers that stay as they started, with their
    projections and the running statistics of their norms (LiT: Zhai et al. 2022, arXiv:2111.07991,
    has `("image",)`).
    """

    objective: Objective
    corpus: Corpus = Corpus()
    image: ImageTower = ImageTower()
    text: TextTower = TextTower()
    embed_dim: int = 512
    optimizer: AdamW = AdamW()
    budget: Budget = Budget()
    augment: Augment = field(default_factory=Augment)
    precision: Literal["fp32", "bf16"] = "fp32"
    micro_batch: int = 0
    compile: bool = False
    seed: int = 0
    init_from: str = field(default="", metadata=UNSAID)
    freeze: tuple[Modality, ...] = field(default=(), metadata=UNSAID)

    def __post_init__(self) -> None:
        counts(self, "embed_dim", why="it counts something that a trial needs")
        why = "a trial trains in one of the known precisions"
        choice(self, "precision", ("fp32", "bf16"), why=why)
        why = "it counts the rows that pass the towers at a time"
        mend = "give 1 or more, or 0 for the whole batch"
        counts(self, "micro_batch", least=0, why=why, mend=mend)
        self._check_freeze()
        self._check_schedule()
        self.objective.check()
        for name, weighted in self.objective.present():
            vocabulary = getattr(weighted.term, "vocabulary", self.text.vocabulary)
            if vocabulary != self.text.vocabulary:
                raise StudyError(
                    f"the term '{name}' guesses among {vocabulary:,} tokens",
                    why=f"the text tower knows {self.text.vocabulary:,}",
                    mend="set both to the same number",
                )

    @property
    def stable_samples(self) -> float:
        """Samples that its rate does not depend on the budget for: 0 where it always does."""
        if self.optimizer.schedule == "cosine":
            return 0.0
        return self.budget.samples - self.optimizer.decay_share * self.budget.samples

    def _check_schedule(self) -> None:
        warmup = self.budget.warmup_samples
        if self.optimizer.schedule == "wsd" and warmup > self.stable_samples:
            share = 1 - warmup / self.budget.samples
            raise StudyError(
                f"Budget.warmup_samples is {warmup:,}, and the rate falls from sample "
                f"{self.stable_samples:,.0f} on",
                why=f"AdamW.decay_share is {self.optimizer.decay_share:g} of the "
                f"{self.budget.samples:,} samples, and what warms up cannot decay",
                mend=f"give a decay_share of at most {share:.3g}, or a shorter warm-up",
            )

    def _check_freeze(self) -> None:
        for name in self.freeze:
            one_of("a tower of Recipe.freeze", name, ("image", "text"), why="a recipe has these")
        object.__setattr__(self, "freeze", tuple(sorted(set(self.freeze))))
        if self.freeze and not self.init_from:
            raise StudyError(
                f"Recipe.freeze is {self.freeze}, and init_from is empty",
                why="a frozen tower that starts from nothing stays as it was drawn",
                mend="name trained weights with init_from, or leave freeze empty",
            )

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What the views that its objective reads need beside the samples."""
        return all_assets(self.augment.of(view) for view in self.objective.views)

    @classmethod
    def paper(cls, *, objective: Objective, **fields: Any) -> Recipe:
        """The paper's recipe: ViT-B/32, 12 text layers, batch 4,096, 524 M samples."""
        return cls(objective=objective, **fields)

    def patch(self, path: str, value: Any) -> Recipe:
        """This recipe with the field at `path` (`text.layers`) replaced.

        Raises StudyError for a path that does not exist, with the nearest name, and for a value
        of another type.
        """
        return self.patched({path: value})

    def patched(self, patches: Mapping[str, Any]) -> Recipe:
        """This recipe with all `patches` {path: value}, checked together.

        Raises StudyError as `patch` does, and for values that do not fit one another.
        """
        recipe: Recipe = patched(self, "Recipe", patches)
        return recipe

    def get(self, path: str) -> Any:
        """The value at `path`. Raises StudyError as `patch` does."""
        return value_at(self, "Recipe", path)

    def flatten(self) -> dict[str, Value]:
        """Every field by its dotted path; absent terms are absent."""
        flat: dict[str, Value] = {}
        unsaid = _unsaid(Recipe)
        for name in _field_names(Recipe):
            value = getattr(self, name)
            if name not in unsaid or value != unsaid[name]:
                flat |= _flat_part(name, value)
        if "#" in self.init_from:
            flat["init_from"] = self.init_from.rpartition("#")[2]
        return flat

    def key(self) -> str:
        """16 hex digits of the content: equal recipes have equal keys, in every process."""
        return content_key(self.flatten())


def content_key(values: dict[str, Value]) -> str:
    """16 hex digits of `values`, whatever their order."""
    canonical = json.dumps({"schema": SCHEMA, **values}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def flattened(path: str, value: Any) -> dict[str, Value]:
    """Every field of `value`, which stands at `path` of a recipe, by its dotted path."""
    flat: dict[str, Value] = {}
    _flatten(path, value, flat)
    return flat


def _flatten(prefix: str, value: Any, flat: dict[str, Value]) -> None:
    """Put the fields of `value` into `flat`. Runs for every trial: no generators, no lookups."""
    if isinstance(value, _PLAIN):
        flat[prefix] = value
    elif isinstance(value, Objective):
        for name, weighted in value.present():
            _flatten(f"{prefix}.{name}", weighted, flat)
    elif isinstance(value, Weighted):
        flat[f"{prefix}.weight"] = value.weight
        flat[f"{prefix}.term"] = type(value.term).__name__
        _flatten(prefix, value.term, flat)
    elif isinstance(value, View):
        flat[prefix] = value.name
    elif names := _field_names(value.__class__):
        unsaid = _unsaid(value.__class__)
        for name in names:
            if name in unsaid and getattr(value, name) == unsaid[name]:
                continue
            _flatten(f"{prefix}.{name}" if prefix else name, getattr(value, name), flat)
    elif isinstance(value, tuple):
        flat[prefix] = json.dumps([v.name if isinstance(v, Filter) else v for v in value])
    elif not dataclasses.is_dataclass(value):
        flat[prefix] = value


_MOST_PARTS = 4_096
_parts: dict[tuple[str, int], tuple[Any, dict[str, Value]]] = {}


def _flat_part(name: str, value: Any) -> dict[str, Value]:
    """`flattened`, remembered: recipes of one study share most of their parts."""
    if isinstance(value, _PLAIN):
        return {name: value}
    known = _parts.get((name, id(value)))
    if known is None or known[0] is not value:  # another value, where the first one was
        if len(_parts) >= _MOST_PARTS:
            _parts.clear()
        known = _parts[name, id(value)] = (value, flattened(name, value))
    return known[1]


_PLAIN = (str, int, float, type(None))


@functools.lru_cache(maxsize=256)
def _field_names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; none of another class."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


@functools.lru_cache(maxsize=256)
def _unsaid(kind: type) -> dict[str, Any]:
    """Of a dataclass, the defaults of the fields that are left out where they have them."""
    return {f.name: f.default for f in dataclasses.fields(kind) if "unsaid" in f.metadata}
