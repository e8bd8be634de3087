"""Variants as processes of their own that share one loader through TensorSocket.

A producer renders the very batches of our order with a DataLoader, and sends each to all consumers;
every consumer trains one variant. By TensorSocket's default way of sending: on a GPU handles of
shared memory, on a CPU the bytes themselves (Robroek et al. 2024).
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from seedbed.data.opening import OpenCorpus
from seedbed.data.render.render import render_span
from seedbed.data.rounds import Span
from seedbed.plan.cohort import Cohort
from seedbed.plan.rendering import rendering_of
from seedbed.run.worker.cohort import CohortTraining
from seedbed.run.worker.reading import order_of

NAMES = ("image", "text", "text_length", "id")
TOGETHER = 2  # batches that a producer sends at a time: with fewer, version 0.0.5 stands still
BEAT_MS = 10_000  # a consumer that is silent for so long is left out; 500 would be, on busy cores
END_SECONDS = 1_800.0


@dataclass(frozen=True)
class Trained:
    """What a process has done: when it had taken each batch, and the hash of their order."""

    at: tuple[float, ...]
    order_hash: str


class Batches(Dataset[Any]):
    """The global batches of a cohort, by their step."""

    def __init__(self, corpus: OpenCorpus, cohort: Cohort, steps: int) -> None:
        self.corpus, self.cohort, self.steps = corpus, cohort, steps
        self.order = order_of(corpus, cohort.recipe)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[torch.Tensor, ...]:
        rows = self.cohort.recipe.budget.batch
        span = Span(step * rows, (step + 1) * rows, rows)
        rendering = rendering_of(self.cohort)
        (columns,) = render_span(self.corpus.train, self.order, span, rendering, rows)
        return tuple(torch.from_numpy(columns[name]) for name in NAMES)


def _quiet() -> None:
    logging.getLogger().setLevel(logging.WARNING)  # it sets up a log of everything


def produce(
    ports: Sequence[int], corpus: OpenCorpus, cohort: Cohort, steps: int, processes: int
) -> None:
    from tensorsocket import TensorProducer

    _quiet()
    torch.set_num_threads(1)
    # The last batches of an epoch are never sent.
    batches = Batches(corpus, cohort, steps + 2 * TOGETHER)
    loader = DataLoader(
        batches, batch_size=None, num_workers=processes, multiprocessing_context="spawn"
    )
    producer = TensorProducer(
        loader,
        port=ports[0],
        ack_port=ports[1],
        heart_ports=(ports[2], ports[3]),
        consumer_max_buffer_size=4,
        producer_batch_size=TOGETHER,
    )
    while len(producer.hb.consumers) < len(cohort.trials):  # who comes later misses batches
        time.sleep(0.1)
    producer.hb.caller.callback_time = BEAT_MS
    for _ in producer:
        pass


def consume(ports: Sequence[int], cohort: Cohort, steps: int, told: Any) -> None:
    """Train the one variant of `cohort`."""
    from tensorsocket import TensorConsumer

    _quiet()
    torch.set_num_threads(1)
    training = CohortTraining(cohort, torch.device("cpu"))
    rows = cohort.recipe.budget.batch
    consumer = TensorConsumer(
        port=ports[0], ack_port=ports[1], heart_ports=(ports[2], ports[3]), batch_size=rows
    )
    at = []
    for step in count():
        columns = dict(zip(NAMES, (part.numpy() for part in next(consumer)), strict=True))
        at.append(time.perf_counter())
        training.step(training.prepare(columns | {"fault": np.full(rows, "", dtype=object)}))
        if step + 1 == steps:
            break
    at.append(time.perf_counter())
    training.collect()
    told.put(Trained(tuple(at), training.order_hash))


def train_by_tensorsocket(
    corpus: OpenCorpus, cohort: Cohort, steps: int, processes: int
) -> list[Trained]:
    """Every variant of `cohort` for `steps`, in a process of its own."""
    spawn = mp.get_context("spawn")
    told = spawn.Queue()
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in held]
    producer = spawn.Process(target=produce, args=(ports, corpus, cohort, steps, processes))
    consumers = [
        spawn.Process(target=consume, args=(ports, Cohort((trial,)), steps, told), daemon=True)
        for trial in cohort.trials
    ]
    for process in (producer, *consumers):
        process.start()
    try:
        return [told.get(timeout=END_SECONDS) for _ in consumers]
    finally:
        for process in (*consumers, producer):
            process.terminate()
            process.join()
