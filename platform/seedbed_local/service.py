"""A server on this machine: a process and its children, started, stopped, killed, started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import psutil

from seedbed.errors import ResourceError

STOP_SECONDS = 10.0


class Service(ABC):
    """One server, with its state in `folder`; `marks` are put into its environment.

    It keeps its port and its state over a stop, so that its clients find it again.
    """

    name: str
    start_seconds = 300.0  # a busy machine takes minutes for what takes ten seconds
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, marks: Mapping[str, str] | None = None) -> None:
        self.folder, self.marks = folder, dict(marks or {})
        self.cwd = folder
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it answers as it should: an open port is too little."""

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it, without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                env=self.environment() | self.marks,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us; we end it
            )

    def wait(self) -> None:
        """Until it is up. Raises ResourceError with the end of its log where it does not come."""
        end = time.monotonic() + self.start_seconds
        while self.process is not None and self.process.poll() is None and time.monotonic() < end:
            if self.is_up():
                return
            time.sleep(0.1)
        said = self.log.read_text(errors="replace")[-800:]
        raise ResourceError(
            f"{self.name} did not come up",
            why=said or f"it said nothing in {self.start_seconds:.0f} s",
            mend=f"see {self.log}, and start it again",
        )

    def stop(self) -> None:
        """End it as its administrator would, and whatever is left of it then."""
        if self.process is None:
            return
        ours = tree([self.process.pid])
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        kill(ours)
        self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it as a lost machine would, children and all."""
        if self.process is not None:
            kill(tree([self.process.pid]))
            self.process.wait()
            self.process = None


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes `pids` that live, and all that descend from them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found |= {one.pid: one for one in (process, *process.children(recursive=True))}
    return list(found.values())


def lives(process: psutil.Process) -> bool:
    """Whether it runs: one that has ended and was not yet asked after does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill(processes: Iterable[psutil.Process]) -> None:
    """End them at once, and wait until they are gone; a pid that was given anew is let live."""
    left = list(processes)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    end = time.monotonic() + STOP_SECONDS
    while any(map(lives, left)) and time.monotonic() < end:
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, and that no connection is given before a server has them.

    Systems take ports of connections from 32,768 on, and Ray those of workers from 10,002 to
    19,999.
    """
    every = random.SystemRandom().sample(range(20_000, 32_000), 12_000)
    return list(islice((port for port in every if is_free(port)), count))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
