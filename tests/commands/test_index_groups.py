"""The warning of large row groups. Oracle: the ranges that the stream would read of a window."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed.commands.seedbed import main
from seedbed.data.corpus import Corpus
from seedbed.data.opening import open_corpus
from seedbed.data.order import Order
from seedbed.data.reads import plan_reads
from seedbed.data.rounds import Span, rounds

EACH = 3_000


@pytest.mark.parametrize(("group", "warned"), [(EACH, True), (512, True), (64, False)])
@pytest.mark.slow
def test_it_warns_where_a_window_would_read_more_than_twice_its_rows(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], group: int, warned: bool
) -> None:
    pictures = []
    for number in range(EACH):
        out = io.BytesIO()
        Image.new("RGB", (2, 2), (number % 256, number // 256, 0)).save(out, "PNG")
        pictures.append(out.getvalue())
    folder = tmp_path / "pairs"
    folder.mkdir()
    table = pa.table({"image": pictures, "txt": [f"name {n}" for n in range(EACH)]})
    pq.write_table(table, folder / "0.parquet", row_group_size=group)
    assert main(["index", str(folder)]) == 0
    assert main(["index", str(folder)]) == 0  # from what is kept
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if "row groups" in line]
    rows = open_corpus(Corpus(uri=str(folder), caption="txt"), home).train
    order = Order(rows.blocks, fingerprint="f", seed=0, lanes=1, window_rows=256)
    read = [
        sum(one.last - one.first for one in plan_reads(rows, part.picks).ranges)
        for part in rounds(order, Span(0, 20 * 256, 256, 0, 1))
    ]
    assert (sum(read) > 2 * 256 * len(read)) == warned == bool(lines)
    if warned:
        assert len(lines) == 2 and lines[0] == lines[1]
        assert f"1 of 1 parquet files have row groups of up to {group:,} rows" in lines[0]
        assert "row_group_size=64" in lines[0]
