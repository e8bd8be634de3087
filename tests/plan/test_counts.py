"""Counts that a plan keeps. Oracles: counting anew, and another process, which has no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
from timm.models import register_model

from seedbed.home import COUNTS
from seedbed.model.towers.image import ImageTower
from seedbed.plan.counts import count_image, count_term, count_text

PARTS = """
import sys
from seedbed.model.terms.simsiam import SimSiam
from seedbed.model.towers.image import ImageTower
from seedbed.model.towers.text import TextTower
from seedbed.plan.counts import count_image, count_term, count_text

def parts():
    term = SimSiam()
    return (
        count_image(ImageTower("test_resnet"), pooled=True, tokens=False),
        count_text(TextTower(layers=1), both_ways=True),
        count_term(term, tuple((need, 64) for need in sorted(term.needs))),
    )
"""


def parts() -> str:
    """The counts of a model's parts, of which this process remembers none."""
    for kept in (count_image, count_text, count_term):
        kept.cache_clear()
    known: dict[str, object] = {}
    exec(PARTS, known)
    return repr(eval("parts()", known))


def files(home: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in (home / COUNTS).iterdir()}


@pytest.mark.slow
def test_what_was_counted_once_is_known_without_torch_and_a_damaged_count_is_counted_again(
    home: Path,
) -> None:
    counted = parts()
    held = files(home)
    assert len(held) == 3
    line = [sys.executable, "-c", f"{PARTS}\nprint(parts(), 'torch' in sys.modules)"]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert told == f"{counted} False\n"
    for damage in (
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"num_params": ', '"num_params": 1'),
        lambda text: text.replace('"torch": "', '"torch": "0.'),
        lambda text: "[]",
    ):
        for path, text in held.items():
            assert damage(text) != text
            path.write_text(damage(text))
        assert parts() == counted
        assert files(home) == held


@pytest.mark.slow
def test_a_model_that_a_study_registers_with_timm_is_counted_each_time(home: Path) -> None:
    @register_model
    def of_a_study(pretrained: bool = False, **options: object) -> object:
        return timm.create_model("test_resnet", **options)

    count_image.cache_clear()
    stock, own = (
        count_image(ImageTower(name), pooled=True, tokens=False)
        for name in ("test_resnet", "of_a_study")
    )
    assert own == stock
    told = "".join(files(home).values())
    assert "test_resnet" in told and "of_a_study" not in told
