"""Connects a driver to Ray: the cluster of RAY_ADDRESS, or a private one. Both need a token.

Ray listens on every interface, a private one too, and whoever can reach its ports can run code. So
nothing is started or joined without a token unless RAY_AUTH_MODE=disabled says so.
https://docs.ray.io/en/latest/ray-security/token-auth.html
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

import ray

from seedbed.cluster.away import end_with_the_cluster
from seedbed.cluster.own_job import IN_JOB
from seedbed.errors import ClusterAwayError, ResourceError

RAY_SETTINGS = {
    # fit() returns at the next health check, which by default comes every 3 s.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Threads of a rank that wait for each other turn in a loop, and keep the core from the data
    # tasks that would use it. With fewer turns than libgomp's own 300,000, a step of a small ResNet
    # on two cores takes 0.6 to 0.8 of the time beside other processes, and half the CPU; alone 1.1
    # (tests/benchmarks/bench_spinning.py).
    "GOMP_SPINCOUNT": "1000",
}
PRIVATE_SETTINGS = {
    # A private Ray is one node, whose end is the driver's too: nobody would act on notice of it,
    # and the actor that waits for it takes each group of workers 1.7 s of a core (measured).
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_preload_python_modules": "seedbed.cluster.preloaded",
}
AUTH_MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
OPEN = "whoever can reach an open Ray can run code on it, and read what it reads"
PROBE_SECONDS = 5.0


def connect() -> str:
    """Join the cluster of RAY_ADDRESS (a job's own, too), or start a private one; returns which.

    This process ends with it (`away`). Raises ResourceError where a cluster would be joined without
    a token, or refuses ours.
    """
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if ray.is_initialized():
        return "the Ray that is already connected"
    address = os.environ.get("RAY_ADDRESS")
    _check(address or "")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # silences Tune's own tables
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    authenticate(address)
    if address:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ray.exceptions.AuthenticationError) as error:
            raise ClusterAwayError(
                f"the Ray cluster at {address} cannot be joined",
                why=f"{error} (it does not answer, or refuses the token)",
                mend=f"check RAY_ADDRESS, and that {TOKEN_PATH} names the cluster's token "
                "(`ray get-auth-token` on its head prints it)",
            ) from None
        end_with_the_cluster()
        return f"the Ray cluster at {address}"
    for name, value in PRIVATE_SETTINGS.items():
        os.environ.setdefault(name, value)
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    end_with_the_cluster()
    return "a private Ray on this machine (RAY_ADDRESS joins another)"


def _check(address: str) -> None:
    """Raises ResourceError for the address of a cluster's dashboard: it takes jobs alone."""
    if address.startswith(("http://", "https://")):
        raise ResourceError(
            f"RAY_ADDRESS={address} is where a cluster takes jobs, and cannot be joined from here",
            why="this command would be a driver on this machine, and a driver joins at Ray's own "
            "port",
            mend="run it on the cluster, `ray job submit -- COMMAND`, or without RAY_ADDRESS on "
            "this machine",
        )


def authenticate(address: str | None) -> None:
    """Turn on token authentication for this process and its children; call it before Ray starts.

    RAY_AUTH_MODE is left as it is where it is set. A private Ray gets a token of its own, valid
    while it runs. A cluster without authentication is not joined, not even with a token: nobody has
    said that it may be open. A submitted job runs inside its cluster, with what the cluster gave
    it.
    """
    if os.environ.get(AUTH_MODE) or (address and os.environ.get(IN_JOB)):
        return
    if address and not has_token():
        raise ResourceError(
            f"RAY_ADDRESS={address} would be joined without a token",
            why=OPEN,
            mend=f"put the cluster's token (`ray get-auth-token` on its head) where {TOKEN_PATH} "
            f"points or into ~/.ray/auth_token; {AUTH_MODE}=disabled joins an open cluster",
        )
    if address and is_open(address):
        # Its workers could not call back a driver that requires a token.
        raise ResourceError(
            f"the Ray cluster at {address} is open: it asks nobody for a token",
            why=OPEN,
            mend=f"start it with {AUTH_MODE}=token, or say {AUTH_MODE}=disabled to join it so",
        )
    if not address and not has_token():
        os.environ[TOKEN] = secrets.token_hex(32)
    os.environ[AUTH_MODE] = "token"
    # Ray read the mode when it was imported, before it was set here: read it again.
    ray._raylet.Config.initialize("")


def is_open(address: str) -> bool:
    """Whether the cluster at `address` answers requests without a token.

    False too where nothing answers, and for addresses of another kind: joining then gives the
    error.
    """
    import grpc
    from ray._private.services import canonicalize_bootstrap_address

    try:
        place = canonicalize_bootstrap_address(address)
        if not place or "://" in place:
            return False
        with grpc.insecure_channel(place) as channel:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")(
                b"", timeout=PROBE_SECONDS
            )
    except (grpc.RpcError, ConnectionError, ValueError):
        return False
    return True


def has_token() -> bool:
    """Whether there is a token where Ray looks for one."""
    if os.environ.get(TOKEN):
        return True
    named = os.environ.get(TOKEN_PATH)
    place = Path(named) if named else Path.home() / ".ray" / "auth_token"
    return place.is_file()
