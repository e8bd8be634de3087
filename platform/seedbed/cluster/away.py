"""Ends this driver in words, with the status of the infrastructure, when its cluster is gone.

Ray waits a minute for its head and then ends the process itself, from C++, with status 1: which
says that trials failed by errors of their own, and that another try is of no use.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

import ray

from seedbed.exits import PASSING

EVERY_SECONDS = 2.0
ANSWER_SECONDS = 3.0
LOST_SECONDS = 45.0  # without an answer: less than Ray waits, and more than a network stutters


def end_with_the_cluster() -> None:
    """Watch the head of the cluster that is joined, until this process leaves it."""
    address = ray.get_runtime_context().gcs_address
    thread = threading.Thread(target=_watch, args=(address,), name="seedbed-away", daemon=True)
    thread.start()


def _watch(address: str) -> None:
    answered = time.monotonic()
    while _is_joined(address):
        now = time.monotonic()
        if _answers(address):
            answered = now
        elif now - answered > LOST_SECONDS and _is_joined(address):
            print(
                f"error: the head of the cluster at {address} has not answered for "
                f"{now - answered:.0f} s: it is lost; the same command goes on, on a new one",
                file=sys.stderr,
                flush=True,
            )
            # At once: what waits for the cluster, as an ordinary exit does, would wait for ever.
            os._exit(PASSING)
        time.sleep(EVERY_SECONDS)


def _is_joined(address: str) -> bool:
    try:
        return bool(ray.is_initialized() and ray.get_runtime_context().gcs_address == address)
    except Exception:  # it is just being left
        return False


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            return True
    except OSError:
        return False
