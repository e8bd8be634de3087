"""What a report says that trials share. Oracle: how they were run, by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from tests.analyze.findings.test_halves import folded, table_of

from seedbed.analyze import trials_table, write_report
from seedbed.analyze.trials.foreign import Stated, study_of

pytestmark = pytest.mark.slow
UNBALANCED = [
    {"arch": arch, "data": data, "acc": 0.4 + 0.03 * (arch == "vit") + 0.004 * (n * n % 7)}
    for arch, data, num in (("vit", "a", 4), ("vit", "b", 3), ("cnn", "a", 2))
    for n in range(num)
]


def words(folder: Path) -> str:
    return (folder / "report.md").read_text().replace("seedbed", "")


def test_a_table_whose_runs_share_no_seed_speaks_of_none(tmp_path: Path) -> None:
    rows = pd.DataFrame(UNBALANCED)
    rows.loc[1, "acc"] = None
    design, records = study_of(rows, Stated(["acc"], ["arch", "data"], kind="share"))
    report = write_report(design, trials_table(design, records), tmp_path, {"table": "runs.csv"})
    text = words(tmp_path)
    assert not re.findall(r"[^.|\n]*\bseeds?\b[^.|\n]*", text, flags=re.IGNORECASE)
    assert "The table has 3 of 4 cells: it lacks arch cnn, data b." in text
    assert "The missing runs" in text and "--seeds" not in text
    assert "run 1: failed" in report.summary
    # Runs that are no pairs are not drawn as such.
    assert "seed s1" not in report.paths["figures/contrasts_arch.svg"].read_text()


@pytest.mark.parametrize(("runs", "said"), [(1, "one run a cell"), (2, "two runs a cell")])
def test_few_runs_a_cell_are_called_so_in_every_file(tmp_path: Path, runs: int, said: str) -> None:
    rows = [
        {"arch": arch, "data": data, "acc": 0.4 + 0.03 * (arch == "vit") + 0.004 * (n * n % 7)}
        for n, (arch, data) in enumerate(
            runs * [("vit", "a"), ("vit", "b"), ("cnn", "a"), ("cnn", "b")]
        )
    ]
    design, records = study_of(pd.DataFrame(rows), Stated(["acc"], ["arch", "data"], kind="share"))
    write_report(design, trials_table(design, records), tmp_path, {"table": "runs.csv"})
    assert not re.findall(r"[^.|\n]*\bseeds?\b[^.|\n]*", words(tmp_path), flags=re.IGNORECASE)
    tables = [pd.read_csv(path, keep_default_na=False) for path in tmp_path.glob("*.csv")]
    notes = [note for own in tables if "note" in own for note in own["note"]]
    assert any(note.startswith(f"{said}: ") for note in notes)
    assert not [note for note in notes if "seed" in note]


def test_a_folded_fraction_says_that_its_halves_are_blocks(tmp_path: Path) -> None:
    design = folded()
    write_report(design, table_of(design, 0.03), tmp_path, {})
    text = words(tmp_path)
    assert "All 8 cells were planned" in text
    assert "The two halves of each seed are blocks of their own" in text
    assert "within each half of each seed" in text and "Between seeds and halves" in text
    assert "one value per half of a seed" in text
    assert "| a × b × c | – | what the blocks differ by |" in text
    assert text.count(", half 1 | completed") == text.count(", half 2 | completed") == 12
