"""Assets of views. Oracle: a view of our own that reads a file, told nowhere else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from seedbed.data.render.augmentation import Asset, Augmentation, all_assets
from seedbed.data.render.caption import EDA
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.recipe.recipe import Augment, Recipe
from seedbed.study.study import Trial
from seedbed.variants import CLIP, DECLIP


@dataclass(frozen=True)
class Fonts:
    name: str = "fonts"

    def prepare(self, home: Path) -> Path:
        return home / self.name

    def pack(self) -> bytes:
        return b"fonts"

    def install(self, packed: Callable[[], bytes]) -> None:
        packed()


@dataclass(frozen=True)
class Written(EDA):
    """A view of the caption that reads fonts."""

    @property
    def assets(self) -> tuple[Asset, ...]:
        return (*super().assets, Fonts())


def names(owner: Recipe | Cohort) -> list[str]:
    return [asset.name for asset in owner.assets]


def test_a_recipe_needs_what_its_views_need_and_nothing_that_no_term_reads() -> None:
    own = Augment(text_aug=Written())
    assert names(Recipe(objective=DECLIP, augment=own)) == ["fonts", "wordnet"]
    assert names(Recipe(objective=DECLIP)) == ["wordnet"]
    assert names(Recipe(objective=DECLIP, augment=Augment(text_aug=EDA("none")))) == []
    assert names(Recipe(objective=CLIP, augment=own)) == []


def test_a_cohort_and_its_data_tasks_need_what_any_member_does() -> None:
    own = Augment(text_aug=Written())
    members = [Recipe(objective=objective, augment=own) for objective in (CLIP, DECLIP)]
    cohort = Cohort(tuple(Trial((("n", i),), one) for i, one in enumerate(members)))
    assert names(cohort) == ["fonts", "wordnet"]
    assert rendering_of(cohort).assets == cohort.assets
    assert pickle.loads(pickle.dumps(cohort.assets)) == cohort.assets


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_asset_of_several_owners_comes_once(number: int) -> None:
    owners: list[Augmentation] = [Written()] * number + [EDA()]
    assert len(all_assets(owners)) == (2 if number else 1)
