"""How a plan trains several budgets of the same recipe, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from seedbed.errors import StudyError
from seedbed.plan.ladder import SAMPLES, own_flops
from seedbed.plan.plan import Plan
from seedbed.study.trial import Trial


def rung_lines(chosen: Plan) -> list[str]:
    """Whether budgets are rungs of one run or separate runs, with the arithmetic of both; nothing
    where the trials of a plan differ in more than their budget."""
    if not any(SAMPLES in factor.paths for factor in chosen.study.factors):
        return []
    flops = {key: cost.train_flops for key, cost in chosen.costs().items()}
    alone = sum(flops.values())
    together = own_flops(chosen.trials, flops)
    if together < alone:
        shares = sorted({trial.recipe.optimizer.decay_share for trial in chosen.trials})
        last = " or ".join(f"{100 * share:g} %" for share in shares)
        return [
            "budget  rungs of one run (optimizer.schedule wsd): the steps that budgets share are "
            f"trained once, and each decays by itself over its last {last}",
            f"        {_pflop(together)} PFLOP; separate runs would take {_pflop(alone)}: "
            f"{100 * (1 - together / alone):.0f} % is saved",
        ]
    late = _late(chosen.trials, flops)
    lines = [
        "budget  separate runs: under a cosine to 0 (optimizer.schedule) every step depends on "
        f"the budget; {_pflop(alone)} PFLOP"
    ]
    if late < alone:
        lines.append(
            "        rungs of one run, with a late decay, would take "
            f"{_pflop(late)} (--set optimizer.schedule=wsd: another recipe)"
        )
    return lines


def _late(trials: Sequence[Trial], flops: Mapping[str, float]) -> float:
    """What `trials` would compute with a late decay: more than anything where one has no room."""
    try:
        late = [replace(t, recipe=t.recipe.patch("optimizer.schedule", "wsd")) for t in trials]
    except StudyError:  # the warm-up of a small budget reaches into its decay
        return math.inf
    theirs = {new.key: flops[old.key] for old, new in zip(trials, late, strict=True)}
    return own_flops(late, theirs)


def _pflop(flops: float) -> str:
    return f"{flops / 1e15:,.4g}"
