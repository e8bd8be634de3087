"""A cell's search, by Ray Tune's `OptunaSearch`, asked for a round and told how each did.

It is used for its words to Optuna alone. A trial of Tune would be one candidate, and a trial of
ours is a cohort: candidates of many cells that train on one stream and end at once, each of which
belongs to its own cell's search. So there is a searcher for each cell, which is asked for a round
and told of it here, and Tune runs the round's cohorts. Nor is a searcher kept as a pickle: it is
asked again from its seed, and told again from the trials' records.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from ray.tune.search.optuna import OptunaSearch

from seedbed.plan.tuned import Candidate
from seedbed.recipe.recipe import Recipe
from seedbed.study.nuisance import Nuisance, Search

VALUE = "value"  # under which a searcher is told of a response


class CellSearch:
    """The candidates of one cell: the same again for the same seed and the same answers."""

    def __init__(self, nuisance: Nuisance, recipe: Recipe, *, less_is_better: bool) -> None:
        self._space = nuisance.space
        self._distributions = {
            search.at: _distribution(search, recipe) for search in nuisance.space
        }
        tuning = nuisance.tuning
        with _quiet():
            self._searcher = OptunaSearch(
                space=self._distributions,
                metric=VALUE,
                mode="min" if less_is_better else "max",
                # It never draws at random: what it would is spread out below.
                sampler=optuna.samplers.TPESampler(
                    seed=tuning.seed, n_startup_trials=tuning.num_spread, constant_liar=True
                ),
                points_to_evaluate=self._spread(
                    tuning.num_spread, tuning.seed, nuisance.own(recipe)
                ),
            )
        self._num_asked = 0
        self._asked: list[str] = []

    def ask(self, num: int) -> list[dict[str, float]]:
        """So many candidates to train side by side."""
        self._asked = [str(self._num_asked + i) for i in range(num)]
        self._num_asked += num
        values = [self._searcher.suggest(name) for name in self._asked]
        return [{s.at: s.rounded(them[s.at]) for s in self._space} for them in values]

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """How those that were asked for did. One that diverged, or was cut, is worse than all that
        did not; of one that failed nothing is known."""
        for name, candidate in zip(self._asked, candidates, strict=True):
            if candidate.final is not None:
                # It would only log of a value that Optuna does not take.
                assert math.isfinite(candidate.final), candidate
                self._searcher.on_trial_complete(name, {VALUE: candidate.final})
            else:
                # Without a value and an error it is one that was pruned.
                bad = candidate.status in ("diverged", "cut")
                self._searcher.on_trial_complete(name, error=not bad)

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
        with _quiet():
            study = optuna.create_study(sampler=sampler)
        study.enqueue_trial(dict(own))
        return [study.ask(self._distributions).params for _ in range(num)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Each study of Optuna's would be announced."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def _distribution(search: Search, recipe: Recipe) -> BaseDistribution:
    if isinstance(recipe.get(search.at), int):
        return IntDistribution(int(search.low), int(search.high), log=search.log)
    return FloatDistribution(search.low, search.high, log=search.log)
