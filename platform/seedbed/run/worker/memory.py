"""What variants need of their GPU, measured in the first two steps of each.

Variants of a cohort lie side by side in a GPU's memory, and step in turn. Each first step adds what
its variant keeps, Adam's moments last, so that only its second one has its whole need at once. A
cohort in which one finds no room, or whose next steps would not fit, ends here, and not after
hours. The driver then has it trained in parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from seedbed.cluster.memory import check_gpus, check_step, gigabytes, would_fit
from seedbed.errors import CohortTooLargeError, TooLargeError
from seedbed.model.gather import world_size
from seedbed.plan.cohort import Cohort
from seedbed.study.trial import Trial

MEND_ALONE = (
    "--data-parallel 2, or --set micro_batch=N, fewer rows at a time for the same losses, or a "
    "GPU with more memory"
)

MEASURED = 2  # steps of each variant


@dataclass(frozen=True)
class FirstStep:
    """Bytes of torch's tensors on a GPU before, after and at the most during a variant's step,
    the last that was measured."""

    name: str
    before: int
    after: int
    peak: int

    @property
    def passing(self) -> int:
        """What it needed for a while, on top of all that was kept."""
        return self.peak - self.before


class FirstSteps:
    """The first steps of a cohort's variants in this process; on a CPU nothing is measured.

    They may take `limit` bytes of the device, where that is said.
    """

    def __init__(self, device: torch.device, num_variants: int, limit: float = 0.0) -> None:
        self.device, self.num_variants, self.limit = device, num_variants, limit
        self.steps: dict[str, FirstStep] = {}
        self._rounds = 0
        self._checked = device.type != "cuda"

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Around a step of the variant `name`.

        Raises CohortTooLargeError where one of its first finds no room beside its neighbours;
        without any, the error of torch with what can be done.
        """
        if self._checked:
            yield
            return
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        try:
            yield
        except torch.OutOfMemoryError as error:
            if self.num_variants > 1:
                raise self._no_room(name, before, f" in its step {self._rounds + 1}") from error
            raise torch.OutOfMemoryError(f"{error} ({MEND_ALONE})") from error
        after = torch.cuda.memory_allocated(self.device)
        peak = torch.cuda.max_memory_allocated(self.device)
        self.steps[name] = FirstStep(name, before, after, peak)

    @contextmanager
    def room_for(self, name: str) -> Iterator[None]:
        """Around what makes a rung of its trunk, in the middle of a training.

        Raises CohortTooLargeError where there is no room beside the others: they are then trained
        in parts, from where they are.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise self._no_room(name, torch.cuda.memory_allocated(self.device)) from error

    def again(self) -> None:
        """A rung has left its trunk, with weights and moments of its own: measure anew."""
        self._rounds, self._checked = 0, self.device.type != "cuda"
        self.steps.clear()

    def check(self) -> None:
        """After each step of all: raise CohortTooLargeError where the next would not fit, as soon
        as that is known."""
        self._rounds += 1
        if self._checked or not self.steps or self._rounds < MEASURED:
            return
        self._checked = True
        free, _ = torch.cuda.mem_get_info(self.device)
        room = free + torch.cuda.memory_reserved(self.device)
        check_room(list(self.steps.values()), min(room, int(self.limit)) if self.limit else room)

    def _no_room(self, name: str, before: int, when: str = "") -> CohortTooLargeError:
        # In the second round all are kept already, and one of them less is to be tried.
        fitting = max(1, min(len(self.steps), self.num_variants - 1))
        peak = max(torch.cuda.max_memory_allocated(self.device), before)
        return CohortTooLargeError(
            f"{self.num_variants} variants do not fit one GPU: '{name}' ran out of memory{when}",
            why=f"{gigabytes(before)} were kept by {len(self.steps)} variants and the weights of "
            f"the others, and the step had come to {gigabytes(peak)}",
            mend=f"--cohort-size {fitting}, or more --workers",
            fitting=fitting,
        )


def check_device(
    trials: Sequence[Trial],
    device: torch.device,
    data_parallel: int,
    limit: float = 0.0,
    *,
    is_known: bool = True,
) -> None:
    """Raise ResourceError where `trials` surely do not fit this device, before anything is built.

    The driver has refused what fits no GPU of the cluster; where it does not know their memory
    (`is_known`), what a step needs is counted here. A CPU is checked where a `limit` in bytes is
    said.
    """
    if device.type == "cuda":
        total: float = torch.cuda.get_device_properties(device).total_memory
        limit = min(limit, total) if limit else total
    if limit and trials:
        check_gpus([Cohort(tuple(trials))], limit, data_parallel=data_parallel)
        for trial in () if is_known else trials:
            check_step(trial, limit, data_parallel)


def fitting_words(trial: Trial, device: torch.device) -> str:
    """What of `trial` would fit `device`, which ran out of memory in a step."""
    total = float("inf")
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
    return would_fit(trial, total, world_size())


def check_room(steps: Sequence[FirstStep], room: int) -> None:
    """Raise CohortTooLargeError where some variant's next step would need more than `room` bytes;
    TooLargeError where it is alone.

    What all keep stays; what a step needs for a while comes on top, one variant after the other.
    """
    kept = max(step.after for step in steps)
    worst = max(steps, key=lambda step: step.passing)
    need = kept + worst.passing
    if need <= room:
        return
    each = kept / len(steps)
    fitting = max(1, int((room - worst.passing) / each))
    what = f"{len(steps)} variants need {gigabytes(need)} of one GPU, and it has {gigabytes(room)}"
    why = (
        f"they keep {gigabytes(kept)}, and a step of '{worst.name}' takes "
        f"{gigabytes(worst.passing)} more for a while (measured)"
    )
    if len(steps) == 1:
        raise TooLargeError(what, why=why, mend=MEND_ALONE)
    mend = f"--cohort-size {fitting}, or more --workers"
    raise CohortTooLargeError(what, why=why, mend=mend, fitting=fitting)
