"""The paper's own table as a worked example. Oracle: its sums of squares by hand."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from seedbed.analyze import anova, interaction_contrast
from seedbed.analyze.report.sections.published_table import by_itself, complete_part
from seedbed.evaluate.tasks.held_out_captions import TOP1
from seedbed.study.published import Published

STUDY = Path(__file__).parents[4] / "studies" / "supervision.py"
FACTORS = {
    "supervision": ["clip", "slip", "filip", "declip", "defilip"],
    "model": ["vit", "resnet"],
}


@pytest.fixture(scope="module")
def published() -> Published:
    spec = importlib.util.spec_from_file_location("supervision_study", STUDY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Published = module.PUBLISHED
    return found


def by_hand(table: pd.DataFrame) -> dict[str, float]:
    """Of a full grid with one value a cell: deviations of margins, and what is left."""
    wide = table.pivot(index="supervision", columns="model", values="zeroshot/top1").astype(float)
    values = wide.to_numpy()
    whole, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    left = values - rows[:, None] - columns[None, :] + whole
    return {
        "supervision": float(values.shape[1] * ((rows - whole) ** 2).sum()),
        "model": float(values.shape[0] * ((columns - whole) ** 2).sum()),
        "supervision:model": float((left**2).sum()),
    }


def test_the_cell_that_was_not_published_takes_its_level_along(published: Published) -> None:
    table, left_out = complete_part(published, FACTORS)
    assert left_out == ["supervision defilip"] and len(table) == 8


def test_its_shares_of_the_sum_of_squares_are_known_and_untested(
    published: Published,
) -> None:
    table, _ = complete_part(published, FACTORS)
    found = anova(table, "zeroshot/top1", ["supervision", "model"])
    expected = by_hand(table)
    for term, squares in expected.items():
        assert float(found["sum_sq"][term]) == pytest.approx(squares, rel=1e-9)
    total = sum(expected.values())
    shares = {term: round(100 * squares / total, 1) for term, squares in expected.items()}
    assert shares == {"supervision": 53.6, "supervision:model": 36.2, "model": 10.2}
    assert found["df"]["Residual"] == 0
    assert found["F"].isna().all() and found["p"].isna().all()
    assert found["note"].str.contains("no test: no error degrees of freedom").all()


def test_filip_crosses_over_by_22_6_points(published: Published) -> None:
    table, _ = complete_part(published, FACTORS)
    found = interaction_contrast(table, "zeroshot/top1", "supervision", "model")
    row = found[(found["kind"] == "interaction") & (found["a_level"] == "filip")].iloc[0]
    values = table.set_index(["supervision", "model"])["zeroshot/top1"].astype(float)
    by_tower = [values["filip", m] - values["clip", m] for m in ("resnet", "vit")]
    assert row["difference"] == pytest.approx(by_tower[0] - by_tower[1])
    assert round(-100 * row["difference"], 1) == 22.6
    assert row[["p", "ci_low", "ci_high"]].isna().all()


def test_the_report_ends_the_example_without_a_test(published: Published) -> None:
    words, tables = by_itself(published, FACTORS, TOP1)
    text = " ".join(words)
    assert "no test: no error degrees of freedom" in text and "22.6 points" in text
    assert "supervision defilip" in text
    assert list(itertools.chain(*tables[0].rows)) == [
        "supervision", "3", "53.6", "model", "1", "10.2", "supervision × model", "3", "36.2",
    ]  # fmt: skip


def test_a_table_without_a_full_grid_is_not_analysed(published: Published) -> None:
    few = replace(published, values=dict(published.cells[:1]), factors=())
    assert by_itself(few, FACTORS, TOP1) == ([], [])
