"""kuberay/. Oracle: Kubernetes' own schemas, those of KubeRay's resources, and Ray's autoscaler."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
    _round_up_k8s_quantity,
)
from tests.clusters.launcher import CLUSTERS, launched_for
from tests.clusters.manifests import OBJECTS, OF_KUBERAY, RAY, cluster_of, only, templates, validate

from seedbed.cluster import notices


@pytest.mark.slow
@pytest.mark.parametrize("name", RAY)
def test_kubernetes_takes_every_pod_of_ray(name: str) -> None:
    for template in templates(OBJECTS[name]):
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        validate({**pod, "metadata": {"name": "one", **template.get("metadata", {})}})


@pytest.fixture(scope="module")
def checks() -> dict[str, Any]:
    """What checks each kind of KubeRay's resources."""
    path = os.environ.get("KUBERAY_CRD_SCHEMA")
    if not path:
        pytest.skip("KUBERAY_CRD_SCHEMA names no file with the schemas of KubeRay's resources")
    schemas = json.loads(Path(path).read_text())
    return {kind: jsonschema.Draft202012Validator(schemas[OF_KUBERAY[kind]]) for kind in OF_KUBERAY}


def errors(one: dict[str, Any], checks: dict[str, Any]) -> str:
    return "; ".join(error.message for error in checks[one["kind"]].iter_errors(one))


@pytest.mark.parametrize("name", RAY)
def test_kuberay_takes_every_resource_and_no_broken_copy(name: str, checks: dict[str, Any]) -> None:
    assert errors(OBJECTS[name], checks) == ""
    typo = deepcopy(OBJECTS[name])
    cluster_of(typo)["workerGroupSpecs"][0]["maxReplica"] = 3
    assert "'maxReplica' was unexpected" in errors(typo, checks)
    text = deepcopy(OBJECTS[name])
    cluster_of(text)["workerGroupSpecs"][0]["maxReplicas"] = "eight"
    assert "'eight' is not of type 'integer'" in errors(text, checks)


def autoscaling() -> dict[str, Any]:
    """raycluster.yaml as Ray's autoscaler reads it from Kubernetes."""
    cluster = only("raycluster.yaml", "RayCluster")
    found: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(cluster)
    return found


def test_it_grows_by_the_group_that_is_asked_for() -> None:
    config = autoscaling()
    assert launched_for(config) == Counter()
    assert launched_for(config, *[{"memory": 100e6}] * 20) == Counter()
    assert set(launched_for(config, {"CPU": 1.0, "memory": 5e8})) == {"data"}
    for kind, count, group in [
        ("A10G", 1, "a10g-1"), ("A10G", 8, "a10g-8"), ("A100", 8, "a100-8"),
        ("H100", 1, "h100-1"), ("H100", 8, "h100-8"),
    ]:  # fmt: skip
        asked = {"CPU": 4.0, "GPU": float(count), f"accelerator_type:{kind}": 0.001}
        assert launched_for(config, asked) == Counter({group: 1})
    assert launched_for(config, {"GPU": 1.0, "accelerator_type:B200": 0.001}) == Counter({"": 1})


def test_a_group_has_no_more_than_the_machine_of_the_same_type_on_aws() -> None:
    nodes = yaml.safe_load((CLUSTERS / "aws.yaml").read_text())["available_node_types"]
    machines = {node["node_config"]["InstanceType"]: node["resources"] for node in nodes.values()}
    groups = cluster_of(only("raycluster.yaml", "RayCluster"))["workerGroupSpecs"]
    for group in groups:
        pod = group["template"]["spec"]
        machine = machines[pod["nodeSelector"]["node.kubernetes.io/instance-type"]]
        limits = pod["containers"][0]["resources"]["limits"]
        assert int(limits.get("nvidia.com/gpu", 0)) == machine.get("GPU", 0)
        assert int(limits["cpu"]) < machine["CPU"]
        # Ray's 70 % are what tasks may have; the pod has the store of objects too.
        memory = _round_up_k8s_quantity(limits["memory"])
        assert machine["memory"] < memory < machine["memory"] / 0.7
        kinds = {name for name in machine if name.startswith("accelerator_type:")}
        assert set(group.get("resources", {})) == kinds
        assert ("tolerations" in pod) == bool(kinds)


def test_a_job_has_the_same_cluster() -> None:
    cluster = cluster_of(only("raycluster.yaml", "RayCluster"))
    assert cluster_of(only("rayjob.yaml", "RayJob")) == cluster
    assert cluster["autoscalerOptions"]["version"] == "v2"


@pytest.mark.parametrize("name", RAY)
def test_ray_asks_for_its_token_and_no_pod_is_root(name: str) -> None:
    assert cluster_of(OBJECTS[name])["authOptions"] == {"mode": "token"}
    for template in templates(OBJECTS[name]):
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_kueue_has_room_for_what_the_job_asks_for_and_no_autoscaler_beside_it() -> None:
    job = only("kueue.yaml", "RayJob")
    spec = cluster_of(job)
    assert spec["enableInTreeAutoscaling"] is False and "autoscalerOptions" not in spec
    assert job["spec"]["suspend"] is True and job["spec"]["shutdownAfterJobFinishes"] is True
    queue = only("kueue.yaml", "LocalQueue")
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": queue["metadata"]["name"]}
    assert job["metadata"]["namespace"] == queue["metadata"]["namespace"]
    shared = only("kueue.yaml", "ClusterQueue")
    assert queue["spec"]["clusterQueue"] == shared["metadata"]["name"]
    (group,) = shared["spec"]["resourceGroups"]
    (flavor,) = group["flavors"]
    assert flavor["name"] == only("kueue.yaml", "ResourceFlavor")["metadata"]["name"]
    quota = {
        one["name"]: _round_up_k8s_quantity(str(one["nominalQuota"])) for one in flavor["resources"]
    }
    asked: Counter[str] = Counter()
    pods = [(1, spec["headGroupSpec"]["template"]), (1, job["spec"]["submitterPodTemplate"])]
    for one in spec["workerGroupSpecs"]:
        assert one["replicas"] == one["minReplicas"] == one["maxReplicas"]
        pods.append((one["replicas"], one["template"]))
    for count, template in pods:
        for name, amount in template["spec"]["containers"][0]["resources"]["requests"].items():
            asked[name] += count * _round_up_k8s_quantity(amount)
    assert quota.keys() == asked.keys() == set(group["coveredResources"])
    assert all(asked[name] <= quota[name] for name in asked)


def test_a_pod_that_ends_drains_its_node_by_our_own_watcher() -> None:
    group = cluster_of(only("raycluster.yaml", "RayCluster"))["workerGroupSpecs"][0]
    container = group["template"]["spec"]["containers"][0]
    python, flag, code = container["lifecycle"]["preStop"]["exec"]["command"]
    assert (python, flag) == ("python", "-c")
    calls = [one for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Call)]
    named = {one.func.id: one for one in calls if isinstance(one.func, ast.Name)}
    inspect.signature(notices.drain).bind(*named["drain"].args)
    inspect.signature(notices.Notice).bind(*named["Notice"].args)
    (seconds,) = re.findall(r"sleep\((\d+)\)", code)
    assert int(seconds) < group["template"]["spec"]["terminationGracePeriodSeconds"]
