"""Batches that are on the device before they are asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from seedbed.run.worker.batch import on_device

T = TypeVar("T")
_LOOK_SECONDS = 0.1  # between looks, of a thread that waits for room, at whether it should end


class Feed(Generic[T]):
    """What `source` gives, each with its batch on `device`, made by a thread while others train.

    `held` makes an item's batch in host memory, pinned where `device` is a GPU; its copies then go
    over a stream of their own, beside what the GPU computes. At most `ahead` batches wait to be
    taken. `waited_seconds` is how long the taker had to wait for the thread.

    A context: leaving it ends the thread, in the middle of `source` too. What `source` or `held`
    raises comes out where the batch would have been taken.
    """

    def __init__(
        self,
        source: Iterable[T],
        held: Callable[[T], Mapping[str, Tensor]],
        device: torch.device,
        *,
        ahead: int = 1,
    ) -> None:
        self.device = device
        self.waited_seconds = 0.0
        self._source, self._held = source, held
        self._ready: queue.Queue[Any] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._stream: Any = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._thread = threading.Thread(target=self._fill, name="feed", daemon=True)

    def __enter__(self) -> Feed[T]:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[T, dict[str, Tensor]]]:
        while True:
            began = time.perf_counter()
            item, batch, copied = self._ready.get()
            self.waited_seconds += time.perf_counter() - began
            if batch is None:
                if item is not None:
                    raise item
                return
            if copied is not None:
                stream = torch.cuda.current_stream(self.device)
                stream.wait_event(copied)  # the GPU waits for the copy, and not this thread
                for tensor in batch.values():
                    # Its memory is the other stream's, which must not reuse it before this one
                    # has read it.
                    tensor.record_stream(stream)
            yield item, batch

    def _fill(self) -> None:
        if self._stream is not None:
            torch.cuda.set_device(self.device)  # of this thread
        source = iter(self._source)
        try:
            for item in source:
                copied = None
                if self._stream is None:
                    batch = on_device(self._held(item), self.device)
                else:
                    # The allocator keeps pinned memory until the stream has read it.
                    with torch.cuda.stream(self._stream):
                        batch = on_device(self._held(item), self.device)
                    copied = self._stream.record_event()
                if not self._put((item, batch, copied)):
                    return
            self._put((None, None, None))
        except BaseException as error:
            self._put((error, None, None))
        finally:
            if isinstance(source, Generator):  # what it holds is not needed any more
                source.close()

    def _put(self, ready: Any) -> bool:
        """Whether there was room before the end."""
        while not self._stop.is_set():
            try:
                self._ready.put(ready, timeout=_LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
