"""A corpus's selection carried out: shard by shard where columns are read, then all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedbed.data.rows import Rows
from seedbed.data.select.choice import Choice
from seedbed.data.select.columns import ShardColumns, columns_of
from seedbed.data.select.filters.filter import Mask
from seedbed.data.select.judge import Judged, Question, judge
from seedbed.data.select.selection import Removal
from seedbed.data.shards.spread import Spread


@dataclass(frozen=True)
class JudgeJob:
    """One shard to be judged: its number in the corpus, its columns, and which of its rows."""

    number: int
    columns: ShardColumns
    rows: Rows  # of this shard alone
    asked: Question
    caption: str

    @property
    def num_bytes(self) -> int:
        return self.columns.num_bytes

    @property
    def held_bytes(self) -> int:
        return self.columns.held_bytes


def judge_shard(job: JudgeJob) -> tuple[Judged, Mapping[str, bytes]]:
    """What was found of a shard's rows, and the columns that are not kept yet."""
    content, new = job.columns.read()
    columns = columns_of(content, job.asked.columns | {"key", "uid"}, job.caption)
    own = job.rows.of_shard(0)
    if len(own) < job.rows.num_rows[0]:
        columns = {name: values[own] for name, values in columns.items()}
    return judge(job.asked, columns, job.number), new


def choose(
    asked: Question, train: Rows, columns: Sequence[ShardColumns], caption: str, spread: Spread
) -> tuple[Choice, Mask, tuple[Removal, ...]]:
    """Of the rows of `train`, end to end, those that stay; `columns` are its shards'.

    Each shard's columns are read once, by `spread`; they are not held here.
    """
    jobs = [
        JudgeJob(number, one, train.only(number), asked, caption)
        for number, one in enumerate(columns)
    ]
    choice = Choice(asked, train.counts)
    for job, (judged, new) in zip(jobs, spread(judge_shard, jobs), strict=True):
        job.columns.keep(new)
        choice.add(job.number, judged)
    stays, steps = choice.chosen(lambda rows: list(_texts(train, columns, choice.stops, rows)))
    return choice, stays, steps


def _texts(
    train: Rows,
    columns: Sequence[ShardColumns],
    stops: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Iterator[tuple[str, str]]:
    """Uid and key of each of `rows`, ascending."""
    shards = np.searchsorted(stops, rows, side="right")
    for shard in np.unique(shards).tolist():
        first = int(stops[shard - 1]) if shard else 0
        mine = train.of_shard(shard)[rows[shards == shard] - first]
        read = columns_of(columns[shard].read()[0], ("key", "uid"), "")
        yield from zip(read["uid"][mine].tolist(), read["key"][mine].tolist(), strict=True)
