"""What a report calls that which its trials share: a seed, a half of a seed, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.analyze.findings.study import Findings
from seedbed.analyze.stats.chosen_error import block_of
from seedbed.analyze.trials.table import HALF


@dataclass(frozen=True)
class Shared:
    """Words of one kind of study. `within` and `blocks` are clauses of a sentence, "" where trials
    share nothing; `assumed` is what an interval takes of them, and `value` what the wider one rests
    on; `ran` begins the sentence about the residual, and `left` says what intervals rest on;
    `repeats` is the heading of what is counted.
    """

    within: str
    blocks: str
    assumed: str
    value: str
    means: str
    ran: str
    left: str
    between: str = ""
    common: str = ""
    repeats: str = "Seeds"
    one: str = "Seed"


_MEANS = "which shift all levels together: differences are surer than means."
_SEEDS = Shared(
    within=", within seeds",
    blocks=" with seeds as blocks",
    assumed="It takes trials of a seed to have a shift in common and no more",
    value="one value per seed",
    means=f"Intervals are over other training seeds, {_MEANS}",
    ran="Training seeds: repeated training of one cell on another seed varies by",
    left="the variation that the seeds leave in each cell",
    between="Between seeds",
    common="the seeds' own shift is common to all cells of a seed.",
)
_HALVES = Shared(
    within=", within each half of each seed",
    blocks=" with the two halves of each seed as blocks (seed_half)",
    assumed="It takes trials of one half of a seed to have a shift in common and no more",
    value="one value per half of a seed",
    means=f"Intervals are over other training seeds and halves, {_MEANS}",
    ran=_SEEDS.ran,
    left="the variation that seeds and halves leave in each cell",
    between="Between seeds and halves",
    common="the shift of a half of a seed is common to all its cells.",
)
_RUNS = Shared(
    within="",
    blocks="",
    assumed="",
    value="",
    means="Intervals are over other runs of the same cells.",
    ran="Training: another run of one cell varies by",
    left="the variation between runs of one cell",
    repeats="Runs of a cell, at most",
    one="Run",
)


def shared(findings: Findings) -> Shared:
    block = block_of(findings.design)
    if block is None:
        return _RUNS
    return _HALVES if block == HALF else _SEEDS
