"""A recipe: everything that decides what one trial computes, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seedbed.checks import UNSAID, choice, counts, one_of
from seedbed.data.corpus import Corpus
from seedbed.data.render.augmentation import Asset, Augmentation, all_assets
from seedbed.data.render.caption import EDA
from seedbed.data.render.image import MOCOV2, STANDARD_SLIP, CenterCrop, RandomResizedCrop, Strong
from seedbed.data.render.masking import Masking
from seedbed.data.views import Modality, View
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.recipe.flat import Value as Value
from seedbed.recipe.flat import content_key as content_key
from seedbed.recipe.flat import flat_of, key_of, names_of, unsaid_of
from seedbed.recipe.flat import flattened as flattened
from seedbed.recipe.optimizer import AdamW as AdamW
from seedbed.recipe.paths import patched, value_at


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
        return flat_of(self._said())

    def key(self, **beside: Value) -> str:
        """16 hex digits of the content, and of what is given `beside`: equal recipes have equal
        keys, in every process; they are `content_key` of `flatten`."""
        return key_of({**self._said(), **beside})

    def _said(self) -> dict[str, Any]:
        """The fields that enter the key, as they do."""
        unsaid, fields = unsaid_of(Recipe), {name: getattr(self, name) for name in names_of(Recipe)}
        said = {n: v for n, v in fields.items() if n not in unsaid or v != unsaid[n]}
        if "#" in self.init_from:
            said["init_from"] = self.init_from.rpartition("#")[2]
        return said
