"""Which digests are among others. Oracle: Python's sets."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from seedbed.data.overlap import DigestSet

# Near each other, too: that two begin with the same bits says nothing yet.
NUMBERS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 40), st.integers(2**64 - 40, 2**64 - 1)
)


@given(st.sets(NUMBERS, max_size=20), st.lists(NUMBERS, max_size=30))
@example({2**64 - 1}, [2**64 - 1, 0, 2**64 - 2])
def test_those_are_found_that_are_among_them(known: set[int], others: list[int]) -> None:
    digests = DigestSet(np.array(sorted(known), np.uint64))
    found = digests.among(np.array(others, np.uint64))
    assert found.tolist() == [row for row, other in enumerate(others) if other in known]
