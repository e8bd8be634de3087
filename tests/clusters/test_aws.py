"""aws.yaml on an emulated EC2. Oracle: moto's EC2, its catalogue of instance types, and Ray's code.

Ray's own launcher prepares the account and launches every node type there, by the names and fields
that botocore knows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import botocore.awsrequest
import botocore.exceptions
import pytest
from ray.autoscaler._private.aws.utils import resource_cache
from ray.autoscaler._private.constants import BOTO_CREATE_MAX_RETRIES as TRIES
from ray.autoscaler._private.providers import _get_node_provider_cls
from ray.autoscaler.node_launch_exception import NodeLaunchException
from tests.clusters.autoscaler import TAGS, Autoscaler
from tests.clusters.emulated import REGION, emulated_account
from tests.clusters.launcher import checked, read, workers

pytestmark = pytest.mark.slow
NO_CAPACITY = ("InsufficientInstanceCapacity", "We currently do not have sufficient capacity")


@pytest.fixture(scope="module", autouse=True)
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, emulated_account() as made:
        # The launcher writes a key pair there.
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield made


@pytest.fixture(scope="module")
def config(group: str) -> dict[str, Any]:
    """aws.yaml as its owner has filled it in."""
    found = read("aws.yaml")
    for node in found["available_node_types"].values():
        node["node_config"]["SecurityGroupIds"] = [group]
    return found


@pytest.fixture(scope="module")
def provider_class(config: dict[str, Any]) -> Any:
    return _get_node_provider_cls(config["provider"])


@pytest.fixture(scope="module")
def bootstrapped(config: dict[str, Any], provider_class: Any) -> dict[str, Any]:
    """What `ray up` makes of it: subnets, a key."""
    found: dict[str, Any] = provider_class.bootstrap_config(checked(config))
    return found


def filled_by_ray(config: dict[str, Any], provider_class: Any) -> dict[str, dict[str, float]]:
    """The resources of each node type by EC2's catalogue alone."""
    bare = deepcopy(config)
    for node in bare["available_node_types"].values():
        node["resources"] = {}
    filled = provider_class.fillout_available_node_types_resources(bare)
    return {name: dict(node["resources"]) for name, node in workers(filled)}


