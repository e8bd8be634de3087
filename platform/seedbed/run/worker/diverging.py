"""Variants that diverge, where their workers look up from their steps.

What a look ends, and what it keeps, does not depend on when it comes: a variant whose loss is not
finite ends at the first such step, and weights that no loss has shown yet are not kept.
"""

from __future__ import annotations

import torch

from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.finite import all_finite
from seedbed.run.worker.mesh import Mesh


def end_diverged(training: CohortTraining, mesh: Mesh) -> None:
    """End the variants that have had a loss that is not finite; called by all workers together."""
    told = {key: variant.lost() for key, variant in training.variants.items()}
    mine = {key: flag for key, flag in told.items() if flag is not None}
    flags = torch.stack(list(mine.values())).tolist() if mine else []  # waits for a GPU once
    bad = [key for key, flag in zip(mine, flags, strict=True) if flag]
    ended = {key for part in mesh.of_every_worker(bad) for key in part}
    for key, variant in training.variants.items():
        if key in ended:
            variant.collect()
    training.branch()


def may_be_kept(training: CohortTraining, mesh: Mesh) -> bool:
    """Whether a checkpoint from here is good to go on from; asked of all workers together.

    The last step may have left weights that only the next loss shows.
    """
    going = (v.model for v in training.variants.values() if v.active)
    return not mesh.any(not all(map(all_finite, going)))
