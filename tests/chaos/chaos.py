"""Kills parts of a cluster at random while a study of many small trials runs on it.

Where its driver is among them, the same command is sent again. At the end the study must be
complete, and bit for bit what it is when nobody disturbs it.

    python -m tests.chaos.chaos [--seconds 600] [--pause 25] [--seed 0] [--seeds 12] [--kinds …]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.counted import FOLDER, notes
from tests.chaos.victims import KINDS, SERVERS, kill_one
from tests.fixtures.local_cluster import learned, records, steps_told, trial_runs

from seedbed.storage.objects import read_object
from seedbed_local.cluster import CHECKOUT, Cluster
from seedbed_local.config import read
from seedbed_local.demo import copied, submit_environment
from seedbed_local.head import BIN

SCRIPT = str(Path(__file__).parent / "small_trials.py")
NUM_CELLS, NUM_STEPS = 4, 100
CHECKPOINT_SECONDS = 3
AWAY_SECONDS = (3.0, 12.0)  # how long a server is away
LAST_SECONDS = 1_200.0  # in which a study ends that is no longer disturbed


@dataclass
class Found:
    """What a disturbed study was, beside the same undisturbed."""

    kills: list[tuple[float, str]] = field(default_factory=list)  # when, and of which kind
    starts: int = 0  # how often the command was sent
    seconds: float = 0.0
    recoveries: int = 0  # of cohorts, as the study's own state counts them
    lost: int = 0  # steps that were trained more than once
    planned: int = 0
    again: dict[str, list[float]] = field(default_factory=dict)  # seconds to the next step, by kind
    differing: list[str] = field(default_factory=list)
    asked: Sequence[str] = ()  # the kinds that were to be killed

    def of(self, kind: str) -> int:
        return sum(one == kind for _, one in self.kills)

    @property
    def spared(self) -> list[str]:
        """The kinds that were to be killed and never were: nothing was proven of them."""
        return [kind for kind in self.asked if not self.of(kind)]

    @property
    def failed(self) -> bool:
        return bool(self.differing or self.spared)

    def table(self) -> str:
        lines = [f"{'killed':<12}{'times':>6}{'to the next step: median':>26}{'most':>8}"]
        for kind in sorted({kind for _, kind in self.kills}):
            waits = self.again.get(kind, [])
            middle, most = (statistics.median(waits), max(waits)) if waits else (0.0, 0.0)
            lines.append(f"{kind:<12}{self.of(kind):>6}{middle:>24.1f} s{most:>6.1f} s")
        fatal = sum(kind not in SERVERS for _, kind in self.kills)
        lines += [
            f"{len(self.kills)} kills in {self.seconds:.0f} s; the command was sent {self.starts} "
            f"times, cohorts were taken up again {self.recoveries} times",
            f"{self.lost} of {self.planned} steps were trained again: "
            f"{self.lost / max(1, fatal):.1f} for each of {fatal} kills that end training, with a "
            f"checkpoint every {CHECKPOINT_SECONDS} s",
            "equal bit for bit" if not self.differing else f"DIFFERENT: {self.differing}",
        ]
        if self.spared:
            lines.append(f"NEVER KILLED: {', '.join(self.spared)}")
        return "\n".join(lines)


def waits(
    kills: Sequence[tuple[float, str]], processes: Sequence[Sequence[float]]
) -> dict[str, list[float]]:
    """By kind, seconds from each kill to the next step; of a process that had taken none before,
    where the kill ended one that trained. `processes` are the times of each one's steps."""
    found: dict[str, list[float]] = {}
    for when, kind in kills:
        able = processes if kind in SERVERS else [one for one in processes if min(one) > when]
        later = [time for times in able for time in times if time > when]
        if later:
            found.setdefault(kind, []).append(min(later) - when)
    return found


