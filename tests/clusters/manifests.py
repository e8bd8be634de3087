"""What tests of the files for Kubernetes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import yaml
from tests.clusters.launcher import CLUSTERS

FOLDER = CLUSTERS / "kuberay"
KUBERNETES = "1.34"
OF_KUBERAY = {"RayCluster": "rayclusters", "RayJob": "rayjobs"}
OF_OTHERS = {"kueue.x-k8s.io/v1beta2", "kustomize.config.k8s.io/v1beta1"}


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            name = one.get("metadata", {}).get("name", "")
            yield f"{path.name}: {one['kind']} {name}", one


OBJECTS = dict(objects())
OWN = [name for name, one in OBJECTS.items() if one["apiVersion"] not in OF_OTHERS]
PLAIN = [name for name in OWN if OBJECTS[name]["kind"] not in OF_KUBERAY]
RAY = [name for name in OWN if OBJECTS[name]["kind"] in OF_KUBERAY]


def only(file: str, kind: str, name: str = "") -> dict[str, Any]:
    found = list(yaml.safe_load_all((FOLDER / file).read_text()))
    (one,) = (o for o in found if o["kind"] == kind and name in ("", o["metadata"]["name"]))
    return dict(one)


def cluster_of(one: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = one["spec"]
    return spec.get("rayClusterSpec", spec)


def templates(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The templates of pods inside one of KubeRay's resources."""
    spec = cluster_of(one)
    yield spec["headGroupSpec"]["template"]
    for group in spec["workerGroupSpecs"]:
        yield group["template"]
    if "submitterPodTemplate" in one["spec"]:
        yield one["spec"]["submitterPodTemplate"]


def validate(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, KUBERNETES, strict=True)
