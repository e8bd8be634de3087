"""The Pareto front and adjusted p values. Oracles: a naive double loop; the definitions by loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.analyze import AnalysisError, adjust, pareto

FEW_VALUES = st.sampled_from([0.1, 0.2, 0.3, 0.4])  # ties are the interesting case


@pytest.mark.parametrize("higher", [["top1", "top5"], ["top1"]])
@given(rows=st.lists(st.tuples(FEW_VALUES, FEW_VALUES, FEW_VALUES), min_size=1, max_size=25))
@pytest.mark.slow
def test_the_front_is_what_a_naive_loop_finds(
    higher: list[str], rows: list[tuple[float, float, float]]
) -> None:
    trials = pd.DataFrame(rows, columns=["top1", "top5", "hours"])
    points = [(*(row[name] for name in higher), -row["hours"]) for _, row in trials.iterrows()]
    expected = []
    for mine in points:
        beaten = False
        for other in points:
            as_good = all(b >= a for a, b in zip(mine, other, strict=True))
            beaten = beaten or (as_good and other != mine)
        expected.append(not beaten)
    assert pareto(trials, maximise=higher, minimise=["hours"]).tolist() == expected


def test_missing_trials_neither_stand_on_the_front_nor_beat_anyone() -> None:
    trials = pd.DataFrame(
        {
            "status": ["completed", "failed", "completed", "completed"],
            "top1": [0.4, 0.9, 0.3, np.nan],
            "hours": [2.0, 0.1, 3.0, 0.1],
        },
        index=["a", "b", "c", "d"],
    )
    found = pareto(trials, maximise="top1", minimise="hours")
    assert found.to_dict() == {"a": True, "b": False, "c": False, "d": False}


def test_a_front_of_nothing_or_of_infinities_is_refused() -> None:
    trials = pd.DataFrame({"top1": [0.1, np.inf]})
    with pytest.raises(AnalysisError, match="Nothing to maximise"):
        pareto(trials)
    with pytest.raises(AnalysisError, match="infinite"):
        pareto(trials, maximise=["top1"])
    with pytest.raises(AnalysisError, match="Did you mean 'top1'"):
        pareto(trials, maximise=["top"])


def by_definition(p: list[float], method: str) -> list[float]:
    """Over all p values at least, or at most, as large: a loop in a loop."""
    n = len(p)
    found = []
    for mine in p:
        if method == "bonferroni":
            value = n * mine
        elif method == "holm":  # the largest of the steps down to this one
            value = max((n - sum(o < q for o in p)) * q for q in p if q <= mine)
        else:  # the smallest of the steps up from this one
            value = min(n * q / sum(o <= q for o in p) for q in p if q >= mine)
        found.append(min(1.0, value))
    return found


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.sampled_from(["holm", "bh", "bonferroni"]),
)
def test_adjusted_p_values_are_those_of_their_definitions(p: list[float], method: str) -> None:
    assert adjust(p, method) == pytest.approx(by_definition(p, method), abs=1e-12)


def test_tests_that_could_not_be_made_are_no_members_of_the_family() -> None:
    found = adjust([0.01, float("nan"), 0.04], "bonferroni")
    assert np.isnan(found[1]) and found[[0, 2]] == pytest.approx([0.02, 0.08])
    assert len(adjust([], "holm")) == 0


def test_what_is_no_probability_or_no_method_is_refused() -> None:
    with pytest.raises(AnalysisError, match="outside 0 to 1"):
        adjust([0.5, 1.2])
    with pytest.raises(AnalysisError, match="Did you mean 'holm'"):
        adjust([0.5], "home")
