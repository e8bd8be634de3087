"""`ray up clusters/aws.yaml`, but for the machines. Oracle: Ray's own launcher, from the account to
the last command on a node; EC2 is moto, and what goes over ssh runs in a real bash here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from ray.autoscaler._private import commands
from ray.autoscaler._private.providers import _get_node_provider
from ray.autoscaler.v2.instance_manager.config import FileConfigReader
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.core.generated.instance_manager_pb2 import Instance
from tests.clusters.autoscaler import TAGS
from tests.clusters.emulated import emulated_account
from tests.clusters.launcher import ROOT, checked, read
from tests.clusters.node_here import Call, NodeHere

pytestmark = pytest.mark.slow
TOKEN, LOGIN = "0123456789abcdef" * 4, "[mlflow]\nmlflow_tracking_password = secret\n"


def start_command() -> click.Command:
    from ray.scripts.scripts import cli  # slow: it imports all of Ray

    return cli.commands["start"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is sent of the checkout; of `alone.sh`, which ends machines, only that it was called."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in read("aws.yaml")["file_mounts"].values():
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        elif not name.startswith("~"):
            shutil.copy(ROOT / name, folder / name)
    (folder / "clusters" / "alone.sh").write_text("python alone.sh\n")
    return folder


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory, checkout: Path
) -> Iterator[tuple[NodeHere, dict[str, Any], Any]]:
    """The head after `ray up`, the launcher's configuration, and the provider."""
    with pytest.MonkeyPatch.context() as patch, emulated_account() as group:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.chdir(checkout)
        files = {".ray/auth_token": TOKEN, ".mlflow/credentials": LOGIN}
        files[".seedbed/cluster.env"] = (ROOT / "clusters" / "cluster.env").read_text()
        for name, text in files.items():
            (home / name).parent.mkdir()
            (home / name).write_text(text)
        config = read("aws.yaml")
        for node in config["available_node_types"].values():
            node["node_config"]["SecurityGroupIds"] = [group]
        provider = _get_node_provider(config["provider"], config["cluster_name"])
        bootstrapped = type(provider).bootstrap_config(checked(config))
        node = NodeHere(tmp_path_factory.mktemp("head"))
        patch.setenv("PATH", f"{node.programs}:/usr/bin:/bin")
        assert shutil.which("ssh") == str(node.programs / "ssh")  # nothing leaves this machine
        commands.get_or_create_head_node(
            bootstrapped, "clusters/aws.yaml", False, False, True, None, _provider=provider
        )
        yield node, bootstrapped, provider


def started(node: NodeHere) -> Call:
    """How Ray was started; its options are those of `ray start`."""
    (call,) = node.calls("ray", "start")
    start_command().make_context("start", call.arguments[1:])
    assert call.environment["RAY_AUTH_MODE"] == "token"
    assert Path(call.folder) == node.home / "seedbed"
    assert call.environment["SEEDBED_STORAGE"] == "s3://my-bucket/results"
    return call


def test_the_head_starts_in_the_checkout_with_what_the_file_says(
    up: tuple[NodeHere, dict[str, Any], Any],
) -> None:
    node, _, _ = up
    call = started(node)
    head = read("aws.yaml")["available_node_types"]["head"]
    assert json.loads(call.environment["RAY_OVERRIDE_RESOURCES"]) == head["resources"]
    assert json.loads(call.environment["RAY_OVERRIDE_LABELS"]) == head["labels"]
    assert call.environment["RAY_enable_autoscaler_v2"] == "1"
    assert "OMP_NUM_THREADS" not in call.environment
    assert (node.home / "seedbed" / "studies" / "text_encoder_depth.py").exists()
    (install,) = node.calls("pip", "install")
    assert install.arguments[-1] == str(node.home / "seedbed")
    assert str(node.home / "seedbed" / "constraints.txt") in install.arguments
    assert not node.calls("sudo") and not node.calls("python", "-m", "seedbed.cluster.notices")


def test_what_is_secret_is_in_files_of_its_owner_alone(
    up: tuple[NodeHere, dict[str, Any], Any],
) -> None:
    node, _, _ = up
    for name, text in ((".ray/auth_token", TOKEN), (".mlflow/credentials", LOGIN)):
        assert (node.home / name).read_text() == text
        assert (node.home / name).stat().st_mode & 0o777 == 0o600
    assert TOKEN not in (node.home / "ray_bootstrap_config.yaml").read_text()
    for call in node.calls("ray"):
        assert TOKEN not in json.dumps([call.arguments, call.environment])


def test_a_worker_joins_the_head_and_is_watched(
    up: tuple[NodeHere, dict[str, Any], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, bootstrapped, provider = up
    # What the head's autoscaler does, by the configuration that it was sent.
    monkeypatch.setenv("HOME", str(head.home))
    monkeypatch.chdir(head.home)
    config = FileConfigReader(
        str(head.home / "ray_bootstrap_config.yaml"), skip_content_hash=True
    ).get_cached_autoscaling_config()
    launch = bootstrapped["available_node_types"]["a10g-1"]["node_config"]
    (made,) = provider.create_node(launch, TAGS, 1)
    assert made in provider.non_terminated_nodes({})
    node = NodeHere(tmp_path / "worker")
    monkeypatch.setenv("PATH", f"{node.programs}:/usr/bin:/bin")
    instance = Instance(instance_id="1", instance_type="a10g-1", cloud_instance_id=made)
    RayInstaller(provider, config).install_ray(instance, "10.0.0.1")
    call = started(node)
    assert "--address=10.0.0.1:6379" in call.arguments
    stated = read("aws.yaml")["available_node_types"]["a10g-1"]["resources"]
    assert json.loads(call.environment["RAY_OVERRIDE_RESOURCES"]) == stated
    # Both go on when the launcher has left.
    (watcher,) = node.soon("python", "-m", "seedbed.cluster.notices")
    assert watcher.environment["RAY_AUTH_MODE"] == "token"
    assert len(node.soon("python", "alone.sh")) == 1


def test_an_option_that_ray_does_not_know_is_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        start_command().make_context("start", ["--head", "--dashbord-host=127.0.0.1"])
