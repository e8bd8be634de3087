"""Kills parts of a cluster at random while a study of many small trials runs on it.

Where its driver is among them, the same command is sent again. At the end the study must be
complete, and bit for bit what it is when nobody disturbs it.

    python -m tests.chaos.chaos [--seconds 600] [--pause 15] [--seed 0] [--seeds 12] [--kinds …]

With `--outside` the command is no job on the head, but a driver beside the cluster, which outlives
the head and is to end by itself.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.counted import FOLDER, notes
from tests.chaos.found import CHECKPOINT_SECONDS, Found, waits
from tests.chaos.victims import KINDS, OF_THE_HEAD, SERVERS, drain_one, kill_one, lose_head
from tests.fixtures.local_cluster import learned, records, steps_told, trial_runs

from seedbed.storage.objects import read_object
from seedbed_local.cluster import CHECKOUT, MARK, Cluster
from seedbed_local.config import read
from seedbed_local.demo import copied, submit_environment
from seedbed_local.head import BIN

SCRIPT = str(Path(__file__).parent / "small_trials.py")
NUM_CELLS, NUM_STEPS = 4, 100
AWAY_SECONDS = 60.0  # how long a server is away
DRIVER_SECONDS = 300.0  # in which a driver ends whose cluster is lost
LAST_SECONDS = 3_600.0  # on two cores, in which a study ends that is no longer disturbed


class Chaos:
    """A cluster, and the studies that it is to run; `rng` decides what is killed, and when."""

    def __init__(
        self, cluster: Cluster, steps: Path, seeds: int, rng: random.Random, outside: bool
    ) -> None:
        self.cluster, self.steps, self.seeds, self.rng = cluster, steps, seeds, rng
        self.outside = outside
        self.log = cluster.folder / "jobs.log"
        self.job: subprocess.Popen[bytes] | None = None  # what was sent last

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
        at = math.inf
        while True:
            status = job.poll()
            if status == 0:
                break
            if status is not None:
                found.ended.append(status)
                job = self._sent("disturbed")
                found.starts += 1
            now = time.time()
            assert now < began + seconds + LAST_SECONDS, self._end_of_log()
            if at == math.inf and any(True for _ in notes(self.steps)):
                at = now + pause * self.rng.uniform(0.5, 1.5)  # once there is something to lose
            # Longer where a kind has not had its turn.
            if at <= now and (now < began + seconds or found.spared):
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
        if kind == "drain":
            return drain_one(self.cluster, self.rng)
        if kind in OF_THE_HEAD:
            return self._head_lost(kind)
        if kind not in SERVERS:
            return kill_one(self.cluster, kind, SCRIPT, self.rng)
        server = next(one for one in self.cluster.services if one.name == kind)
        server.kill()
        time.sleep(AWAY_SECONDS)
        server.start()
        return True

    def _head_lost(self, kind: str) -> bool:
        """It is started anew. A driver that is no job on it has to end by itself before."""

        def say(words: str) -> None:
            print(f"{kind:>12}: {words}", flush=True)

        if not lose_head(self.cluster, kind, self.rng, say):
            return False
        if self.outside and self.job is not None:
            began = time.monotonic()
            status = self.job.wait(DRIVER_SECONDS)
            say(f"the driver ended {time.monotonic() - began:.0f} s later with status {status}")
        self.cluster.ray.start()
        return True

    def _sent(self, name: str) -> subprocess.Popen[bytes]:
        line = ["env", f"CHAOS_STUDY={name}", "python", SCRIPT, "--seeds", str(self.seeds)]
        line += ["--storage", self._apart(name)]
        environment = submit_environment(self.cluster.reach)
        if self.outside:
            environment |= self.cluster.job_environment
            environment |= {"RAY_ADDRESS": self.cluster.ray.address, MARK: self.cluster.mark}
        else:
            line = [str(BIN / "ray"), "job", "submit", "--", *line]
        with self.log.open("ab") as log:
            self.job = subprocess.Popen(line, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        return self.job

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
def chaos(seeds: int, seed: int, *, outside: bool = False) -> Iterator[Chaos]:
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
        yield Chaos(cluster, folder / "steps", seeds, random.Random(seed), outside)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of killing (600)")
    parser.add_argument("--pause", type=float, default=15.0, help="between kills, on average (15)")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when (0)")
    parser.add_argument("--seeds", type=int, default=12, help="of the study: trials are 4 x (12)")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS, metavar="KIND")
    parser.add_argument("--outside", action="store_true", help="the driver is no job on the head")
    options = parser.parse_args(arguments)
    with chaos(options.seeds, options.seed, outside=options.outside) as one:
        found = one.run(options.seconds, options.pause, options.kinds)
    print(found.table())
    return found.failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
