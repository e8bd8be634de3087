"""Trials that start from trained weights, and frozen towers. Oracles: the weights themselves, and
a model that is trained by a plain loop with the frozen tower's outputs as given numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.fixtures.models import RESNET, VIT, described, trained
from torch.utils.flop_counter import FlopCounterMode

from seedbed.commands.study.main import main
from seedbed.data.corpus import Corpus
from seedbed.errors import DataError, StudyError
from seedbed.interchange.beginning import begin, check_starts, copy_starts
from seedbed.interchange.described import Described
from seedbed.interchange.exported import exported
from seedbed.interchange.source import KEPT, identified, source_of
from seedbed.model.gather import Gather
from seedbed.plan.cohort import Cohort
from seedbed.plan.cost import estimate
from seedbed.plan.memory import held_by
from seedbed.recipe.recipe import Budget, Recipe
from seedbed.recipe.scale import DEMO
from seedbed.recipe.setting import parse_setting
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.variant import Variant
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.study.trial import Trial

CPU = torch.device("cpu")
BATCH = 8


def recipe(image: Any = VIT, **fields: Any) -> Recipe:
    what = described("clip", image)
    own = {
        "image": image,
        "text": what.text,
        "embed_dim": what.embed_dim,
        "corpus": Corpus(uri="/nowhere", lanes=8),
        "budget": Budget(samples=4 * BATCH, warmup_samples=BATCH, batch=BATCH),
    }
    return Recipe(objective=what.objective, **own | fields)


def recipe_at_smoke() -> dict[str, Any]:
    """What keeps the scale from changing a study's sizes."""
    one = recipe()
    fields = ("image.name", "image.size", "image.options", "text.layers", "text.heads")
    return {path: one.get(path) for path in (*fields, "text.context", "embed_dim")}


def weights_for(one: Recipe, folder: Path) -> dict[str, Any]:
    """An export that fits, and the model that it is of."""
    what = Described.of(one)
    model = trained(what)
    exported(what, model, one.flatten()).write(folder)
    return model.state_dict()


def started(one: Recipe, store: Folder) -> CohortTraining:
    cohort = Cohort((Trial((("n", 0),), one),))
    copy_starts([one], store)
    training = CohortTraining(cohort, CPU)
    begin(((v.recipe, v.model) for v in training.variants.values()), store)
    return training


def batch(one: Recipe, step: int) -> dict[str, torch.Tensor]:
    drawn = torch.Generator().manual_seed(step)
    size, context = one.image.size, one.text.context
    return {
        "image": torch.randint(0, 256, (BATCH, size, size, 3), generator=drawn, dtype=torch.uint8),
        "text": torch.randint(1, 49_000, (BATCH, context), generator=drawn),
        "text_length": torch.full((BATCH,), context),
    }


def trained_steps(variant: Variant, num_steps: int = 3) -> None:
    for step in range(num_steps):
        variant.step(batch(variant.recipe, step), Gather())


def test_a_trial_starts_from_the_copy_beside_the_results(tmp_path: Path) -> None:
    one = recipe()
    weights = weights_for(one, tmp_path / "given")
    one = replace(one, init_from=identified(str(tmp_path / "given")))
    store = Folder(str(tmp_path / "results"))
    copy_starts([one, replace(one, seed=1)], store)
    (tmp_path / "given" / "open_clip_model.safetensors").unlink()
    assert store.names(KEPT) == [one.init_from.rpartition("#")[2]]
    (variant,) = started(one, store).variants.values()
    state = variant.model.state_dict()
    assert all(torch.equal(state[n], v) for n, v in weights.items() if n.startswith("towers"))


def test_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    one = recipe()
    weights_for(one, tmp_path / "given")
    one = replace(one, init_from=identified(str(tmp_path / "given")))
    store = Folder(str(tmp_path / "results"))
    copy_starts([one], store)
    place = (KEPT, one.init_from.rpartition("#")[2], "open_clip_model.safetensors")
    content = bytearray(store.read_bytes(*place))
    content[-1] ^= 1
    store.write_bytes(bytes(content), *place)
    with pytest.raises(DataError, match="have the digest"):
        started(one, store)


def test_weights_of_another_shape_are_refused_by_tensor(tmp_path: Path) -> None:
    weights_for(recipe(), tmp_path / "given")
    other = recipe(embed_dim=32, init_from=identified(str(tmp_path / "given")))
    with pytest.raises(DataError, match=r"visual\.proj is"):
        started(other, Folder(str(tmp_path / "results")))


