"""One variant in training: its model, optimizer, random state and curve, and nobody else's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from seedbed.errors import DIVERGED, INFRASTRUCTURE, OUT_OF_MEMORY
from seedbed.failure import failure_of
from seedbed.model.gather import (
    Gather,
    data_group,
    of_every_rank,
    own_rank,
    several_ranks,
    sum_over_ranks,
    take_first,
    world_size,
)
from seedbed.model.pretrainer import Pretrainer
from seedbed.recipe.recipe import Budget
from seedbed.run.worker import losses
from seedbed.run.worker.batch import padded
from seedbed.run.worker.clock import SUMMED, StepClock
from seedbed.run.worker.finite import first_not_finite
from seedbed.run.worker.memory import fitting_words
from seedbed.run.worker.optimizer import build_optimizer
from seedbed.run.worker.random_state import RandomState
from seedbed.run.worker.schedule import learning_rate
from seedbed.study import recorded
from seedbed.study.trial import Trial

CURVE_POINTS = 200  # per trial: what a record keeps and the ledger shows


class Variant:
    """The training state of one trial. `step` it with every batch until `done`."""

    def __init__(self, trial: Trial, device: torch.device) -> None:
        self.trial, self.recipe, self.device = trial, trial.recipe, device
        recipe = trial.recipe
        self.model = Pretrainer(
            recipe.image,
            recipe.text,
            recipe.objective,
            embed_dim=recipe.embed_dim,
            seed=recipe.seed,
            precision=recipe.precision,
            micro_batch=recipe.micro_batch,
            freeze=recipe.freeze,
        ).to(device)
        if recipe.compile:
            self.model.compile_towers()
        self.optimizer = build_optimizer(self.model, recipe)
        self.module: nn.Module = self.model
        if several_ranks():
            self.module = DistributedDataParallel(
                self.model,
                device_ids=[device.index] if device.type == "cuda" else None,
                # A queue would be sent anew with every step; norms are agreed on in `agree`.
                broadcast_buffers=False,
                process_group=data_group(),
                gradient_as_bucket_view=True,  # one copy of the gradients less
                # A queue that is empty yet leaves its term's temperature unused. And only so are
                # the buckets not made anew after the first step, in another order: sums over three
                # ranks and more would round otherwise from there on, and again after a resume.
                find_unused_parameters=True,
            )
        self.status, self.reason, self.failure = "running", "", ""
        self.released = False
        self.step_number = 0
        self.curve: list[dict[str, float]] = []
        self.clock = StepClock(device, compiled=recipe.compile)
        self.text_tokens = 0
        self.image_views = 0
        self._rng = RandomState(recipe.seed, device)
        self._pending: losses.Losses = []
        self._seen: list[tuple[int, int]] = []  # image views and text tokens, after each of these

    @property
    def samples_seen(self) -> int:
        return self.step_number * self.recipe.budget.batch

    @property
    def done(self) -> bool:
        return self.step_number >= self.recipe.budget.steps

    @property
    def active(self) -> bool:
        return self.status == "running" and not self.done

    @property
    def is_due(self) -> bool:
        """Whether its curve has a point here, whatever its neighbours' have."""
        return not self.active or is_due(self.recipe.budget, self.step_number)

    def step(self, batch: Mapping[str, Tensor], gather: Gather) -> None:
        """One optimizer step on a batch of columns."""
        if any(weighted.term.reads_padding for _, weighted in self.recipe.objective.present()):
            batch = padded(batch, self.recipe.text.context)
        rate = learning_rate(self.recipe, self.samples_seen)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self._rng.own(), self.clock.step():
            losses = self.module(batch, gather)
            losses["loss"].backward()
            self.optimizer.step()
            self.model.clamp()
            # Now, and not before the next step: its neighbours' steps have the room meanwhile.
            self.optimizer.zero_grad(set_to_none=True)
        self._pending.append({name: loss.detach() for name, loss in losses.items()})
        self.step_number += 1
        for view in self.recipe.objective.views:
            column = batch[view.name]
            # Of all ranks: it may go on from here on fewer or more.
            rows = sum(gather.sizes) or len(column)
            if view.modality == "image":
                self.image_views += rows
            else:
                self.text_tokens += rows * column.shape[1:].numel()
        self._seen.append((self.image_views, self.text_tokens))

    def lost(self) -> Tensor | None:
        """Whether a loss since the last point was not finite on this rank, [], without waiting for
        a GPU; None where there is none."""
        if self.status != "running" or not self._pending:
            return None
        return ~torch.isfinite(torch.stack([step["loss"] for step in self._pending])).all()

    def agree(self) -> None:
        """Take rank 0's running statistics, where norms average one rank's rows.

        Called by all ranks before a checkpoint and before the evaluation: training itself never
        reads them.
        """
        if self.released or not several_ranks():
            return
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                for buffer in module.buffers(recurse=False):
                    take_first(buffer)

    def collect(self) -> dict[str, float] | None:
        """The point of the curve since the last call; None where there is none.

        Losses are averaged over the steps and over ranks, so all ranks learn of a loss that is
        not finite together; the variant then ends as diverged, and its neighbours train on.
        """
        self.clock.settle()
        if not self._pending:
            return None
        names = sorted(self._pending[0])
        values = torch.stack([torch.stack([p[n] for n in names]).float() for p in self._pending])
        table = (sum_over_ranks(values) / world_size()).cpu()
        first_step, seen = self.step_number - len(self._pending), self._seen
        self._pending, self._seen = [], []
        total = table[:, names.index("loss")]
        bad = (~torch.isfinite(total)).nonzero()
        if len(bad):
            first = int(bad[0])
            # What it learned from ends there, however much later this was noticed.
            self.step_number = first_step + first + 1
            self.image_views, self.text_tokens = seen[first]
            self.diverge(f"the loss was {total[first].item()} at step {self.step_number}")
            return None
        point: dict[str, float] = {"samples": self.samples_seen}
        for name, value in zip(names, table.double().mean(0).tolist(), strict=True):
            point[f"{recorded.CURVE}{name}"] = value
        point[recorded.of_point(recorded.LEARNING_RATE).name] = self.optimizer.param_groups[0]["lr"]
        for name, theta in self.model.thetas.items():
            point[f"{recorded.CURVE}scale_{name}"] = math.exp(theta.item())
        self.curve.append(point)
        if self.status == "running":  # the next loss may not show it, or not be there
            bad_name = first_not_finite(self.model, self.device)
            if bad_name is not None:
                self.diverge(f"{bad_name} is not finite after step {self.step_number}")
        return point

    def diverge(self, reason: str) -> None:
        """End as diverged: an outcome of the recipe, which would come again."""
        self.status, self.reason, self.failure = "diverged", reason, DIVERGED

    def fail(self, error: Exception, *, alone: bool = True) -> None:
        """End as failed in the middle of a step, which may have moved some of the weights.

        Raises `error` again where the infrastructure failed: the cohort is tried again from its
        last checkpoint, with the same seed. So it does where other ranks train it too, which wait
        for this one: of one that is out of memory it then says which it was, and what would fit.
        """
        failure = failure_of(error)
        at = f"at step {self.step_number + 1}"
        fits = ""
        if failure == OUT_OF_MEMORY:
            fits = f"what would fit: {fitting_words(self.trial, self.device)}"
            if not alone:  # torch's words are many, and the end of a long line is cut off
                words = f"'{self.trial.name}' is out of memory {at}; {fits}; {error}"
                raise torch.OutOfMemoryError(words) from error
        if failure == INFRASTRUCTURE or not alone:
            raise error
        self.status, self.failure = "failed", failure
        self.reason = f"{type(error).__name__} {at}: {error}{'; ' * bool(fits)}{fits}"

    def release(self) -> None:
        """Give back what only a further step or an evaluation would need, of one that has ended.

        Its weights stay, in host memory: its neighbours' checkpoints hold them, so that it can be
        recorded again.
        """
        self.released = True
        self.module = self.model  # without the buckets of DDP
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()
        if self.device.type == "cuda":
            self.model.to("cpu")
            torch.cuda.empty_cache()  # rarely: what is left between its neighbours' tensors

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to go on bit for bit: tensors and plain values.

        Called by all ranks together.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self._rng.state_dict(),
            "step_number": self.step_number,
            "status": self.status,
            "reason": self.reason,
            "failure": self.failure,
            "curve": self.curve,
            "pending": losses.told(self._pending),
            "seen": self._seen,
            "clocks": of_every_rank(self.clock.state_dict()),
            "text_tokens": self.text_tokens,
            "image_views": self.image_views,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._rng.load_state_dict(state["rng"])
        # An older version kept one part's.
        self.clock.load_state_dict(shared(state.get("clocks") or [state["clock"]] * world_size()))
        self._pending = losses.taken_up(state["pending"], world_size(), self.device)
        for name in ("step_number", "status", "reason", "curve", "text_tokens", "image_views"):
            setattr(self, name, state[name])
        # Not in an older version's checkpoint.
        self.failure = state.get("failure", "")
        now = self.image_views, self.text_tokens
        self._seen = list(state.get("seen", [now] * len(self._pending)))
        if not self.active and not state["optimizer"]["state"]:
            self.release()  # as it was


def shared(clocks: list[dict[str, Any]]) -> dict[str, Any]:
    """What this process goes on counting from, of the `clocks` of those that trained it before.

    As many as there are now: its own. Else what they took together, in equal parts: what a trial
    costs is the sum, and each step of theirs was a whole one.
    """
    if len(clocks) == world_size():
        return clocks[own_rank()]
    totals = {name: sum(clock[name] for clock in clocks) / world_size() for name in SUMMED}
    return clocks[0] | totals


def is_due(budget: Budget, step_number: int) -> bool:
    """Whether a curve has a point after so many steps of `budget`."""
    return step_number % max(1, budget.steps // CURVE_POINTS) == 0 or step_number == budget.steps
