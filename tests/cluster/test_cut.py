"""What does not divide is refused before anything starts, with numbers that do.

Oracles: the divisions, done here by hand; each way out that is named, taken.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fixtures.commanding import run_here

from seedbed.cluster.asked import Asked
from seedbed.cluster.cut import OPTIONS, Cut, check_cut, ways_out
from seedbed.errors import ResourceError
from seedbed.model.towers.image import ImageTower
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

STUDY = Path(__file__).parents[2] / "studies/text_encoder_depth.py"
SMALL = Cut(batch=64, lanes=8, window=1_024)


def divides(cut: Cut) -> bool:
    workers = cut.workers or cut.parts
    return not (
        cut.batch % cut.lanes
        or cut.window % (cut.batch // cut.lanes)
        or workers % cut.parts
        or cut.lanes % workers
    )


def taken(cut: Cut, way: str) -> Cut:
    """`cut` with what a way out says."""
    for name, option in OPTIONS.items():
        said = re.search(re.escape(option).replace(r"\{\}", r"(\d+)") + r"(?: |$)", way)
        cut = replace(cut, **{name: int(said[1])}) if said else cut
    return cut


@pytest.mark.parametrize(
    ("cut", "ways"),
    [
        # Of 60's divisors only 15, 30 and 60 leave a power of two in a batch.
        (
            replace(SMALL, batch=60),
            ["--set budget.batch=64", "--set corpus.lanes=15", "--set budget.batch=32"],
        ),
        (replace(SMALL, workers=3), ["--workers 4", "--workers 2"]),
        (replace(SMALL, workers=16), ["--workers 8", "--set corpus.lanes=16"]),
        (replace(SMALL, parts=3), ["--data-parallel 4", "--data-parallel 2"]),
        (replace(SMALL, workers=3, parts=2), ["--workers 4", "--workers 2"]),
        (replace(SMALL, workers=6, parts=3), ["--workers 8 --data-parallel 4"]),
        (
            replace(SMALL, window=100),
            [
                "--set corpus.window_rows=104",
                "--set corpus.window_rows=96",
                "--set budget.batch=80",
                "--set budget.batch=40",
            ],
        ),
        (Cut(4_096, 64, 256, parts=24), ["--data-parallel 32", "--data-parallel 16"]),
    ],
)
def test_the_nearest_numbers_that_do_are_named(cut: Cut, ways: list[str]) -> None:
    assert ways_out([cut]) == ways


NUMBERS = st.integers(1, 5_000)
CUTS = st.builds(
    Cut, NUMBERS, st.integers(1, 130), NUMBERS, st.integers(0, 130), st.integers(1, 20)
)


@settings(max_examples=300, deadline=None)
@given(CUTS)
@example(replace(SMALL, batch=60))
@example(replace(SMALL, lanes=6))
@example(replace(SMALL, workers=6, parts=3))
@example(Cut(4_096, 64, 256, workers=48, parts=16))
@example(Cut(4_096, 48, 256))
def test_every_way_out_that_is_named_works(cut: Cut) -> None:
    assert cut.works == divides(cut)
    if cut.works:
        return
    ways = ways_out([cut])
    assert ways
    for way in ways:
        assert divides(taken(cut, way)), way


def test_where_one_number_is_not_enough_two_are_named() -> None:
    cut = replace(SMALL, batch=63, window=100, workers=5)
    (way,) = ways_out([cut])
    assert way.count("--") == 2 and divides(taken(cut, way))


def test_what_is_a_factor_stays() -> None:
    ways = ways_out([replace(SMALL, workers=3), replace(SMALL, batch=128, workers=3)])
    assert ways and not any("budget.batch" in way for way in ways)


def study(**overrides: int) -> Plan:
    one = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP, image=ImageTower("test_resnet")),
        factors=(Factor("depth", at="text.layers", levels=(1, 2)),),
    )
    return plan(one, SCALES["smoke"], overrides=overrides)


@pytest.mark.parametrize(
    ("said", "asked", "what", "why"),
    [
        ({"budget.batch": 60}, Asked(), "batch of 60 does not divide by 8 lanes", "60 = 7 x 8 + 4"),
        ({"corpus.window_rows": 100}, Asked(), "window of 100 rows", "100 = 12 x 8 + 4"),
        ({}, Asked(3), "8 lanes of the order do not divide by 3 workers", "8 = 2 x 3 + 2"),
        ({}, Asked(3, 2), "3 workers cannot train each variant on 2", "3 = 1 x 2 + 1"),
    ],
)
def test_a_plan_is_refused_with_the_division(
    said: dict[str, int], asked: Asked, what: str, why: str
) -> None:
    with pytest.raises(ResourceError, match=what) as caught:
        check_cut(study(**said), asked)
    assert why in caught.value.why
    check_cut(study(), Asked(4, 2))


@pytest.mark.parametrize(
    "said",
    [
        ("--set", "budget.batch=60"),
        ("--set", "corpus.window_rows=100"),
        ("--workers", "3"),
        ("--workers", "6", "--data-parallel", "3"),
        ("--workers", "3", "--data-parallel", "2"),
    ],
)
def test_the_command_goes_on_with_what_it_named(counted_home: Path, said: tuple[str, ...]) -> None:
    def planned(*more: str) -> CompletedProcess[str]:
        return run_here(STUDY, "--plan", "--scale", "smoke", *more)

    refused = planned(*said)
    assert refused.returncode == 2
    (mend,) = re.findall(r"mend: (.*)", refused.stderr + refused.stdout)
    for way in mend.split(", or "):
        # What is said twice is as it was said last.
        done = planned(*said, *way.split())
        assert done.returncode == 0 or "CPUs and the cluster has" in done.stderr, done.stderr
        assert "divide" not in done.stderr and "multiple" not in done.stderr