class Chaos:
    """A cluster, and the studies that it is to run; `rng` decides what is killed, and when."""

    def __init__(self, cluster: Cluster, steps: Path, seeds: int, rng: random.Random) -> None:
        self.cluster, self.steps, self.seeds, self.rng = cluster, steps, seeds, rng
        self.log = cluster.folder / "jobs.log"

    def run(self, seconds: float, pause: float, kinds: Sequence[str]) -> Found:
        """Disturb for `seconds`, about every `pause`, and compare with the same left alone."""
        found = Found(planned=NUM_CELLS * self.seeds * NUM_STEPS, asked=kinds)
        self._disturbed(found, seconds, pause, kinds)
        processes = [times for _, times in notes(self.steps)]
        found.lost = sum(map(len, processes)) - found.planned
        found.again = waits(found.kills, processes)
        disturbed = self._kept("disturbed")
        shutil.rmtree(self.steps, ignore_errors=True)
        print("the same, left alone", flush=True)
        assert self._sent("undisturbed").wait() == 0, self._end_of_log()
        found.differing = self._differences(disturbed, self._kept("undisturbed"))
        counted = sum(len(times) for _, times in notes(self.steps))
        if counted != found.planned:
            found.differing.append(f"left alone it took {counted} steps, not {found.planned}")
        return found

    def _disturbed(self, found: Found, seconds: float, pause: float, kinds: Sequence[str]) -> None:
        began = time.time()
        job = self._sent("disturbed")
        found.starts = 1
        deck: list[str] = []
        at = began + pause * self.rng.uniform(0.5, 1.5)
        while True:
            status = job.poll()
            if status == 0:
                break
            if status is not None:
                job = self._sent("disturbed")
                found.starts += 1
            now = time.time()
            assert now < began + seconds + LAST_SECONDS, self._end_of_log()
            if at <= now < began + seconds:
                deck = deck or self.rng.sample(list(kinds), len(kinds))
                # Where there is none of the first kind at the moment, the next one is taken.
                kind = next((kind for kind in deck if self._killed(kind)), None)
                if kind is None:
                    deck = []  # of those that are left there is none: the others have their turn
                else:
                    deck.remove(kind)
                    found.kills.append((now, kind))
                    print(f"{now - began:6.0f} s  {kind}", flush=True)
                    at = time.time() + pause * self.rng.uniform(0.5, 1.5)
            time.sleep(0.2)
        found.seconds = time.time() - began
        # What the server of runs missed is told by the same command, once it is there.
        found.recoveries = self._state("disturbed")["recoveries"]
        assert self._sent("disturbed").wait() == 0, self._end_of_log()

    def _state(self, study: str) -> dict[str, Any]:
        """What `seedbed status` reads."""
        return json.loads(read_object(f"{self._apart(study)}/{study}/state.json"))

    def _apart(self, study: str) -> str:
        """Results of its own: beside another it would take over what that has of its trials."""
        return f"s3://{self.cluster.config.bucket}/{study}-results"

    def _killed(self, kind: str) -> bool:
        if kind not in SERVERS:
            return kill_one(self.cluster, kind, SCRIPT, self.rng)
        server = next(one for one in self.cluster.services if one.name == kind)
        server.kill()
        time.sleep(self.rng.uniform(*AWAY_SECONDS))
        server.start()
        return True

    def _sent(self, name: str) -> subprocess.Popen[bytes]:
        line = ["env", f"CHAOS_STUDY={name}", "python", SCRIPT, "--seeds", str(self.seeds)]
        line += ["--storage", self._apart(name)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(BIN / "ray"), "job", "submit", "--", *line],
                cwd=CHECKOUT,
                env=submit_environment(self.cluster.reach),
                stdout=log,
                stderr=log,
            )

    def _kept(self, study: str) -> dict[str, object]:
        """What is to be equal: records in the bucket, states and curves in MLflow."""
        reach = self.cluster.reach
        runs = trial_runs(reach, study)
        return {
            **learned(records(f"{self._apart(study)}/{study}")),
            "states": sorted(run.info.status for run in runs),
            "steps": sorted(steps_told(reach, runs)),
        }

    def _differences(self, one: dict[str, object], other: dict[str, object]) -> list[str]:
        whole = ["FINISHED"] * NUM_CELLS * self.seeds
        named = [] if other["states"] == whole else [f"left alone: {other['states']}"]
        return named + [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]

    def _end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def environment(steps: Path) -> dict[str, str]:
    """What the study's jobs need of their cluster, to note their steps in the folder `steps`."""
    return {
        "SEEDBED_CHECKPOINT_SECONDS": str(CHECKPOINT_SECONDS),
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'platform'}",
        FOLDER: str(steps),
    }


@contextmanager
def chaos(seeds: int, seed: int) -> Iterator[Chaos]:
    """On a cluster of its own, with the demo corpus."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        config = read(CHECKOUT / "clusters" / "local.yaml").on_free_ports()
        config = config.with_environment(SEEDBED_SCALE="smoke", **environment(folder / "steps"))
        cluster = stack.enter_context(Cluster(config, folder))
        for name, value in cluster.reach.reading.items():
            patch.setenv(name, value)
        copied(cluster.reach, "emoji")
        yield Chaos(cluster, folder / "steps", seeds, random.Random(seed))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of killing (600)")
    parser.add_argument("--pause", type=float, default=25.0, help="between kills, on average (25)")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when (0)")
    parser.add_argument("--seeds", type=int, default=12, help="of the study: trials are 4 x (12)")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS, metavar="KIND")
    options = parser.parse_args(arguments)
    with chaos(options.seeds, options.seed) as one:
        found = one.run(options.seconds, options.pause, options.kinds)
    print(found.table())
    return found.failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
