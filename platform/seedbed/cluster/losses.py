"""Whether an error says that the cluster was lost, and nothing of what ran on it."""

from __future__ import annotations

from ray import exceptions as ray

# Ray has no class for all of them. What a task raises (RayTaskError) is not among them.
LOSSES = (
    ray.LocalRayletDiedError,
    ray.NodeDiedError,
    ray.ObjectLostError,
    ray.RayActorError,
    ray.RaySystemError,
    ray.RpcError,
    ray.WorkerCrashedError,
    ConnectionError,
)


def is_loss(error: BaseException) -> bool:
    """Whether Ray's own processes, or a connection to them, failed."""
    return isinstance(error, LOSSES) and not isinstance(error, ray.RayTaskError)
