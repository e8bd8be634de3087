"""Masked tokens. Oracles: binomial bounds on shares, and a naive loop over tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seedbed.data.render.masking import NOT_MASKED, Masking
from seedbed.data.render.tokenizer import END, MASK, START, VOCABULARY
from seedbed.errors import StudyError

CONTEXT = 77


def captions(num: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows of all lengths, with a mask token already in some of them."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, CONTEXT + 1, num).astype(np.int32)
    ids = rng.integers(0, START, (num, CONTEXT)).astype(np.int32)
    ids[:, 0] = START
    ids[lengths > 5, 3] = MASK
    ids[np.arange(num), lengths - 1] = END
    ids[np.arange(CONTEXT) >= lengths[:, None]] = 0
    return ids, lengths


def rngs(num: int, first: int = 0) -> list[np.random.Generator]:
    return [np.random.Generator(np.random.Philox(key=first + n)) for n in range(num)]


IDS, LENGTHS = captions(5_500)
MASKED, TARGETS = Masking()(IDS, LENGTHS, rngs(len(IDS)))
ORDINARY = (np.arange(CONTEXT) < LENGTHS[:, None]) & (IDS < START)


def near(count: int, total: int, share: float) -> bool:
    """Within 5 standard deviations of the binomial."""
    return abs(count - total * share) < 5 * (total * share * (1 - share)) ** 0.5


def test_fifteen_in_a_hundred_ordinary_tokens_are_masked_80_10_10() -> None:
    chosen = TARGETS != NOT_MASKED
    assert ORDINARY.sum() > 200_000
    assert near(chosen.sum(), ORDINARY.sum(), 0.15)
    assert near((MASKED[chosen] == MASK).sum(), chosen.sum(), 0.8)
    assert near((MASKED[chosen] == IDS[chosen]).sum(), chosen.sum(), 0.1)
    other = (MASKED[chosen] != MASK) & (MASKED[chosen] != IDS[chosen])
    assert near(other.sum(), chosen.sum(), 0.1)


def test_start_end_mask_and_padding_are_never_masked() -> None:
    assert (TARGETS[~ORDINARY] == NOT_MASKED).all()
    assert (MASKED[~ORDINARY] == IDS[~ORDINARY]).all()
    assert (MASKED[TARGETS == NOT_MASKED] == IDS[TARGETS == NOT_MASKED]).all()


def test_targets_are_the_ids_that_were_there() -> None:
    chosen = TARGETS != NOT_MASKED
    assert (TARGETS[chosen] == IDS[chosen]).all()
    assert MASKED.dtype == TARGETS.dtype == np.int32


def test_random_ids_are_ordinary_unless_all_are_asked_for() -> None:
    ids, lengths = IDS[:2_000], LENGTHS[:2_000]
    every = {"probability": 1, "mask_share": 0, "random_share": 1}
    inside = ORDINARY[:2_000]
    drawn = Masking(**every)(ids, lengths, rngs(2_000))[0][inside]
    assert drawn.max() < START and drawn.min() >= 0
    assert abs(drawn.mean() / START - 0.5) < 0.01
    anything = Masking(**every, random_from="all")(ids, lengths, rngs(2_000))[0][inside]
    assert START <= anything.max() < VOCABULARY


def test_rows_are_those_of_a_naive_loop() -> None:
    how = Masking(probability=0.5)
    masked, targets = how(IDS[:200], LENGTHS[:200], rngs(200))
    for row, rng in enumerate(rngs(200)):
        length = int(LENGTHS[row])
        first, second, third = rng.random((3, length)).tolist()
        for at in range(CONTEXT):
            token = int(IDS[row, at])
            new, target = token, NOT_MASKED
            if at < length and token not in (START, END, MASK) and first[at] < 0.5:
                target = token
                if second[at] < 0.8:
                    new = MASK
                elif second[at] < 0.9:
                    new = int(third[at] * START)
            assert (masked[row, at], targets[row, at]) == (new, target)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    alone = Masking()(IDS[7:8], LENGTHS[7:8], rngs(1, first=7))
    assert (alone[0][0] == MASKED[7]).all() and (alone[1][0] == TARGETS[7]).all()


def test_the_ids_given_are_left_as_they_are() -> None:
    before = IDS.copy()
    Masking(probability=1)(IDS, LENGTHS, rngs(len(IDS)))
    assert (before == IDS).all()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"probability": 1.5}, "probability is 1.5"),
        ({"mask_share": 0.95}, "mask_share is 0.95"),
        ({"random_from": "some"}, "random_from is 'some'"),
    ],
)
def test_impossible_fields_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Masking(**fields)
