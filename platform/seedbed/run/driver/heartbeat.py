"""Writes down how far a study is, again and again, and obeys a request to stop it.

The request names the start that it is for, so that one which comes late stops no later start, and
however often it is made the study is stopped once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

from ray.exceptions import RayError

from seedbed.errors import DataError, SeedbedError
from seedbed.plan.plan import Plan
from seedbed.run.driver.live import Live
from seedbed.run.worker import stopping
from seedbed.storage.folder import Folder
from seedbed.track.state import PLANNED_NAME, STATE_NAME, STOP_NAME, StudyState

# Between writes of the state, and between looks for a request. Each costs money in a bucket: by
# Amazon's list prices all of them together less than 0.1 USD a day.
LOCAL_SECONDS, BUCKET_SECONDS = (2.0, 1.0), (10.0, 5.0)
LEAVE_SECONDS = 60.0  # for workers to save and leave; one that is evaluated may take longer
LAST_SECONDS = 10.0  # limit for the last write; a store that is away delays no study's end


@contextlib.contextmanager
def heartbeat(store: Folder, plan: Plan) -> Iterator[Live]:
    """While the block runs, `state.json` in `store` says how far the study is.

    For the holder of the study's lock. What the block says of the end is written last: it calls
    `end`, or raises.
    """
    heart = _Heart(store, Live(plan, _before(store)))
    thread = threading.Thread(target=heart.beat, name="seedbed-heartbeat", daemon=True)
    thread.start()
    try:
        yield heart.live
    except KeyboardInterrupt:
        heart.live.end("stopped")
        raise
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        heart.live.end("failed", f"{type(error).__name__}: {lines[0][:300]}")
        raise
    finally:
        heart.over.set()
        thread.join(LAST_SECONDS)


class _Heart:
    def __init__(self, store: Folder, live: Live) -> None:
        self.store, self.live = store, live
        self.over = threading.Event()
        self.write_seconds, self.look_seconds = LOCAL_SECONDS if store.local else BUCKET_SECONDS
        self._asked = self._warned = self._stopped = False
        self._planned = ""  # the digest of the plan that was written
        self._leave_by = 0.0

    def beat(self) -> None:
        due = 0.0
        while True:
            over = self.over.wait(0 if not due else self.look_seconds)
            try:
                if not over:
                    self._look()
                if over or time.monotonic() >= due:
                    self._write()
                    due = time.monotonic() + self.write_seconds
                if over:
                    self._consume()
            except (DataError, RayError) as error:  # the study itself does not depend on it
                due = time.monotonic() + self.write_seconds
                self._warn(error)
            if over:
                return

    def _write(self) -> None:
        state, planned = self.live.state(self.write_seconds), self.live.planned
        if self._planned != planned.digest:  # a search has a plan for each round
            self.store.write_json(planned.to_json(), PLANNED_NAME)
            self._planned = planned.digest
        self.store.write_json(state.to_json(), STATE_NAME)

    def _look(self) -> None:
        """Stop the study where somebody asks for it: workers save, then it ends as by Ctrl-C."""
        if self._stopped or self.live.phase not in ("preparing", "running"):
            return
        if not self._asked:
            words = self.live.stop_asked
            if not words:
                request = self.store.read_json(STOP_NAME) or {}
                if request.get("start") != self.live.token:
                    return
                words = f"stop asked for by {request.get('by', 'somebody')}"
            self._asked, self._leave_by = True, time.monotonic() + LEAVE_SECONDS
            self.live.words = words
            print(f"stop    {self.live.words.removeprefix('stop ')}", file=sys.stderr)
            if self.live.trains:
                stopping.ask(self.live.token)
                self.look_seconds = min(self.look_seconds, 1.0)
        if not self.live.trains or self.live.all_left() or time.monotonic() > self._leave_by:
            self._stopped = True
            os.kill(os.getpid(), signal.SIGINT)  # see `stoppable`

    def _consume(self) -> None:
        """No request outlives the start that it is for."""
        if self.store.exists(STOP_NAME):
            self.store.remove(STOP_NAME)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            print(f"caution how far the study is cannot be written: {error}", file=sys.stderr)


def _before(store: Folder) -> StudyState | None:
    """The state that the last start left; None where none can be read."""
    try:
        values = store.read_json(STATE_NAME)
        return StudyState.from_json(values) if values else None
    except (SeedbedError, ValueError, KeyError, TypeError):
        return None