@pytest.mark.slow
def test_what_does_not_fit_is_refused_while_nothing_runs(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_for(recipe(), tmp_path / "given")
    study = Study(
        name="s",
        question="?",
        base=recipe(),
        factors=(Factor("width", at="text.width", levels=(32, 64)),),
        responses=("zeroshot/top1",),
        scales={"smoke": recipe_at_smoke()},
    )
    for mode in (["--plan"], []):
        with pytest.raises(SystemExit) as ended:
            main(study, ["--scale", "smoke", "--set", f"init_from={tmp_path / 'given'}", *mode])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "positional_embedding is [12, 32], not [12, 64]" in said
    assert not (home / "results").exists()


def test_a_whole_study_goes_on_when_the_original_is_gone(tmp_path: Path) -> None:
    one = recipe()
    weights_for(one, tmp_path / "given")
    one = replace(one, init_from=identified(str(tmp_path / "given")))
    store = Folder(str(tmp_path / "results"))
    check_starts([one], store)
    copy_starts([one], store)
    for file in (tmp_path / "given").iterdir():
        file.unlink()
    check_starts([one], store)
    with pytest.raises(DataError, match="describes no model") as error:
        source_of(str(tmp_path / "given"))
    assert "NAME#DIGEST" in error.value.mend


def test_a_frozen_tower_must_have_been_trained(tmp_path: Path) -> None:
    tokens = described("filip")
    exported(tokens, trained(tokens)).write(tmp_path / "given")
    said = identified(str(tmp_path / "given"))
    check_starts([recipe(init_from=said)], Folder(str(tmp_path)))  # its projection is drawn
    with pytest.raises(DataError, match=r"visual\.proj was not trained in it"):
        check_starts([recipe(init_from=said, freeze=("image",))], Folder(str(tmp_path)))


def test_the_key_is_of_the_weights_wherever_they_lie(tmp_path: Path) -> None:
    one = recipe()
    for name in ("a", "b"):
        weights_for(one, tmp_path / name)
    weights_for(replace(one, seed=3), tmp_path / "c")
    (tmp_path / "c" / "open_clip_model.safetensors").write_bytes(
        (tmp_path / "a" / "open_clip_model.safetensors").read_bytes()
    )
    keys = {
        replace(one, init_from=identified(str(tmp_path / name))).key() for name in ("a", "b", "c")
    }
    assert len(keys) == 1 and one.key() not in keys


def test_fields_that_came_later_leave_the_keys_of_other_recipes_alone() -> None:
    flat = recipe().flatten()
    later = {"init_from", "freeze", "text.activation", "image.pixels"}
    assert later.isdisjoint(flat)
    told = recipe(text=replace(described().text, activation="gelu")).flatten()
    assert told.keys() - flat.keys() == {"text.activation"}


def test_where_a_trial_starts_is_a_factor(tmp_path: Path) -> None:
    one = recipe()
    weights_for(one, tmp_path / "given")
    place = str(tmp_path / "given")
    study = Study(
        name="s",
        question="Is a trained start worth it?",
        base=one,
        factors=(
            Factor(
                "start",
                levels={
                    "scratch": {},
                    "trained": {"init_from": place},
                    "frozen": {"init_from": place, "freeze": ("image",)},
                },
            ),
        ),
        responses=("zeroshot/top1",),
    )
    trials = study.trials(replace(DEMO, patches={}, towers={}, terms={}), seeds=(0,))
    digest = identified(place).rpartition("#")[2]
    told = {str(t.cell): (t.flat.get("init_from"), t.flat.get("freeze")) for t in trials}
    assert told == {
        "start=scratch": (None, None),
        "start=trained": (digest, None),
        "start=frozen": (digest, '["image"]'),
    }
    assert len({trial.key for trial in trials}) == 3
    assert len({trial.stream_key for trial in trials}) == 1  # one stream of batches for all


@pytest.mark.parametrize("image", [VIT, RESNET], ids=["vit", "resnet"])
@pytest.mark.slow
def test_a_frozen_tower_stays_as_it_started_statistics_and_all(image: Any, tmp_path: Path) -> None:
    one = recipe(image)
    weights = weights_for(one, tmp_path / "given")
    one = replace(one, init_from=identified(str(tmp_path / "given")), freeze=("image",))
    (variant,) = started(one, Folder(str(tmp_path / "results"))).variants.values()
    learned = gradients(variant)
    trained_steps(variant)
    state = variant.model.state_dict()
    moved = {name for name, v in weights.items() if not torch.equal(state[name], v)}
    assert moved and all(
        name.startswith(("towers.text", "projections.text", "thetas")) for name in moved
    )
    held = {id(p) for group in variant.optimizer.param_groups for p in group["params"]}
    frozen = {n: p for n, p in variant.model.named_parameters() if "image" in n}
    assert frozen and not held & {id(p) for p in frozen.values()}
    assert learned and not learned.keys() & frozen.keys()


def gradients(variant: Variant) -> dict[str, torch.Tensor]:
    """Filled with the gradients of each step, which are given back after it."""
    found: dict[str, torch.Tensor] = {}

    def note(*given: Any) -> None:
        named = variant.model.named_parameters()
        found.update({name: p.grad.clone() for name, p in named if p.grad is not None})

    variant.optimizer.register_step_pre_hook(note)
    return found


@pytest.mark.slow
def test_the_other_tower_learns_as_if_the_frozen_ones_outputs_were_numbers(tmp_path: Path) -> None:
    one = recipe(RESNET)
    weights_for(one, tmp_path / "given")
    one = replace(one, init_from=identified(str(tmp_path / "given")), freeze=("image",))
    (variant,) = started(one, Folder(str(tmp_path / "results"))).variants.values()
    (twin,) = started(one, Folder(str(tmp_path / "results"))).variants.values()
    ours = gradients(variant)
    variant.step(batch(one, 0), Gather())
    columns = batch(one, 0)
    with torch.no_grad():
        seen = twin.model.eval().embed_image(columns["image"])
    read = twin.model.embed_text(columns["text"], columns["text_length"])
    unit = [torch.nn.functional.normalize(x, dim=-1) for x in (seen, read)]
    logits = twin.model.thetas["logit"].exp() * unit[0] @ unit[1].T
    rows = torch.arange(BATCH)
    cross = torch.nn.functional.cross_entropy
    ((cross(logits, rows) + cross(logits.T, rows)) / 2).backward()
    theirs = {n: p.grad for n, p in twin.model.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys() != set()
    for name, grad in theirs.items():
        torch.testing.assert_close(ours[name], grad, rtol=1e-4, atol=1e-6)


def counted(one: Recipe) -> float:
    """Of a sample, by torch: a step forward and backward."""
    model = Described.of(one).build().train()
    for name in one.freeze:
        model.towers[name].requires_grad_(False)
        model.projections[name].requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        model(batch(one, 0))["loss"].backward()
    return counter.get_total_flops() / BATCH


def test_a_frozen_tower_costs_its_forward_pass_and_holds_its_weights_alone() -> None:
    whole = recipe(init_from="x")
    none, image, both = (
        estimate(replace(whole, freeze=freeze)) for freeze in ((), ("image",), ("image", "text"))
    )
    saved = (none.train_flops - image.train_flops) / none.samples
    # Not quite the same: nothing ever needs the gradient of pixels.
    frozen = replace(whole, freeze=("image",))
    assert saved == pytest.approx(counted(whole) - counted(frozen), rel=0.15)
    assert both.train_flops < image.train_flops < none.train_flops
    assert (none.num_frozen, none.num_params) == (0, image.num_params)
    model = trained(Described.of(whole))
    parts = (model.towers["image"], model.projections["image"])
    assert image.num_frozen == sum(p.numel() for part in parts for p in part.parameters())
    trials = [Trial((("n", 0),), replace(whole, freeze=f)) for f in ((), ("image",))]
    one, other = (held_by([trial]).states[0] for trial in trials)
    assert one - other == 12 * image.num_frozen


@pytest.mark.parametrize(
    ("freeze", "init_from", "said"),
    [
        (("image",), "", "init_from is empty"),
        (("picture",), "x", "is 'picture'"),
    ],
)
def test_what_cannot_be_frozen_is_refused(freeze: Any, init_from: str, said: str) -> None:
    with pytest.raises(StudyError) as error:
        recipe(freeze=freeze, init_from=init_from)
    assert said in str(error.value)


def test_a_command_line_can_freeze() -> None:
    assert parse_setting('freeze=["image"]', recipe()) == ("freeze", ("image",))
    assert parse_setting("init_from=/x", recipe()) == ("init_from", "/x")
