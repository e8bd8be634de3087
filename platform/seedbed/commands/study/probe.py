"""`--probe`: some steps of every kind of trial are timed here, and kept for later plans."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seedbed.cluster.here import this_machine
from seedbed.plan.speed import kind_of, one_of_each_cell

if TYPE_CHECKING:
    from seedbed.plan.plan import Plan


def probe(plan: Plan) -> None:
    """Time the kinds of trials that were not yet, by this torch, on this device."""
    import torch

    from seedbed.run.driver.probes import Probe, keep, kept_probes, today
    from seedbed.run.worker.probe import timed

    machine, costs = this_machine(), plan.costs()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine.processor
    kinds = {kind_of(trial.recipe): trial for trial in one_of_each_cell(plan.trials)}
    for trial in kinds.values():
        before = [one for one in kept_probes(trial.recipe) if one.device == name]
        if any(one.torch == torch.__version__ for one in before):
            continue
        found = timed(trial, costs[trial.key], device)
        keep(
            trial.recipe,
            Probe(name, found.seconds, found.steps, found.rows, torch.__version__, today()),
        )
        batch = found.seconds * trial.recipe.budget.batch
        print(
            f"probe   {trial.cell}: {batch:.2g} s a step of {trial.recipe.budget.batch:,} on "
            f"{name}, by {found.steps} steps of {found.rows:,} rows",
            file=sys.stderr,
        )
