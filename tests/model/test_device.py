"""Every tensor that the losses make lies where the model does.

Oracle: torch's tensors without memory that say they are a GPU's: an operation of two devices is
refused for them as on a GPU, which nobody needs for it. They have no backward pass.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from tests.run.worker.random_batches import VIT, batch, cohort, recipe
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from seedbed.model import mean_of_max
from seedbed.model.gather import Gather
from seedbed.model.pretrainer import Pretrainer
from seedbed.model.terms.infonce import InfoNCE
from seedbed.model.towers.image import ImageTower
from seedbed.recipe.recipe import Recipe
from seedbed.run.worker.batch import make_batch
from seedbed.variants import CLIP, UNIFIED

GPU = torch.device("cuda", 0)
TOWERS = {"vit": VIT, "resnet": ImageTower("resnet18", 32)}


def losses(of: Recipe, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The losses of a batch, on tensors that say they are a GPU's."""
    # What the process asks the driver of a GPU, nobody answers here.
    monkeypatch.setattr(mean_of_max, "_chunk_bytes", lambda device: mean_of_max.CHUNK_BYTES)
    columns = make_batch(batch(cohort(of), 0), of, torch.device("cpu")).tensors
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        model = Pretrainer(of.image, of.text, of.objective, embed_dim=of.embed_dim, seed=0)
    mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())
    with mode, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kernels that a GPU would have
        model.to_empty(device=GPU)
        sent = {name: mode.from_tensor(column).to(GPU) for name, column in columns.items()}
        return dict(model(sent, Gather()))


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("name", UNIFIED)
def test_a_loss_is_where_its_model_is(
    name: str, tower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = recipe(1, UNIFIED[name]["objective"], image=TOWERS[tower])
    found = losses(of, monkeypatch)
    assert len(found) > 1 and {loss.device for loss in found.values()} == {GPU}


def test_a_tensor_of_another_device_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = InfoNCE.loss

    def elsewhere(self: InfoNCE, *given: object) -> torch.Tensor:
        return right(self, *given) + torch.zeros(2).sum(0, keepdim=True)  # type: ignore[arg-type]

    monkeypatch.setattr(InfoNCE, "loss", elsewhere)
    with pytest.raises(RuntimeError, match="device"):
        losses(recipe(1, CLIP), monkeypatch)
