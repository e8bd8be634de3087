"""The scores of a model on a task, example by example."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """One row an example: its id [n], and what was counted of it, in `columns` [n] each.

    An example is right by a metric where the metric's column is below its bound, so that NaN, which
    is below nothing, is never right. `num_names` is the number of different candidate captions, 0
    where there are none. `num_not_finite` examples have a score that is not finite; then the model
    has diverged. `by_name` [num_names, k] is what of its part each rank has kept for each caption,
    which all ranks' parts have in common: side by side once they are joined.
    """

    ids: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.number]]
    num_names: int = 0
    num_not_finite: int = 0
    by_name: Mapping[str, NDArray[np.number]] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """The scores of all ranks' parts of the examples, in the order of the ids."""
        ids = np.concatenate([part.ids for part in parts])
        line = np.argsort(ids, kind="stable")
        return cls(
            ids[line],
            {
                name: np.concatenate([part.columns[name] for part in parts])[line]
                for name in parts[0].columns
            },
            parts[0].num_names,
            sum(part.num_not_finite for part in parts),
            {
                name: np.concatenate([part.by_name[name] for part in parts], axis=1)
                for name in parts[0].by_name
            },
        )

    def share(self, column: str, below: float) -> float:
        """The fraction of the examples whose `column` is below `below`."""
        return float((self.columns[column] < below).mean())

    def table(self) -> bytes:
        """As a Parquet file: `id`, and a column for each of `columns`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(pa.table({"id": self.ids, **self.columns}), out)
        return out.getvalue()

    def captions_table(self) -> bytes:
        """As a Parquet file: for each caption a row, and a column for each one of `by_name`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(pa.table({name: rows[:, 0] for name, rows in self.by_name.items()}), out)
        return out.getvalue()
