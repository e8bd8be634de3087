"""What steps cost. Oracles: work whose core time is known, and time that is slept."""

from __future__ import annotations

import statistics
import threading
import time

import numpy as np
import pytest
import torch

from seedbed.run.worker.clock import STARTUP_STEPS, CoreTime, StepClock

CPU = torch.device("cpu")


def busy(core_seconds: float) -> None:
    """Work of so many core seconds of this thread."""
    until = time.thread_time() + core_seconds
    while time.thread_time() < until:
        sum(range(2_000))


def steps(clock: StepClock, took: list[float]) -> None:
    for core_seconds in took:
        with clock.step():
            busy(core_seconds)


@pytest.mark.slow
def test_the_first_steps_of_a_process_count_at_the_pace_of_the_others() -> None:
    clock = StepClock(CPU)
    steps(clock, [0.2] * STARTUP_STEPS + [0.02] * 5)
    assert clock.cost_seconds == pytest.approx(0.02 * (STARTUP_STEPS + 5), rel=0.3)
    assert clock.startup_wall >= 0.2 * STARTUP_STEPS
    assert clock.train_seconds + clock.startup_seconds == pytest.approx(clock.total_seconds)


@pytest.mark.slow
def test_a_trial_costs_the_same_however_often_it_was_resumed() -> None:
    cold, warm = [0.15] * STARTUP_STEPS, [0.02] * 3
    once = StepClock(CPU)
    steps(once, cold + [0.02] * (9 + 2 * STARTUP_STEPS))
    state = StepClock(CPU).state_dict()
    for _ in range(3):
        part = StepClock(CPU)  # as in a process that has just started
        part.load_state_dict(state)
        steps(part, cold + warm)
        state = part.state_dict()
    assert part.steps + part.startup_steps == once.steps + once.startup_steps
    assert part.cost_seconds == pytest.approx(once.cost_seconds, rel=0.3)
    assert part.startup_steps == 3 * once.startup_steps
    assert part.startup_wall >= 3 * sum(cold)


def test_so_short_a_trial_costs_what_its_first_steps_took() -> None:
    clock = StepClock(CPU)
    steps(clock, [0.05])
    assert clock.cost_seconds == pytest.approx(0.05, rel=0.3)
    assert clock.startup_seconds == 0.0


def test_a_step_that_raises_is_not_counted() -> None:
    clock = StepClock(CPU)
    with pytest.raises(ValueError), clock.step():
        raise ValueError
    assert clock.total_seconds == 0.0 and clock.startup_steps == 0


@pytest.mark.slow
def test_waiting_and_the_threads_that_read_data_are_not_core_time_of_a_step() -> None:
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            sum(range(2_000))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        took = []
        for _ in range(5):
            cores = CoreTime()
            late = threading.Thread(target=read)  # begins in the middle
            late.start()
            time.sleep(0.1)
            busy(0.1)
            took.append(cores.seconds())
    finally:
        stop.set()
    # Clocks are read one after another, and a busy machine may run others in between.
    assert statistics.median(took) == pytest.approx(0.1, abs=0.04)


@pytest.mark.slow
def test_torchs_own_threads_are_core_time_of_a_step() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        a = torch.ones(1_500, 1_500)
        a @ a
        cores, own = CoreTime(), time.thread_time()
        for _ in range(5):
            a @ a
        took, own = cores.seconds(), time.thread_time() - own
    finally:
        torch.set_num_threads(before)
    assert took > 1.5 * own


@pytest.mark.slow
def test_a_step_in_which_something_is_compiled_anew_is_start_up() -> None:
    class Model(torch.nn.Module):  # torch leaves its own layers as they are
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.layer(x).relu()
            return out

    model = Model()
    model.compile(backend="eager")
    clock = StepClock(CPU, compiled=True)
    for step in range(STARTUP_STEPS + 4):
        with clock.step():
            model(torch.ones(4 if step < STARTUP_STEPS + 2 else 12, 8)).sum().backward()
    assert clock.startup_steps == STARTUP_STEPS + 1
    assert clock.steps == 3
    assert np.isfinite(clock.cost_seconds)
