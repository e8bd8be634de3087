"""Parquet in memory, read by the thread that asks."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(content: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in `content`, or some of its columns. Raises pa.ArrowInvalid for no such file."""
    return opened(content).read(None if columns is None else list(columns), use_threads=False)


def opened(content: bytes) -> pq.ParquetFile:
    """The parquet file in `content`; its `read` takes `use_threads=False`.

    `pyarrow.parquet.read_table` reads ahead in threads of Arrow's own. Such a thread may release
    the last Python buffer after the interpreter has begun to shut down: it then waits for the GIL,
    which it never gets, is cancelled inside a C++ destructor, and the process aborts ("terminate
    called without an active exception"), though all its work is done.
    """
    return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False)
