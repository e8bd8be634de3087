"""What single rules say. Oracles: the studies' own tables of levels, and numpy's rank."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from seedbed import Corpus, Factor, Recipe, Study, forbid
from seedbed.data.render.image import RandomResizedCrop
from seedbed.data.select.filters.length import Length
from seedbed.errors import StudyError
from seedbed.plan.confounded import equation, moved_together
from seedbed.plan.lint.examine import check_lint, examine
from seedbed.plan.lint.rule import Draft, Finding
from seedbed.plan.lint.rules import all_rules
from seedbed.plan.plan import plan
from seedbed.recipe.scale import SMOKE
from seedbed.variants import CLIP, FILIP

LETTERS = ("p", "q", "r")


def draft(*factors: Factor, pairs: Any = (), **fields: Any) -> Draft:
    given = {"base": Recipe.paper(objective=CLIP), "seeds": 1} | fields
    return Draft(plan(Study(name="s", question="?", factors=factors, **given), SMOKE), dict(pairs))


def found_by(rule: str, made: Draft) -> list[Finding]:
    return list(all_rules()[rule].judge(made))


def test_the_most_frequent_value_is_that_of_the_others() -> None:
    assert equation({"a": 1, "b": 2, "c": 2, "d": 3}) == "a = 1, d = 3, others 2"
    assert equation({"a": 1, "b": 2}) == "a = 1, b = 2"
    assert equation({"a": 1, "b": 1, "c": 2, "d": 2}) == "{c, d} = 2, others 1"


def test_a_level_that_differs_in_one_field_has_it_to_itself() -> None:
    """Drawn and filtered pairs are as many, drawn and all of one kind: no contrast has both."""
    kinds = {
        "drawn": {"text.width": 32},
        "wide": {"text.width": 64},
        "deep": {"text.layers": 6},
    }
    made = draft(Factor("text", levels=kinds, baseline="drawn"))
    assert moved_together(made.plan) == {}
    kinds["deep"] = {"text.layers": 6, "text.width": 64}
    made = draft(Factor("text", levels=kinds, baseline="drawn"))
    assert moved_together(made.plan) == {"text": ["text.layers"]}


def test_what_nothing_reads_makes_cells_twins_with_the_rule_that_leaves_them_out() -> None:
    width = Factor("width", at="embed_dim", levels=(32, 64), baseline=32)
    supervision = Factor("supervision", at="objective", levels={"clip": CLIP, "filip": FILIP})
    (found,) = found_by("twins", draft(width, supervision))
    assert found.what.startswith(
        "the cells 'width=32 supervision=filip' and 'width=64 supervision=filip' compute the same"
    )
    assert "embed_dim, which nothing reads" in found.why
    assert found.mend == "leave them out: constraints=(forbid(width=64, supervision='filip'),)"
    kept = draft(width, supervision, constraints=(forbid(width=64, supervision="filip"),))
    assert found_by("twins", kept) == []


def test_an_augmentation_of_a_view_that_is_not_made_changes_nothing() -> None:
    crops = {"half": RandomResizedCrop(0.5), "most": RandomResizedCrop(0.9)}
    read = Factor("crop", at="augment.image", levels=crops)
    unread = Factor("blur", at="augment.image_a.blur_p", levels=(0.0, 0.5), baseline=0.0)
    assert found_by("twins", draft(read)) == []
    (found,) = found_by("twins", draft(read, unread))
    assert found.mend == "take 0.5 out of the levels of 'blur'" and "augment.image_a" in found.why


def nested(*cells: tuple[str, str]) -> Draft:
    one = {name: {"text.width": 32 * (n + 1)} for n, name in enumerate(LETTERS)}
    other = {name: {"text.layers": n + 1} for n, name in enumerate(LETTERS)}
    factors = (Factor("one", levels=one), Factor("other", levels=other))
    return draft(*factors, listed=[{"one": a, "other": b} for a, b in cells])


def test_factors_that_move_together_are_told_as_one() -> None:
    (found,) = found_by("factors", nested(*zip(LETTERS, LETTERS, strict=True)))
    assert found.severity == "error"
    assert found.what == "other moves with one in every cell: p with p, q with q, r with r"


def test_the_lint_and_the_rank_of_the_model_agree_on_what_cells_can_tell() -> None:
    rng, every = random.Random(3), list(itertools.product(LETTERS, LETTERS))
    seen = set()
    for _ in range(60):
        cells = rng.sample(every, rng.randint(4, 8))
        if any({cell[side] for cell in cells} != set(LETTERS) for side in (0, 1)):
            continue  # refused: a level is not trained
        rows = [[1.0] + [float(c[s] == n) for s in (0, 1) for n in "qr"] for c in cells]
        lacking = 5 - int(np.linalg.matrix_rank(np.array(rows)))
        seen.add(lacking > 0)
        assert bool(found_by("factors", nested(*cells))) is (lacking > 0)
    assert seen == {True, False}


def test_a_nested_factor_is_a_caution() -> None:
    made = draft(
        Factor("tower", at="text.width", levels={"vit": 32, "resnet": 64}),
        Factor("patch", at="text.layers", levels={"none": 1, "small": 2, "large": 3}),
        constraints=(
            forbid(tower="resnet", patch=("small", "large")),
            forbid(tower="vit", patch="none"),
        ),
    )
    (found,) = found_by("factors", made)
    assert found.severity == "caution"
    assert "none with resnet, small with vit" in found.what.replace("large with vit, ", "")
    (empty,) = found_by("empty_cells", made)
    assert empty.what.startswith("3 of the 6 combinations of levels are not trained: never ")


def test_a_corpus_is_compared_at_an_equal_count_or_it_is_said() -> None:
    factor = Factor("pairs", at="corpus.filters", levels={"all": (), "some": (Length(),)})

    def made(take: int, pairs: Any = ()) -> Draft:
        base = Recipe.paper(objective=CLIP, corpus=Corpus(uri="/data/a", take=take))
        return draft(factor, base=base, pairs=pairs)

    (found,) = found_by("corpus_size", made(0))
    assert found.what.endswith(" may move with pairs: {all, some} = not counted")
    counts = {t.recipe.corpus: n for t, n in zip(made(0).cells, (9_000, 7_500), strict=True)}
    (found,) = found_by("corpus_size", made(0, counts))
    assert found.what.endswith(" moves with pairs: all = 9,000 pairs, some = 7,500 pairs")
    assert found_by("corpus_size", made(0, dict.fromkeys(counts, 9_000))) == []
    assert found_by("corpus_size", made(5_000)) == []


@pytest.mark.parametrize(
    ("main", "values"),
    [
        ("objective", (CLIP, CLIP.weighted("clip", 0.5))),
        ("objective.clip.weight", (1.0, 0.5)),
        ("corpus.take", (5_000, 6_000)),
        ("text.width", (32, 64)),
    ],
)
def test_an_error_does_not_depend_on_the_order_in_which_a_level_is_written(
    main: str, values: tuple[Any, Any]
) -> None:
    def errors(*paths: str, **fields: Any) -> list[str]:
        pairs = {main: values, "optimizer.lr": (1e-3, 2e-3)}
        levels = {n: {path: pairs[path][n == "b"] for path in paths} for n in "ab"}
        factor = Factor("what", levels=levels, **fields)
        assert factor.main == main
        found = found_by("fields", draft(factor))
        assert [f.what.split()[0] for f in found] == ["optimizer.lr"]
        return [f.what for f in found if f.severity == "error"]

    told = ["optimizer.lr moves with what: a = 0.001, b = 0.002"]
    assert errors(main, "optimizer.lr") == errors("optimizer.lr", main) == told
    assert errors("optimizer.lr", main, also_moves=("optimizer.lr",)) == []


def test_of_two_fields_of_training_the_first_is_the_question() -> None:
    levels = {n: {"optimizer.lr": x, "optimizer.beta2": x} for n, x in (("a", 0.1), ("b", 0.2))}
    (found,) = found_by("fields", draft(Factor("rate", levels=levels)))
    assert (found.severity, found.what.split()[0]) == ("caution", "optimizer.beta2")


def batches(*levels: tuple[int, int], **fields: Any) -> Factor:
    """A factor of batches with their budgets of samples."""
    return Factor(
        "batch",
        levels={
            f"of {batch}": {"budget.batch": batch, "budget.samples": samples}
            for batch, samples in levels
        },
        **fields,
    )


def sampled(*factors: Factor, samples: int = 10_240) -> list[Finding]:
    found = found_by("budgets", draft(*factors, scales={"smoke": {"budget.samples": samples}}))
    return [finding for finding in found if finding.what.startswith("the samples seen move")]


def test_batches_with_budgets_of_their_own_see_equal_samples_or_it_is_an_error() -> None:
    assert sampled(batches((128, 2_560), (256, 2_560))) == []
    (found,) = sampled(batches((128, 1_280), (256, 2_560)))
    assert found.severity == "error"
    assert found.what == "the samples seen move with batch: of 128 = 1,280, of 256 = 2,560"
    meant = batches((128, 1_280), (256, 2_560), also_moves=("budget.samples",))
    assert [f.severity for f in sampled(meant)] == ["caution"]
    # In whole batches, which is what is trained: 10 of 128, and 2 of 600.
    (found,) = sampled(batches((128, 1_280), (600, 1_280)))
    assert found.what.endswith("of 128 = 1,280, of 600 = 1,200")
    assert sampled(batches((128, 1_280), (600, 1_799), also_moves=("budget",)))
    assert sampled(batches((128, 1_280), (256, 1_500))) == []  # 5 of 256 are 1,280


def test_a_batch_that_does_not_divide_the_budget_is_an_error_unless_it_loses_little() -> None:
    def sizes(*levels: int) -> Factor:
        return Factor("batch", at="budget.batch", levels=levels)

    (found,) = sampled(sizes(128, 6_000))
    assert found.severity == "error"
    assert found.what == "the samples seen move with batch: 128 = 10,240, 6000 = 6,000"
    assert "one budget.samples that is a multiple of 48,000" in found.mend
    assert sampled(sizes(128, 6_000), samples=48_000) == []
    assert sampled(sizes(128, 500), samples=100_000) == []  # 99,968 of 100,000
    declared = Factor("batch", at="budget.batch", levels=(128, 6_000), also_moves=("budget",))
    assert [f.severity for f in sampled(declared)] == ["caution"]


def test_equal_samples_share_no_stream_with_another_batch_and_may_be_crossed() -> None:
    sizes = Factor("batch", at="budget.batch", levels=(128, 256, 512))
    budget = Factor("budget", at="budget.samples", levels=(1_024, 2_048))
    made = draft(sizes, budget, seeds=2)
    assert found_by("budgets", made) == []
    for cohort in made.plan.cohorts:
        assert len({(t.seed, t.recipe.budget.batch) for t in cohort.trials}) == 1
    assert len(made.plan.cohorts) == 6 and len({t.key for t in made.plan.trials}) == 12


def test_unequal_samples_are_found_in_a_fraction_too() -> None:
    rates = (
        Factor("rate", at="optimizer.lr", levels=(1e-3, 2e-3)),
        Factor("decay", at="optimizer.weight_decay", levels=(0.1, 0.2)),
    )
    half = ("batch * rate * decay",)
    for level, number in ((2_560, 0), (5_120, 1)):
        made = draft(batches((128, 2_560), (256, level)), *rates, fraction=half)
        assert len([f for f in found_by("budgets", made) if "samples seen" in f.what]) == number


def test_also_moves_names_a_field_that_some_level_sets() -> None:
    with pytest.raises(StudyError, match="also_moves names 'embed_dom'") as error:
        Factor(
            "model",
            levels={"a": {"text.width": 1, "embed_dim": 1}, "b": {"text.width": 2, "embed_dim": 2}},
            also_moves=("embed_dom",),
        )
    assert "Did you mean 'embed_dim'?" in error.value.mend


def test_errors_stop_a_run_in_one_refusal_and_cautions_do_not() -> None:
    caution = Finding("caution", "one seed", "why", "mend")
    check_lint([caution])
    with pytest.raises(StudyError, match="lr moves; and two cells") as error:
        check_lint([Finding("error", "lr moves", "w", "m"), Finding("error", "two cells", "", "")])
    assert error.value.mend.startswith("m. --plan shows") and "--force" in error.value.mend


@timm.models.register_model
def tower_without_tokens(**options: Any) -> nn.Module:
    """A model as a user may register one: it gives features, and no maps of them."""

    class Tower(nn.Module):
        num_features = 8

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 8)

        def forward_features(self, images: Tensor) -> Tensor:
            return torch.as_tensor(self.conv(images).mean((2, 3)))

        def forward_head(self, last: Tensor, pre_logits: bool = False) -> Tensor:
            return last

    return Tower()


def test_a_tower_without_tokens_is_refused_with_the_rule_that_leaves_it_out(home: object) -> None:
    name = tower_without_tokens.__name__
    towers = Factor("tower", at="image.name", levels=(name, "test_vit"), baseline="test_vit")
    supervision = Factor("supervision", at="objective", levels={"clip": CLIP, "filip": FILIP})
    with pytest.raises(StudyError, match=f"timm gives no tokens of '{name}'") as error:
        examine(draft(towers, supervision))
    assert error.value.what.startswith(f"the cell tower={name} supervision=filip: ")
    rule = f"constraints=(forbid(tower='{name}', supervision='filip'),)"
    assert error.value.mend.endswith(f"leave them out: {rule}")
    ruled = forbid(tower=name, supervision="filip")
    assert examine(draft(towers, supervision, constraints=(ruled,)))


@pytest.mark.slow
def test_a_tower_that_cannot_read_a_size_is_refused_at_that_size(home: object) -> None:
    towers = Factor("tower", at="image.name", levels=("efficientformer_l1", "test_vit"))
    sizes = Factor("size", at="image.size", levels=(32, 224))
    with pytest.raises(StudyError, match="cannot read an image of this recipe") as error:
        examine(draft(towers, sizes))
    assert "forbid(tower='efficientformer_l1', size=32)" in error.value.mend
