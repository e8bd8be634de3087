"""Which candidates go on from a rung: by the rule of Ray Tune's ASHA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers.async_hyperband import _Bracket


class _Told:
    """What a bracket reads of a trial of Tune."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def kept(rewards: Mapping[str, float], keep: float) -> set[str]:
    """Of rewards by id, more being better, those that go on; of several one at least.

    ASHA judges a result by those that came before it. The candidates of a rung train side by side
    and end together: each is judged by the cutoff of all of them, whoever came first.
    """
    bracket: Any = _Bracket(1, 1, 1 / keep, 0)
    for one, reward in rewards.items():
        bracket.on_result(_Told(one), 1, reward)
    (_, recorded), *_ = bracket._rungs
    cutoff = bracket.cutoff(recorded)
    return {one for one, reward in rewards.items() if cutoff is None or reward >= cutoff}
