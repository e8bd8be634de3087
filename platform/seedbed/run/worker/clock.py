"""What the steps of a trial cost: core time on CPUs, device time on GPUs, the start-up apart."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

# Of each process: in these memory is first taken, kernels are chosen and caches filled.
STARTUP_STEPS = 3
SUMMED = ("seconds", "startup_cost")  # of its state, over all that train a variant together
_STATE = ("steps", "seconds", "wall_seconds", "startup_steps", "startup_cost", "startup_wall")


class StepClock:
    """Times one variant's own steps, whatever else its process and its machine do meanwhile.

    The first STARTUP_STEPS of each process, and every step in which torch.compile works, are
    start-up: they count as many steps at the pace of the others, and what they took beyond that
    is `startup_seconds`. So a trial costs the same however often it was resumed.
    """

    def __init__(self, device: torch.device, *, compiled: bool = False) -> None:
        self.device = device
        self._compilations = _compilations() if compiled else [0]
        self._steps_here = 0  # in this process, with those of the start-up
        self.steps = self.startup_steps = 0
        self.seconds = self.wall_seconds = 0.0
        self.startup_cost = self.startup_wall = 0.0
        self._events: list[tuple[Any, Any, bool]] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Count one step; not one that raises."""
        compilations = self._compilations[0]
        if self.device.type == "cuda":
            event: Any = torch.cuda.Event
            start, end = (event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((start, end, self._is_startup(compilations)))
        else:
            cores, wall = CoreTime(), time.perf_counter()
            yield
            self._add(
                cores.seconds(), time.perf_counter() - wall, startup=self._is_startup(compilations)
            )

    def settle(self) -> None:
        """Read a GPU's events of the steps so far: it waits for the last of them."""
        if self._events:
            self._events[-1][1].synchronize()
        for start, end, startup in self._events:
            took = start.elapsed_time(end) / 1000
            self._add(took, took, startup=startup)
        self._events = []

    def _is_startup(self, compilations_before: int) -> bool:
        self._steps_here += 1
        return self._steps_here <= STARTUP_STEPS or self._compilations[0] > compilations_before

    def _add(self, seconds: float, wall: float, *, startup: bool) -> None:
        if startup:
            self.startup_steps += 1
            self.startup_cost += seconds
            self.startup_wall += wall
        else:
            self.steps += 1
            self.seconds += seconds
            self.wall_seconds += wall

    @property
    def cost_seconds(self) -> float:
        """Core seconds on CPUs, device seconds on GPUs, of all steps at the settled pace."""
        return self._of_all_steps(self.seconds, self.startup_cost)

    @property
    def train_seconds(self) -> float:
        """Wall seconds of all steps at the settled pace."""
        return self._of_all_steps(self.wall_seconds, self.startup_wall)

    @property
    def startup_seconds(self) -> float:
        """Wall seconds that the steps of the start-up took beyond the settled pace."""
        return max(0.0, self.total_seconds - self.train_seconds)

    @property
    def total_seconds(self) -> float:
        """Wall seconds of all steps as they were."""
        return self.wall_seconds + self.startup_wall

    def _of_all_steps(self, settled: float, startup: float) -> float:
        if not self.steps:  # so short a trial has no other steps than its first
            return startup
        return settled / self.steps * (self.steps + self.startup_steps)

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in _STATE:
            setattr(self, name, state[name])


class CoreTime:
    """Core seconds that this thread and torch's pool of threads take from now on.

    It is the CPU time of the process less that of its other Python threads, which fetch and
    unpack the next batches. Time that the process waits, for other processes or for other ranks,
    is not in it. Where the system tells no times by thread, that of the data's threads is.
    """

    def __init__(self) -> None:
        self._others = _other_threads()
        self._began = time.process_time()

    def seconds(self) -> float:
        whole = time.process_time() - self._began
        others = _other_threads()
        read = sum(took - self._others.get(thread, 0.0) for thread, took in others.items())
        return max(0.0, whole - read)


def _other_threads() -> dict[int, float]:
    """The CPU seconds so far of every other Python thread, by the system's number of it."""
    if sys.platform != "linux":
        return {}
    own = threading.get_native_id()
    found: dict[int, float] = {}
    for thread in threading.enumerate():
        number = thread.native_id
        if number is None or number == own:
            continue
        try:
            # Linux's own number of a thread's CPU clock. pthread_getcpuclockid would do, but may
            # crash where the thread has just ended; this answers with an error.
            found[number] = time.clock_gettime((~number << 3) | 6)
        except OSError:
            continue
    return found


@functools.cache
def _compilations() -> list[int]:
    """How often torch.compile has begun to work in this process, in a list that grows true."""
    from torch._dynamo.callback import on_compile_start

    told = [0]

    def begun(*_: object) -> None:
        told[0] += 1

    on_compile_start(begun)
    return told
