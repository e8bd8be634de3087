"""A lease in a bucket, so that one driver at a time runs a study: a lock object, kept renewed.

A bucket frees no lock when a process dies, so the lock is a lease: its holder rewrites it every
BEAT_SECONDS, and one that was not rewritten for LEASE_SECONDS has expired. Creating it and taking
it over are conditional writes (`If-None-Match: *`, `If-Match: etag`; Amazon S3 since 2024,
SeaweedFS, MinIO and others), so of two drivers at once one is refused. Ages are by the server's
clock, its date less the object's: the drivers' clocks do not matter.

An outage of the store that is longer than the lease affects all drivers alike; if another takes the
lease first once the store is back, the old holder notices at its next beat, and stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator

from seedbed.errors import DataError, StudyHeldError
from seedbed.storage import client, s3
from seedbed.storage.address import Content
from seedbed.storage.folder import Folder
from seedbed.storage.held import LOCK_NAME, Holder, held

LEASE_SECONDS = 60.0
BEAT_SECONDS = 15.0
POLL_SECONDS = 1.0
RELEASE_SECONDS = 5.0  # limit for deleting it at the end; if the store is unreachable, it expires


@contextlib.contextmanager
def study_lease(
    folder: Folder, *, lease_seconds: float = LEASE_SECONDS, beat_seconds: float = BEAT_SECONDS
) -> Iterator[None]:
    """Hold the study whose results are in the bucket of `folder`.

    Raises StudyHeldError when another process does, at once or, where that may have died, after
    watching it; and at the end of the block where the lease was lost on the way.
    """
    lease = _Lease(folder, lease_seconds, beat_seconds)
    lease.take()
    thread = threading.Thread(target=lease.keep, name="seedbed-lease", daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        if not lease.lost:
            raise
    finally:
        lease.ended.set()
        thread.join(RELEASE_SECONDS)
        lease.release()
    if lease.lost:
        raise lease.refusal()


class _Lease:
    def __init__(self, folder: Folder, lease_seconds: float, beat_seconds: float) -> None:
        self.uri = folder.place(LOCK_NAME)
        self._place, _, self._study = folder.uri.rpartition("/")
        self.lease_seconds, self.beat_seconds = lease_seconds, beat_seconds
        self.token = secrets.token_hex(8)
        self.ended = threading.Event()
        self.lost = False
        self._me = Holder.myself()
        self._other: Holder | None = None
        self._etag: str | None = None
        self._conditional = True
        self._beats = 0

    def take(self) -> None:
        """Make the lock where there is none, or take over one whose holder is dead."""
        seen: Content | None = None
        while True:
            held = s3.get(self.uri)
            if held is None:
                if self._write(None):
                    break
                continue
            if seen is not None and held.etag != seen.etag:
                raise self._held(Holder.parse(held.body))
            left = _lease_of(held.body, self.lease_seconds) - held.age_seconds
            if left <= 0:
                if self._write(held.etag):
                    break
                continue
            if seen is None:
                seen = held
                print(
                    f"wait    {Holder.parse(held.body) or 'a process'} runs this study, or has "
                    f"died: for {left:.0f} s to see which",
                    file=sys.stderr,
                )
            time.sleep(min(POLL_SECONDS, left + 0.1))
        self._probe()

    def keep(self) -> None:
        """Renew the lease until it is released or lost; an unreachable store is retried."""
        while not self.ended.wait(self.beat_seconds):
            try:
                kept = self._write(self._etag)
            except DataError:
                continue  # tried again at the next beat
            if not kept and not self.ended.is_set():
                self.lost = True
                os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: what runs is interrupted
                return

    def release(self) -> None:
        """Delete the lock, where it is still ours."""
        with contextlib.suppress(DataError):
            if not self.lost and self._mine() is not None:
                s3.delete(self.uri)

    def refusal(self) -> StudyHeldError:
        return self._held(self._other)

    def _held(self, holder: Holder | None) -> StudyHeldError:
        return held(self._study, self._place, holder, self.uri)

    def _write(self, etag: str | None) -> bool:
        """Write the lock if it is as `etag` says (None: not there). Whether it is ours now."""
        if not self._conditional and etag is not None and self._mine() is None:
            return False
        self._beats += 1
        values = {
            **self._me.to_json(),
            "token": self.token,
            "lease_seconds": self.lease_seconds,
            "beat": self._beats,
        }
        content = json.dumps(values).encode()
        if self._conditional:
            new = s3.write_if(self.uri, content, etag=etag)
        else:
            s3.write(self.uri, content)
            new = ""
        # A request may succeed with its answer lost; its retry then fails the condition.
        self._etag = new if new is not None else self._mine()
        return self._etag is not None

    def _mine(self) -> str | None:
        """The etag of the lock, if it is ours."""
        held = s3.get(self.uri)
        if held is None:
            return None
        if json.loads(held.body or b"{}").get("token") == self.token:
            return held.etag
        self._other = Holder.parse(held.body)
        return None

    def _probe(self) -> None:
        """Check that the server honours conditional writes: else two drivers could hold it."""
        try:
            answer = s3.write_if(self.uri, b"{}", etag=None)
        except DataError:
            answer = ""
        if answer is None:
            return
        print(
            f"caution {client.server()} ignores conditional writes: see to it that no two "
            "processes start this study there at once",
            file=sys.stderr,
        )
        self._conditional = False
        s3.write(self.uri, json.dumps({**self._me.to_json(), "token": self.token}).encode())


def _lease_of(body: bytes, default: float) -> float:
    """The lease in seconds that the holder stated in `body`."""
    try:
        return float(json.loads(body)["lease_seconds"])
    except (ValueError, KeyError, TypeError):
        return default
