"""Drains this node when its provider says that it will be taken away: a process beside Ray.

    python -m seedbed.cluster.notices

Ray listens to no provider by itself. A node that drains as preempted gets no new work, and Ray
Train tells the workers on it, who save and go on elsewhere. The provider is found out by asking;
on a machine of neither the process ends at once.

AWS: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
GCP: https://cloud.google.com/compute/docs/instances/create-use-preemptible
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

METADATA = "http://169.254.169.254"  # of both; the second calls it metadata.google.internal too
POLL_SECONDS = 5.0  # as AWS advises; GCP answers when it knows
ANSWER_SECONDS = 3.0  # of the metadata server, which is on the same machine
TOKEN_SECONDS = 6 * 3600  # the longest that AWS gives
WAIT_SECONDS = 60.0  # that GCP holds a request which waits for a change
# From the notice on: of AWS, where a recommendation names no time, and of GCP.
AWS_NOTICE_SECONDS, GCP_NOTICE_SECONDS = 120.0, 30.0
TRIES = 12  # to find out the provider: the network of a machine may come up after its processes
RETRY_SECONDS = 1.0  # between tries to drain: Ray may not have started yet
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Notice:
    """What the provider said, and when the node will be taken away, in Unix seconds."""

    words: str
    deadline: float


@dataclass(frozen=True)
class Answer:
    """An answer of the metadata server; one without a body is of status 404 or none at all."""

    status: int
    body: str
    headers: Any


def ask(
    url: str, headers: dict[str, str], method: str = "GET", seconds: float = ANSWER_SECONDS
) -> Answer:
    """What the metadata server answers; status 0 where it does not."""
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with NO_PROXY.open(request, timeout=seconds) as found:
            return Answer(found.status, found.read().decode(), found.headers)
    except urllib.error.HTTPError as error:
        return Answer(error.code, "", error.headers)
    except OSError:  # a URLError and a timeout too
        return Answer(0, "", {})


class Aws:
    """The instance metadata service, version 2: every request has a token, which runs out."""

    def __init__(self, metadata: str, *, rebalance: bool = True) -> None:
        self._base, self._rebalance = f"{metadata}/latest", rebalance
        self._token = ""

    def is_here(self) -> bool:
        self._token = self._new_token()
        return bool(self._token)

    def notices(self) -> Iterator[Notice]:
        """One when a rebalance is recommended, which may come to nothing, and one of the end."""
        recommended = not self._rebalance
        while True:
            if action := self._read("spot/instance-action"):
                said = json.loads(action)
                yield Notice(f"AWS: {said['action']} at {said['time']}", _unix(said["time"]))
                return
            if not recommended and self._read("events/recommendations/rebalance"):
                recommended = True
                deadline = time.time() + AWS_NOTICE_SECONDS
                yield Notice("AWS: a rebalance is recommended", deadline)
            time.sleep(POLL_SECONDS)

    def _read(self, name: str) -> str:
        """The text of this name; "" where there is none, which is the rule."""
        for _ in range(2):
            headers = {"X-aws-ec2-metadata-token": self._token}
            answer = ask(f"{self._base}/meta-data/{name}", headers)
            if answer.status != 401:
                return answer.body
            self._token = self._new_token()
        return ""

    def _new_token(self) -> str:
        life = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        return ask(f"{self._base}/api/token", life, method="PUT").body


class Gcp:
    """The metadata server: a request may wait until the value is another than the one known."""

    HEADERS = {"Metadata-Flavor": "Google"}  # noqa: RUF012

    def __init__(self, metadata: str) -> None:
        self._base = metadata

    def is_here(self) -> bool:
        found = ask(self._base, self.HEADERS).headers
        return bool(found.get("Metadata-Flavor") == "Google")

    def notices(self) -> Iterator[Notice]:
        place = f"{self._base}/computeMetadata/v1/instance/preempted"
        # Without the mark of what is known, a change before the request would be waited for.
        known = ""
        while True:
            waiting = f"&last_etag={known}&timeout_sec={WAIT_SECONDS:.0f}" if known else ""
            query = f"?wait_for_change=true{waiting}" if known else ""
            answer = ask(place + query, self.HEADERS, seconds=WAIT_SECONDS + ANSWER_SECONDS)
            if answer.body.strip().upper() == "TRUE":
                yield Notice("GCP: the instance is preempted", time.time() + GCP_NOTICE_SECONDS)
                return
            known = answer.headers.get("ETag", "")
            if not known:  # no answer, or of a server that does not wait
                time.sleep(POLL_SECONDS)


def provider(metadata: str, *, rebalance: bool = True) -> Aws | Gcp | None:
    """Whose machine this is, by who answers at `metadata`."""
    gcp, aws = Gcp(metadata), Aws(metadata, rebalance=rebalance)
    for left in reversed(range(TRIES)):
        if gcp.is_here():
            return gcp
        if aws.is_here():
            return aws
        if left:
            time.sleep(POLL_SECONDS)
    return None


def drain(address: str, node: str, notice: Notice) -> str:
    """Tell Ray that a node, this one without a name, will be preempted; the name of the node.

    Raises ConnectionError or RuntimeError where there is no such node, or not yet.
    """
    import ray
    from ray._private import services
    from ray.core.generated.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION

    gcs = services.canonicalize_bootstrap_address_or_die(address)
    client = ray._raylet.GcsClient(address=gcs)
    node = node or node_here(client, services.get_node_ip_address(gcs))
    milliseconds = int(1000 * notice.deadline)
    accepted, refusal = client.drain_node(
        node, DRAIN_NODE_REASON_PREEMPTION, notice.words, milliseconds
    )
    if not accepted:
        raise RuntimeError(f"Ray does not drain the node {node}: {refusal}")
    return node


def node_here(client: Any, ip: str) -> str:
    """The name of the node at the address `ip`."""
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    nodes = client.get_all_node_info().values()
    alive = [one for one in nodes if one.state == GcsNodeInfo.ALIVE]
    here = [one.node_id.hex() for one in alive if one.node_manager_address == ip]
    if len(here) != 1:
        there = ", ".join(sorted({one.node_manager_address for one in alive}))
        raise RuntimeError(
            f"{len(here)} nodes of Ray are at {ip}, and one is to be drained; nodes are at: "
            f"{there}. --node-id names it."
        )
    return here[0]


def say(words: str) -> None:
    print(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {words}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m seedbed.cluster.notices", description=__doc__)
    parser.add_argument("--metadata", default=METADATA, help="the metadata server (%(default)s)")
    parser.add_argument("--address", default="auto", help="of Ray (the one on this machine)")
    parser.add_argument("--node-id", default="", help="of Ray (the node at this machine's address)")
    parser.add_argument(
        "--no-rebalance", action="store_true", help="stay until AWS names the time of the end"
    )
    options = parser.parse_args(arguments)
    metadata = options.metadata.rstrip("/")
    found = provider(metadata, rebalance=not options.no_rebalance)
    if found is None:
        say(f"neither AWS nor GCP answers at {metadata}: no notice can come")
        return 0
    import ray  # now: it takes seconds, and a notice leaves few

    name = type(found).__name__.upper()
    say(f"watching for notices of {name} at {metadata}, with Ray {ray.__version__}")
    for notice in found.notices():
        say(notice.words)
        _drain_in_time(options.address, options.node_id, notice)
    return 0


def _drain_in_time(address: str, node: str, notice: Notice) -> None:
    """Drain, as often as it takes before the node is taken away."""
    said = ""
    while True:
        try:
            node = drain(address, node, notice)
        except Exception as error:  # Ray is not there yet, or restarts; we must outlive it
            if f"{error}" != said:
                said = f"{error}"
                say(f"not drained yet: {said}")
            if time.time() > notice.deadline:
                return
            time.sleep(RETRY_SECONDS)
        else:
            left = max(0.0, notice.deadline - time.time())
            say(f"Ray drains the node {node}, which has {left:.0f} s left")
            return


def _unix(text: str) -> float:
    """Seconds of a time as AWS writes it: 2026-11-28T08:22:00Z."""
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
