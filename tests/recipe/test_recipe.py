"""Recipes, keys and objectives. Oracles: a second process, and each field changed by hand."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from seedbed.data.corpus import Corpus
from seedbed.data.select.filters.length import Length
from seedbed.errors import StudyError
from seedbed.model.objective import Objective
from seedbed.model.term import Temperature
from seedbed.model.terms.infonce import InfoNCE
from seedbed.recipe.recipe import AdamW, Recipe
from seedbed.recipe.setting import parse_setting
from seedbed.variants import CLIP

BASE = Recipe.paper(objective=CLIP)
OTHER = InfoNCE(temperature=Temperature("other"))
NEW: dict[str, Any] = {
    "corpus.uri": "demo:other",
    "corpus.split": "all",
    "corpus.test_split": "val",
    "corpus.caption": "raw",
    "image.name": "vit_small_patch16_224",
    "image.options": {"depth": 4},
    "corpus.filters": (Length(),),
    "precision": "bf16",
    "text.heads": 4,
    "image.norm": "local",
    "image.init": "released",
    "augment.test.ratio": 2.0,
    "augment.image.max_aspect": 2.0,
    "augment.image_a.max_aspect": 2.0,
    "augment.image_b.max_aspect": 2.0,
    "augment.text_aug.synonyms": "none",
    "augment.text_masked.random_from": "all",
}
FIELDS = [path for path in BASE.flatten() if not path.startswith("objective")]


def changed(path: str) -> Any:
    old = BASE.get(path)
    if isinstance(old, bool):
        return not old
    if path in NEW:
        return NEW[path]
    if isinstance(old, str):
        return old * 2 or "x"
    return old / 2 if isinstance(old, float) else old * 2 or 1


@pytest.mark.parametrize("hash_seed", ["0", "1", "12345"])
def test_a_key_is_the_same_in_every_process(hash_seed: str) -> None:
    code = (
        "from seedbed.recipe.recipe import Recipe; from seedbed.variants import CLIP;"
        "print(Recipe.paper(objective=CLIP).key())"
    )
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == BASE.key()
    assert len(BASE.key()) == 16 and int(BASE.key(), 16) >= 0


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_changes_the_key(path: str) -> None:
    other = BASE.patch(path, changed(path))
    assert other.key() != BASE.key()
    assert {p for p in FIELDS if other.flatten()[p] != BASE.flatten()[p]} == {path}


def test_a_weight_and_a_temperature_change_the_key() -> None:
    assert BASE.patch("objective.clip", 0.5).key() != BASE.key()
    assert BASE.patch("objective", Objective(clip=OTHER)).key() != BASE.key()


def test_a_term_of_weight_0_is_absent_from_recipe_and_key() -> None:
    without = BASE.patch("objective", CLIP + Objective(more=0 * OTHER))
    assert without.flatten() == BASE.flatten()
    assert without.key() == BASE.key()
    assert without.patch("objective.more", 0.5).key() != BASE.key()


def test_equal_recipes_have_equal_keys_whether_numbers_are_whole_or_not() -> None:
    assert BASE.patch("objective.clip", 1) == BASE.patch("objective.clip", 1.0)
    assert BASE.patch("objective.clip", 1).key() == BASE.patch("objective.clip", 1.0).key()
    whole, real = (Recipe(objective=CLIP, optimizer=AdamW(eps=e)) for e in (1, 1.0))
    assert whole == real
    assert whole.key() == real.key()


def test_a_recipe_without_any_present_term_is_refused() -> None:
    with pytest.raises(StudyError, match="no term with a weight above 0"):
        BASE.patch("objective.clip", 0)


def test_patch_changes_one_field_of_a_copy_and_get_reads_it() -> None:
    other = BASE.patch("text.layers", 3)
    assert (other.get("text.layers"), BASE.get("text.layers")) == (3, 12)
    assert other.patch("text.layers", 12) == BASE


def test_flatten_holds_what_get_reads() -> None:
    told = ("corpus.filters", *(path for path in FIELDS if "options" in path))  # in words
    assert all(BASE.flatten()[path] == BASE.get(path) for path in FIELDS if path not in told)
    assert BASE.flatten()["objective.clip.weight"] == 1.0
    assert BASE.flatten()["objective.clip.term"] == "InfoNCE"


def test_a_whole_number_passes_for_a_real_one_and_nothing_else_is_bent() -> None:
    assert isinstance(BASE.patch("optimizer.lr", 1).optimizer.lr, float)
    for path, value in (("text.layers", 3.0), ("optimizer.lr", "1"), ("precision", 3)):
        with pytest.raises(StudyError, match=f"Recipe.{path} takes"):
            BASE.patch(path, value)


@pytest.mark.parametrize("path", ["txt.layers", "", "objective.clp", "seed.x"])
def test_get_and_patch_refuse_a_path_that_does_not_exist(path: str) -> None:
    with pytest.raises(StudyError, match="has no '"):
        BASE.get(path)
    with pytest.raises(StudyError, match="has no '"):
        BASE.patch(path, 1)


def test_one_folder_is_one_corpus_however_it_is_named(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Corpus(uri="here") == Corpus(uri=str(tmp_path / "here"))


def test_objectives_with_one_name_do_not_add() -> None:
    with pytest.raises(StudyError, match="both objectives have a term 'clip'"):
        CLIP + Objective(clip=OTHER)


def test_objectives_compare_hash_and_pickle_by_their_terms() -> None:
    one, two = CLIP + Objective(more=0.2 * OTHER), Objective(more=0.2 * OTHER) + CLIP
    assert one == two and hash(one) == hash(two)
    assert one != CLIP and one != one.weighted("more", 0.3)
    assert pickle.loads(pickle.dumps(one)) == one
    assert pickle.loads(pickle.dumps(BASE)) == BASE


def test_an_objective_does_not_change() -> None:
    with pytest.raises(AttributeError):
        CLIP.terms = ()  # type: ignore[attr-defined]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_loss_to_lower_is_refused(weight: float) -> None:
    with pytest.raises(StudyError, match="the weight of InfoNCE is"):
        weight * InfoNCE()


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("text.layers=3", "text.layers", 3),
        ("budget.samples=1e9", "budget.samples", 10**9),
        ("budget.samples=1_000_000_000", "budget.samples", 10**9),
        ("optimizer.lr=2e-3", "optimizer.lr", 2e-3),
        ("corpus.caption=a=b", "corpus.caption", "a=b"),
        ('image.options={"depth": 4}', "image.options", {"depth": 4}),
        ("objective.clip=0.5", "objective.clip", 0.5),
    ],
)
def test_a_setting_takes_the_type_of_its_field(text: str, path: str, value: object) -> None:
    found = parse_setting(text, BASE)
    assert found == (path, value)
    assert type(found[1]) is type(value)
    BASE.patch(*found)


@pytest.mark.parametrize(
    "text",
    ["text.layers", "text.layer=3", "text.layers=abc", "text=3", "text.layers=", "=3"],
)
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StudyError):
        parse_setting(text, BASE)


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("path", ["text.layers", "optimizer.lr"])
def test_a_setting_that_is_not_finite_is_refused(path: str, raw: str) -> None:
    with pytest.raises(StudyError):
        BASE.patch(*parse_setting(f"{path}={raw}", BASE))


def test_a_beta_of_one_or_more_is_refused() -> None:
    with pytest.raises(StudyError, match=r"AdamW\.beta1 is 2"):
        AdamW(beta1=2)


def test_a_whole_number_where_a_fraction_stands_is_the_same_key() -> None:
    keys = {BASE.patch("corpus.max_bad_fraction", value).key() for value in (0, 0.0)}
    assert len(keys) == 1
