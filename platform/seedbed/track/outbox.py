"""A queue with one writer: callers never wait, failures are retried, memory is bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seedbed.track.ledger import Unsent

log = logging.getLogger(__name__)


class CurvePoint(NamedTuple):
    """A point of a curve: its metrics at `samples`, taken at `unix_ms`."""

    samples: int
    unix_ms: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Delivery:
    """Something to send, once.

    `key` is the trial it is about; `final` says that it contains the trial's whole record;
    `after_points` that the trial's points, or without a key all points, are sent first.
    """

    what: str
    run: Callable[[], None]
    key: str = ""
    final: bool = False
    after_points: bool = False


MOST_CLOSE_S = 900.0  # that a close may take, while things arrive


class Outbox:
    """Sends jobs in order and points in batches, from one thread of its own.

    `send_points(key, points)` and every job must be idempotent. When one raises, `is_refused` says
    whether a retry is pointless; otherwise `is_alive` says whether the other side answers at all.
    While it does not, everything waits (points beyond `max_points` are dropped, oldest first); when
    it does, a job is given up after `max_tries`.
    """

    def __init__(
        self,
        send_points: Callable[[str, Sequence[CurvePoint]], None],
        *,
        is_refused: Callable[[Exception], bool],
        is_alive: Callable[[], bool],
        max_points: int = 200_000,
        max_tries: int = 8,
        linger_s: float = 1.0,
        max_backoff_s: float = 30.0,
    ) -> None:
        self._send_points, self._is_refused, self._is_alive = send_points, is_refused, is_alive
        self._max_points, self._max_tries = max_points, max_tries
        self._linger_s, self._max_backoff_s = linger_s, max_backoff_s
        self._jobs: deque[Delivery] = deque()
        self._points: dict[str, deque[CurvePoint]] = {}
        self._num_points = self._num_sent = 0
        self._dropped: Counter[str] = Counter()
        self._given_up: list[tuple[Delivery, str]] = []
        self._final: set[str] = set()  # keys whose whole record was sent
        self._reason = ""
        self._changed = threading.Condition()
        self._closing = self._stopped = False
        self._thread = threading.Thread(target=self._work, name="seedbed-ledger", daemon=True)
        self._thread.start()

    def put(self, job: Delivery) -> None:
        """Queue a job."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def put_point(self, key: str, point: CurvePoint) -> None:
        """Queue a point of the trial `key`."""
        with self._changed:
            self._points.setdefault(key, deque()).append(point)
            self._num_points += 1
            if self._num_points > self._max_points:
                longest = max(self._points, key=lambda k: len(self._points[k]))
                self._points[longest].popleft()
                self._num_points -= 1
                self._dropped[longest] += 1
            self._changed.notify()

    def close(self, timeout_s: float) -> Unsent:
        """Send what is left, stop once nothing has arrived for `timeout_s`, and say what was not
        sent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        # A thousand records take minutes to arrive: a server that takes them is waited for.
        until, arrived = time.monotonic() + MOST_CLOSE_S, -1
        while self._thread.is_alive() and self._num_sent > arrived and time.monotonic() < until:
            arrived = self._num_sent
            self._thread.join(timeout=max(timeout_s, 0.0))
        with self._changed:
            self._stopped = True
            self._changed.notify()
            return self._unsent()

    def _unsent(self) -> Unsent:
        jobs = [*(job for job, _ in self._given_up), *self._jobs]
        lost = Counter(self._dropped)
        for key, points in self._points.items():
            lost[key] += len(points)
        open_keys = {job.key for job in jobs if job.final}
        what = [job.what for job in jobs]
        for key, num in lost.items():
            if num and key not in self._final and key not in open_keys:
                what.append(f"{num} points of the curve of trial {key}")
                open_keys.add(key)
        keys = dict.fromkeys([job.key for job in jobs if job.key] + sorted(open_keys))
        reasons = [reason for _, reason in self._given_up] + ([self._reason] if jobs else [])
        return Unsent(tuple(what), tuple(keys), next((r for r in reasons if r), ""))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._jobs or self._num_points or self._closing or self._stopped):
                    self._changed.wait()
                if self._stopped or (self._closing and not self._jobs and not self._num_points):
                    return
                if not self._jobs and not self._closing:
                    # To send points in batches, unless there is something else to do.
                    self._changed.wait_for(
                        lambda: bool(self._jobs or self._closing or self._stopped), self._linger_s
                    )
                job = self._jobs[0] if self._jobs else None
                keys = list(self._points)
            if job is not None and job.key:
                keys = [job.key]
            if job is None or job.after_points:
                for key in keys:
                    self._deliver_points(key)
            if job is not None:
                self._deliver(job)

    def _deliver(self, job: Delivery) -> None:
        reason = self._persist(job.run)
        if reason is None:
            return
        with self._changed:
            self._jobs.popleft()
            if reason:
                self._given_up.append((job, reason))
            elif job.final:
                self._final.add(job.key)

    def _deliver_points(self, key: str) -> None:
        with self._changed:
            points = list(self._points.get(key, ()))
        if not points:
            return
        reason = self._persist(lambda: self._send_points(key, points))
        if reason is None:
            return
        with self._changed:
            mine = self._points[key]
            oldest_sent = {id(point) for point in points}
            while mine and id(mine[0]) in oldest_sent:
                mine.popleft()
                self._num_points -= 1
            if not mine:
                del self._points[key]
            if reason:
                self._dropped[key] += len(points)
                self._reason = reason

    def _persist(self, send: Callable[[], None]) -> str | None:
        """Call `send` until it succeeds (""), is given up (the reason), or we stop (None)."""
        tries = num_failures = 0
        while not self._stopped:
            try:
                send()
            except Exception as error:
                self._reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                if self._is_refused(error):
                    log.warning("the ledger cannot keep something: %s", self._reason)
                    return self._reason
                tries += self._is_alive()
                num_failures += 1
                if tries >= self._max_tries:
                    log.warning("the ledger gives something up: %s", self._reason)
                    return self._reason
                if num_failures == 1:
                    log.warning("the ledger is behind and will catch up: %s", self._reason)
                self._pause(num_failures)
            else:
                self._reason = ""
                self._num_sent += 1
                return ""
        return None

    def _pause(self, num_failures: int) -> None:
        longest = min(1.0, self._max_backoff_s) if self._closing else self._max_backoff_s
        until = time.monotonic() + min(0.25 * 2**num_failures, longest)
        with self._changed:
            while not self._stopped and (left := until - time.monotonic()) > 0:
                was_closing = self._closing
                self._changed.wait(left)
                if self._closing and not was_closing:
                    return  # `close` is waiting: try at once
