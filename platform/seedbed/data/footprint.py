"""What the stream holds in memory, planned before it starts: a task, a rank, and Ray's store.

The constants are measured: `tests/benchmarks/bench_memory.py` holds the plan against the peaks.
"""

from __future__ import annotations

from seedbed.data.render.render import Rendering

# Of arrays that a task emits at a time: bounds its memory, and the first batch's delay. With 12 MB
# the stream gives 0.85 of the samples a second that it does with 30 MB (measured).
CHUNK_BYTES = 40_000_000
CHUNK_ROWS = 2_048
PROCESS_BYTES = 250_000_000  # of a task's process: Ray's modules and ours
TASK_CHUNKS = 4  # as arrays, and in what Ray makes of them on their way to the store
RANK_BYTES = 60_000_000  # of a rank's process: what Ray Data needs to run a dataset
RANK_BATCHES = 3  # joined, once more, and as tensors; what is not joined lies in the store
LIMIT_ROUNDS = 2  # of each task, in Ray's limit: it fills half of it
READ_CHUNKS = 3  # by the rank: one that is being cut into batches, and two ahead


def row_bytes(rendering: Rendering) -> int:
    """Of a row's arrays."""
    image = rendering.image_size**2 * 3 * len(rendering.images)
    return max(1, image + rendering.context * 8 * len(rendering.texts))


def chunk_rows(rendering: Rendering, batch: int = 1) -> int:
    """Rows of at most CHUNK_BYTES; whole batches of `batch` rows, or an equal part of one.

    Rounds hold whole batches: so a batch is a part of one chunk, and need not be joined.
    """
    most = max(1, min(CHUNK_ROWS, CHUNK_BYTES // row_bytes(rendering)))
    if batch <= most:
        return most - most % batch
    least = -(-batch // most)
    equal = (parts for parts in range(least, 2 * least + 1) if batch % parts == 0)
    parts = next(equal, None)  # of more of them each would be less than half of what it may be
    return most if parts is None else batch // parts


def chunk_bytes(rendering: Rendering) -> int:
    return chunk_rows(rendering) * row_bytes(rendering)


def task_bytes(rendering: Rendering, held: int) -> int:
    """Of a task's process that reads `held` bytes of shards."""
    return PROCESS_BYTES + held + TASK_CHUNKS * chunk_bytes(rendering)


def rank_bytes(rendering: Rendering, rows: int) -> int:
    """Of a rank, beside its models, for batches of `rows` of its own."""
    batches = RANK_BATCHES * rows * row_bytes(rendering)
    return RANK_BYTES + batches


def limit_bytes(rendering: Rendering, rows: int, num_tasks: int) -> int:
    """Ray's limit on its store for one rank's tasks, which render `rows` each.

    Blocks come in order, so that what later tasks have rendered waits for the first. Ray Data runs
    no task whose output it has no budget for: with once what `num_tasks` render, one of two ran at
    a time (883 samples/s on two cores, 1,271 with twice that, 1,307 with four times; measured).
    """
    return LIMIT_ROUNDS * waiting_bytes(rendering, rows, num_tasks)


def waiting_bytes(rendering: Rendering, rows: int, num_tasks: int) -> int:
    """Of Ray's store, for what one rank's tasks have rendered, `rows` each, and it has not taken.

    Whatever the number of tasks, Ray stops them at half of its limit (measured with 1, 2 and 4).
    """
    return num_tasks * rows * row_bytes(rendering)


def store_bytes(rendering: Rendering, rows: int, num_tasks: int) -> int:
    """Of Ray's store, for the blocks of one rank: those that wait, and those that it has taken."""
    return waiting_bytes(rendering, rows, num_tasks) + taken_bytes(rendering)


def taken_bytes(rendering: Rendering) -> int:
    """Of Ray's store, for the blocks that a rank has taken and not yet used up."""
    return READ_CHUNKS * chunk_bytes(rendering)
