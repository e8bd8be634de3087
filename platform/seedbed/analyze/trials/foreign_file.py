"""Files of runs that others exported: only what is asked of them is read.

An export has hundreds of columns that say nothing of the comparison. Pandas' own reader keeps the
columns asked for while it parses the rest in pieces, and infers each column's type as it does of
the whole file (pyarrow's takes text that looks like a date for one, and refuses a column whose
first numbers are followed by a text).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from seedbed.analyze.trials.foreign_rows import NAMES
from seedbed.analyze.trials.observations import AnalysisError, require_column
from seedbed.analyze.trials.outcomes import COLUMNS

# Labels stay as they are written: "NA" may be a name.
_AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}


def read_file(said: str, columns: Iterable[str], *, whole: bool = False) -> pd.DataFrame:
    """The `columns` of a table of runs, with those that name a run and say how it ended; or all.

    Raises AnalysisError for what cannot be read, and for a column that is not there.
    """
    wanted = tuple(columns)
    try:
        header = _header(Path(said))
    except (OSError, ValueError) as error:
        raise _unreadable(said, error) from None
    for name in wanted:
        require_column(pd.DataFrame(columns=header), name)
    kept = [n for n, name in enumerate(header) if name in {*wanted, *NAMES, *COLUMNS}]
    try:
        return _rows(Path(said), header, None if whole else kept)
    except (OSError, ValueError) as error:
        raise _unreadable(said, error) from None


def _header(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    return list(_first(path).columns)


def _first(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep=_separator(path), nrows=1, **_AS_WRITTEN)


def _rows(path: Path, header: list[str], places: list[int] | None) -> pd.DataFrame:
    if path.suffix == ".parquet":
        names = None if places is None else [header[place] for place in places]
        return pd.read_parquet(path, columns=names)
    # Rows of one more field than the header are named by their first, as R's write.table has it:
    # places would be those of their neighbours.
    shifted = not isinstance(_first(path).index, pd.RangeIndex)
    places = None if shifted else places
    return pd.read_csv(path, sep=_separator(path), usecols=places, **_AS_WRITTEN)


def _separator(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _unreadable(said: str, error: Exception) -> AnalysisError:
    return AnalysisError(
        f"The table {said} cannot be read.",
        why=str(error).strip(),
        mend="Give a .csv, .tsv or .parquet file, or mlflow:EXPERIMENT.",
    )
