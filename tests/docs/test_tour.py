"""The notebook. Oracles: Jupyter's own execution of it, and what README says of the same study.

After a change: `jupyter execute --inplace --NotebookClient.record_timing=False docs/tour.ipynb`
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = ("text/plain", "image/svg+xml")


def shown(notebook: Any) -> list[dict[str, str]]:
    """What a reader sees of each cell of code, apart from the same again as HTML."""
    return [
        {kind: text for output in cell.outputs for kind, text in output.data.items()
         if kind in SHOWN}
        for cell in notebook.cells if cell.cell_type == "code"
    ]  # fmt: skip


@pytest.mark.slow
def test_its_outputs_are_those_of_its_execution() -> None:
    stored = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    assert len(stored.cells) == 10
    executed = copy.deepcopy(stored)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(executed, timeout=300, resources={"metadata": {"path": str(DOCS)}})
    client.execute()
    assert shown(executed) == shown(stored)
    *_, verdicts, figure = shown(stored)
    assert "refuted" in verdicts["text/plain"] and figure["image/svg+xml"].startswith("<svg")


def test_it_is_small_and_its_table_is_of_the_run_that_readme_shows() -> None:
    assert (DOCS / "tour.ipynb").stat().st_size < 300_000
    readme = (DOCS.parent / "README.md").read_text()
    pattern = r"depth (\d+), supervision (\w+) +([\d.]+) %"
    in_readme = {(int(d), s): float(top1) for d, s, top1 in re.findall(pattern, readme)}
    assert len(in_readme) == 8
    trials = pd.read_csv(DOCS / "tour.csv")
    means = trials.groupby(["depth", "supervision"])["zeroshot/top1_of_100"].mean() * 100
    assert means.round(1).to_dict() == in_readme
