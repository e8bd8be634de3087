"""Prepares the next batches on a thread, while the last one trains.

Reading, exchanging, pinning and copying a batch would otherwise stand between two steps.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

import torch

from seedbed.data.render.render import Columns
from seedbed.run.worker.batch import Batch

AHEAD = 2  # batches that are ready or being made beside the one that trains


class Feed:
    """Iterates over prepared batches; a context that ends its thread.

    `columns` are this worker's parts of the batches, of which `make` makes what trains. Batch n is
    begun only once batch n - AHEAD has been asked for: so all workers that exchange batches begin
    the same ones, and none waits for an exchange that another will never come to. What `columns`
    or `make` raise is raised where its batch is asked for. `waited` is in seconds.
    """

    def __init__(
        self, columns: Iterator[Columns], make: Callable[[Columns], Batch], device: torch.device
    ) -> None:
        self.waited = 0.0
        self._columns, self._make = columns, make
        on_gpu = device.type == "cuda"
        self._stream: Any = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._allowed = threading.Semaphore(AHEAD)
        self._ready: queue.SimpleQueue[Batch | BaseException | None] = queue.SimpleQueue()
        self._taken = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)
        self._thread.start()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        self._allowed.release()
        if error is None:  # else the others may have stopped, and this one waits for them
            self._thread.join()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            began = time.perf_counter()
            batch = self._ready.get()
            self.waited += time.perf_counter() - began
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            self._taken += 1
            self._allowed.release()
            batch.wait()
            yield batch

    def _work(self) -> None:
        if self._stream is not None:
            torch.cuda.set_device(self._stream.device)  # of this thread
        try:
            for begun in itertools.count():
                self._allowed.acquire()
                if self._closing and begun == self._taken + AHEAD:
                    return
                columns = next(self._columns, None)
                if columns is None:
                    self._ready.put(None)
                    return
                self._ready.put(self._made(columns))
        except BaseException as error:  # raised where the batch is asked for
            self._ready.put(error)
        finally:
            if isinstance(self._columns, Generator):  # what it holds is not needed any more
                self._columns.close()

    def _made(self, columns: Columns) -> Batch:
        if self._stream is None:
            return self._make(columns)
        with torch.cuda.stream(self._stream):
            return replace(self._make(columns), ready=self._stream.record_event())
