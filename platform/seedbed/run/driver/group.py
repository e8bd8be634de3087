"""A worker group that trains one cohort after another: starting one anew takes 20 s.

Ray Tune gives a holder, a process that only waits, one cohort at a time; the holder lives on for
the next one, and so does the worker group that it has started (a Ray Train run).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import ray
import ray.train
import ray.tune

from seedbed.run.driver.mailbox import Mailbox
from seedbed.run.worker.checkpoint import Run
from seedbed.run.worker.jobs import ENDED, LEFT
from seedbed.storage.folder import Folder

POLL_SECONDS = 1.0  # between looks whether the workers live, while they report nothing


class Reporting(ray.train.UserCallback):
    """Puts what the first worker reports into the mailbox."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        ray.get(self._mailbox.put.remote(metrics[0]))


class Group:
    """A worker group of this process, in the start of a study that is named `since`.

    `fit(mailbox, callback, run)` starts workers as the Ray Train run `run`, and returns when they
    have ended; each of them takes jobs from the mailbox.
    """

    def __init__(
        self, fit: Callable[[Any, Reporting, str], object], store: Folder, since: str
    ) -> None:
        self._fit, self._store, self._since = fit, store, since
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._mailbox: Any = None
        self.run = _new_name()

    def train(self, job: Any, keys: list[str]) -> None:
        """Have `job`, a reference to it and its retries so far, whose trials are `keys`, trained.

        Raises what its workers failed with.
        """
        # Before there can be a checkpoint; of this cohort alone, since those before it have ended.
        Run(self.run, tuple(keys), self._since).write(self._store)
        if self._mailbox is None:
            options = {"num_cpus": 0, "scheduling_strategy": on_this_node()}
            self._mailbox = ray.remote(**options)(Mailbox).remote()
        given = self._mailbox.give.remote(job)
        self._start()  # beside the mailbox's own process, which takes as long as a worker's
        number = ray.get(given)
        while not self._ended(number):  # its workers have left a node; others take it up
            self._start()

    def _start(self) -> None:
        """Start workers where there are none."""
        if self._thread is None:
            self._error = None
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def _ended(self, number: int) -> bool:
        """Wait for the workers; False where they left early."""
        assert self._thread is not None
        left = False
        while True:
            alive = self._thread.is_alive()
            report = ray.get(self._mailbox.take.remote(POLL_SECONDS if alive else 0.01))
            if report is None:
                if alive:
                    continue
                self._thread = None
                if left and self._error is None:
                    return False
                raise self._error or RuntimeError("the workers ended without a word")
            if report.get(ENDED) == number:
                return True
            left = left or LEFT in report
            if ENDED not in report and LEFT not in report:
                ray.tune.report(report)

    def _work(self) -> None:
        try:
            self._fit(self._mailbox, Reporting(self._mailbox), self.run)
        except BaseException as error:
            self._error = error

    def give_up(self) -> str:
        """What follows is a run of its own: it must not push out this one's checkpoints.

        Returns this one's name.
        """
        self.end()
        before, self.run = self.run, _new_name()
        return before

    def end(self) -> None:
        """Let the workers end: nothing is left to train."""
        if self._thread is not None:
            ray.get(self._mailbox.give.remote(None))
            self._thread.join()
            self._thread = None


def on_this_node(*, soft: bool = False) -> Any:
    """A scheduling strategy: beside this process, or with `soft` as long as that is possible."""
    node = ray.get_runtime_context().get_node_id()
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=soft)


def _new_name() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


_here: list[Group] = []  # of this process, which is one holder after another


def group_here(make: Callable[[], Group]) -> Group:
    """The worker group of this process, made once."""
    if not _here:
        _here.append(make())
    return _here[0]
