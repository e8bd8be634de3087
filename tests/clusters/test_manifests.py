"""What stands beside Ray on Kubernetes: MLflow, its database, the image. Oracle: Kubernetes' own
schemas, and MLflow's command line."""

from __future__ import annotations

import re
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml
from tests.clusters.launcher import CLUSTERS, ROOT
from tests.clusters.manifests import FOLDER, OBJECTS, PLAIN, cluster_of, only, validate


def server_command() -> click.Command:
    from mlflow.cli import server  # slow: it imports all of MLflow

    return server


@pytest.mark.parametrize("name", PLAIN)
def test_kubernetes_takes_every_object(name: str) -> None:
    validate(OBJECTS[name])


def test_a_broken_copy_is_refused() -> None:
    typo = only("mlflow.yaml", "Deployment")
    typo["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        validate(typo)
    other_kind = only("network.yaml", "NetworkPolicy", "ray")
    other_kind["spec"]["ingress"][1]["ports"] = [{"port": {"number": 8265}}]
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(other_kind)


@pytest.mark.slow
def test_mlflow_knows_every_option_and_asks_for_a_login() -> None:
    container = only("mlflow.yaml", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["mlflow", "server"]
    given = server_command().make_context("server", list(container["args"])).params
    assert given["app_name"] == "basic-auth"
    assert given["backend_store_uri"].startswith("postgresql+psycopg2://mlflow@")
    # Its own names, and no `*`.
    service = only("mlflow.yaml", "Service", "mlflow")
    (port,) = (one["port"] for one in service["spec"]["ports"])
    assert f"mlflow:{port}" in given["allowed_hosts"].split(",")
    assert "*" not in given["allowed_hosts"]
    with pytest.raises(click.NoSuchOption):
        server_command().make_context("server", ["--allow-hosts=mlflow"])
    uri = only("base.yaml", "ConfigMap")["data"]["MLFLOW_TRACKING_URI"]
    assert uri == f"http://mlflow:{port}"


@pytest.mark.slow
def test_postgres_has_connections_for_every_worker_of_mlflow() -> None:
    container = only("mlflow.yaml", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {one["name"]: one.get("value") for one in container["env"]}
    given = server_command().make_context("server", list(container["args"])).params
    pool, over = "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"
    most = int(given["workers"]) * (int(env[pool] or 0) + int(env[over] or 0))
    database = only("mlflow.yaml", "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    (allowed,) = re.findall(r"max_connections=(\d+)", " ".join(database["args"]))
    assert 2 * most <= int(allowed)  # runs and logins


def test_no_secret_is_in_a_file() -> None:
    assert not [one for one in OBJECTS.values() if one["kind"] == "Secret"]
    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    named = re.findall(r"name: (\w*(?:PASSWORD|SECRET_KEY)\w*), (\w+)", text)
    assert {how for _, how in named} == {"valueFrom", "value"}
    assert {name for name, how in named if how == "value"} == {"POSTGRES_PASSWORD_FILE"}


def test_the_image_has_the_checkout_where_ray_starts_and_pinned_packages() -> None:
    lines = (CLUSTERS / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[2:-1]]
    assert all((ROOT / name).exists() for name in copied)
    kept = (CLUSTERS / "Dockerfile.dockerignore").read_text().split()
    assert {name for name in kept if name.startswith("!")} == {f"!{name}" for name in copied}
    (install,) = (line for line in lines if "pip install" in line)
    assert "--constraint constraints.txt" in install
    (extra,) = re.findall(r"\[(\w+)\]", install)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()
    (user,) = (line.split()[1] for line in lines if line.startswith("USER"))
    head = cluster_of(only("raycluster.yaml", "RayCluster"))["headGroupSpec"]["template"]["spec"]
    assert int(user) == head["securityContext"]["runAsUser"]
    # The login of MLflow is read from the home of this user.
    (home,) = (line.split()[1] for line in lines if line.startswith("WORKDIR"))
    mounts = [one["mountPath"] for one in head["containers"][0]["volumeMounts"]]
    assert str(Path(home).parent / ".mlflow") in mounts


def test_kustomize_finds_what_it_applies() -> None:
    found = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert all((FOLDER / name).exists() for name in found)
    applied = {name for name in OBJECTS if name.split(":")[0] in found}
    assert applied == set(PLAIN)
