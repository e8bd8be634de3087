"""A cell's search by Optuna, asked for a round of candidates and told how each did.

Not by Ray Tune's `OptunaSearch`, whose unit is a trial of Tune (Ray 2.60,
`tune/search/optuna/optuna_search.py`): `suggest` gives one configuration, and `on_trial_complete`
tells one value, `result[metric]`, to one study of Optuna. A trial of ours is a cohort: candidates
of many cells that train on one stream and end at once, each of which belongs to its own cell's
study. As one trial of Tune they would be one point of the product of all cells' spaces, with one
value; one searcher for each cell would be one cohort for each candidate, which reads the data as
often. It also keeps a search as a pickle, and only logs a value that could not be told; ours is
asked again from its seed, and told again from the trials' records. So Optuna is asked and told
here, and Ray Tune runs each round's cohorts.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import TrialState

from seedbed.plan.tuned import Candidate
from seedbed.recipe.recipe import Recipe
from seedbed.study.nuisance import Nuisance, Search

# As many digits as matter, so that the last bits of a machine's logarithm are in no trial's key.
DIGITS = 4


class CellSearch:
    """The candidates of one cell: the same again for the same seed and the same answers."""

    def __init__(self, nuisance: Nuisance, recipe: Recipe, *, less_is_better: bool) -> None:
        self._space = nuisance.space
        self._distributions = {
            search.at: _distribution(search, recipe) for search in nuisance.space
        }
        tuning = nuisance.tuning
        self._study = _study(
            # It never draws at random: what it would is spread out below.
            optuna.samplers.TPESampler(
                seed=tuning.seed, n_startup_trials=tuning.num_spread, constant_liar=True
            ),
            less_is_better,
        )
        for values in self._spread(tuning.num_spread, tuning.seed, _own(nuisance, recipe)):
            self._study.enqueue_trial(values)
        self._asked: list[optuna.trial.Trial] = []

    def ask(self, num: int) -> list[dict[str, float]]:
        """So many candidates to train side by side."""
        self._asked = [self._study.ask(self._distributions) for _ in range(num)]
        return [
            {s.at: _rounded(s, trial.params[s.at]) for s in self._space} for trial in self._asked
        ]

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """How those that were asked for did. One that diverged, or was cut, is worse than all that
        did not; of one that failed nothing is known."""
        for trial, candidate in zip(self._asked, candidates, strict=True):
            if candidate.final is not None:
                self._study.tell(trial, candidate.final)
            else:
                bad = candidate.status in ("diverged", "cut")
                self._study.tell(trial, state=TrialState.PRUNED if bad else TrialState.FAIL)

    def _spread(self, num: int, seed: int, own: Mapping[str, float]) -> list[dict[str, float]]:
        """Points all over the space, the recipe's `own` first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = optuna.samplers.QMCSampler(
                scramble=True,
                seed=seed,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        study = _study(sampler)
        study.enqueue_trial(dict(own))
        return [study.ask(self._distributions).params for _ in range(num)]


def _study(sampler: optuna.samplers.BaseSampler, less_is_better: bool = True) -> optuna.Study:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else each study is announced
    try:
        way = StudyDirection.MINIMIZE if less_is_better else StudyDirection.MAXIMIZE
        return optuna.create_study(direction=way, sampler=sampler)
    finally:
        optuna.logging.set_verbosity(level)


def _distribution(search: Search, recipe: Recipe) -> BaseDistribution:
    if isinstance(recipe.get(search.at), int):
        return IntDistribution(int(search.low), int(search.high), log=search.log)
    return FloatDistribution(search.low, search.high, log=search.log)


def _own(nuisance: Nuisance, recipe: Recipe) -> dict[str, float]:
    """The recipe's values, at the nearer end where they lie outside the space."""
    return {
        search.at: min(max(recipe.get(search.at), search.low), search.high)
        for search in nuisance.space
    }


def _rounded(search: Search, value: float) -> float:
    if isinstance(value, int):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), search.low), search.high)
