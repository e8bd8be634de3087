"""Reading some columns of an export. Oracle: pandas' reading of the whole file, and its memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from seedbed.analyze.trials.foreign_file import read_file
from seedbed.errors import AnalysisError

EXPORT = """"Name","State","Created","lr","note","day","val/top1","lr"
"sun-1","finished","2026-11-01T10:00:00Z","0.001","NA","2026-11-01","40.5","a"
"sun-2","crashed","2026-11-01T10:00:00Z","0.01","","2026-11-02","","b"
"sun-3","finished","2026-11-01T10:00:00Z","1e-2","007","2026-11-03","41","c"
"""


def whole(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def test_the_columns_are_those_of_the_whole_file_with_their_types(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(EXPORT)
    found = read_file(str(path), ["val/top1", "lr", "note", "day", "lr.1"])
    expected = whole(path).drop(columns=["Created"])
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(read_file(str(path), ["lr"], whole=True), whole(path))


def test_rows_with_a_field_more_than_the_header_keep_their_places(tmp_path: Path) -> None:
    """As R's write.table writes them: the first field is the row's name."""
    path = tmp_path / "export.csv"
    path.write_text("lr,acc\n1,0.1,0.5\n2,0.2,0.6\n")
    found = read_file(str(path), ["acc"])
    assert list(found["acc"]) == list(whole(path)["acc"]) == [0.5, 0.6]


@pytest.mark.parametrize("name", ["runs.tsv", "runs.parquet"])
def test_other_files_are_read_by_columns_too(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    table = pd.DataFrame({"lr": [0.1, 0.2], "other": ["x", "y"], "acc": [1.0, 2.0]})
    writes: dict[str, Callable[[], None]] = {
        "runs.tsv": lambda: table.to_csv(path, sep="\t", index=False),
        "runs.parquet": lambda: table.to_parquet(path),
    }
    writes[name]()
    pd.testing.assert_frame_equal(read_file(str(path), ["acc", "lr"]), table[["lr", "acc"]])


def test_a_column_that_is_not_there_is_named_with_the_nearest_of_all_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(EXPORT)
    with pytest.raises(AnalysisError, match="Created"):
        read_file(str(path), ["lr", "Createt"])
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_file(str(tmp_path / "none.csv"), ["lr"])


def test_what_is_not_asked_for_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    names = ",".join(f"c{n}" for n in range(60))
    path.write_text(f"lr,acc,{names}\n" + f"0.1,0.5{',0.5' * 60}\n" * 20_000)
    peaks = []
    for read in (lambda: read_file(str(path), ["lr", "acc"]), lambda: whole(path)):
        tracemalloc.start()
        assert len(read()) == 20_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 3