def stated(config: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {name: dict(node["resources"]) for name, node in workers(config)}


def test_what_a_node_type_has_is_what_the_catalogue_says(
    config: dict[str, Any], provider_class: Any
) -> None:
    by_catalogue = filled_by_ray(config, provider_class)
    assert stated(config) == by_catalogue
    broken = deepcopy(config)
    broken["available_node_types"]["h100-8"]["resources"]["GPU"] = 4
    assert stated(broken) != by_catalogue
    broken["available_node_types"]["data"]["node_config"]["InstanceType"] = "m7i.9xlarge"
    with pytest.raises(ValueError, match=r"m7i\.9xlarge is not available"):
        filled_by_ray(broken, provider_class)


def test_the_head_is_bigger_than_what_it_offers(config: dict[str, Any]) -> None:
    head = config["available_node_types"]["head"]
    ec2 = boto3.client("ec2", region_name=REGION)
    kind = head["node_config"]["InstanceType"]
    (found,) = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    assert head["resources"]["memory"] < 0.7 * found["MemoryInfo"]["SizeInMiB"] * 2**20


def launch(bootstrapped: dict[str, Any], provider_class: Any, name: str, count: int = 1) -> Any:
    """EC2's description of what was launched."""
    provider = provider_class(bootstrapped["provider"], "seedbed")
    node = bootstrapped["available_node_types"][name]["node_config"]
    made = provider.create_node(node, {**TAGS, "ray-user-node-type": name}, count)
    ec2 = boto3.client("ec2", region_name=REGION)
    found = ec2.describe_instances(InstanceIds=list(made))["Reservations"]
    return [instance for one in found for instance in one["Instances"]]


@pytest.mark.parametrize("name", read("aws.yaml")["available_node_types"])
def test_every_node_type_is_launched(
    name: str, bootstrapped: dict[str, Any], provider_class: Any, group: str
) -> None:
    (instance,) = launch(bootstrapped, provider_class, name)
    node = bootstrapped["available_node_types"][name]["node_config"]
    assert instance["InstanceType"] == node["InstanceType"]
    assert [one["GroupId"] for one in instance["SecurityGroups"]] == [group]
    role = "seedbed-head" if name == "head" else "seedbed-worker"
    assert instance["IamInstanceProfile"]["Arn"].endswith(f"/{role}")
    assert instance.get("InstanceLifecycle") == (None if name == "head" else "spot")
    assert instance["MetadataOptions"]["HttpTokens"] == "required"


def test_an_unknown_field_of_ec2_is_refused(
    bootstrapped: dict[str, Any], provider_class: Any
) -> None:
    broken = deepcopy(bootstrapped)
    broken["available_node_types"]["data"]["node_config"]["InstanceMarketOption"] = {}
    with pytest.raises(botocore.exceptions.ParamValidationError, match="InstanceMarketOption"):
        launch(broken, provider_class, "data")


def test_a_group_that_is_not_there_is_refused(provider_class: Any) -> None:
    """As the file is shipped: Ray would otherwise make one with ssh open to the world."""
    ec2 = boto3.client("ec2", region_name=REGION)
    before = ec2.describe_security_groups()["SecurityGroups"]
    with pytest.raises(AssertionError):
        provider_class.bootstrap_config(checked(read("aws.yaml")))
    assert ec2.describe_security_groups()["SecurityGroups"] == before


@contextlib.contextmanager
def at_most(num_spot: int) -> Iterator[list[str]]:
    """EC2 has at most so many spot instances; the types that it refuses to launch as such.

    EC2 launches as many as it has of those that are asked for, and refuses where it has none; moto
    launches the least that is asked for.
    """
    refused: list[str] = []

    def answer(params: dict[str, Any], **_: Any) -> Any:
        asked = params["body"]
        asked["MinCount"] = asked["MaxCount"]
        if "InstanceMarketOptions.MarketType" not in asked:
            return None
        if num_spot:
            asked["MinCount"] = min(num_spot, asked["MaxCount"])
            return None
        refused.append(asked["InstanceType"])
        code, message = NO_CAPACITY
        refusal = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
        return botocore.awsrequest.AWSResponse("", 500, {}, None), refusal

    # Ray's own client for launches, which retries nothing.
    events = resource_cache("ec2", REGION, 0).meta.client.meta.events
    events.register("before-call.ec2.RunInstances", answer)
    try:
        yield refused
    finally:
        events.unregister("before-call.ec2.RunInstances", answer)


@pytest.mark.parametrize("num_spot", [0, 2])
def test_what_cannot_be_had_as_spot_is_launched_on_demand(
    num_spot: int, bootstrapped: dict[str, Any], provider_class: Any
) -> None:
    with at_most(num_spot):
        made = launch(bootstrapped, provider_class, "a10g-1", count=3)
    assert len(made) == 3
    assert sum(one.get("InstanceLifecycle") == "spot" for one in made) == num_spot


def test_what_is_wrong_is_not_launched_on_demand(
    bootstrapped: dict[str, Any], provider_class: Any
) -> None:
    broken = deepcopy(bootstrapped)
    broken["available_node_types"]["data"]["node_config"]["IamInstanceProfile"] = {"Name": "none"}
    with pytest.raises(NodeLaunchException):
        launch(broken, provider_class, "data")


def test_where_aws_has_no_spot_the_autoscaler_gets_a_node_on_demand(
    bootstrapped: dict[str, Any], tmp_path: Path
) -> None:
    asked = {"GPU": 1.0, "accelerator_type:A10G": 0.001}
    two_types = deepcopy(bootstrapped)
    two_types["provider"] |= {"type": "aws"}
    on_demand = deepcopy(two_types["available_node_types"]["a10g-1"])
    on_demand["node_config"].pop("InstanceMarketOptions")
    two_types["available_node_types"]["a10g-1"]["priority"] = 1
    two_types["available_node_types"]["a10g-1-on-demand"] = on_demand
    with at_most(0) as refused:
        assert Autoscaler(bootstrapped, asked, tmp_path / "ours").run(30) == ["a10g-1"]
        # Why there is a provider of our own: Ray's is asked for spot instances again and again, and
        # never for the second type. Once it is, ours can go.
        refused.clear()
        assert Autoscaler(two_types, asked, tmp_path / "rays").run(8) == []
        assert len(refused) > 2 * TRIES
