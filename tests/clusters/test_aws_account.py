"""aws-account.yaml. Oracle: cfn-lint, which has Amazon's schema of every kind of resource."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.clusters.launcher import read

NAME = "aws-account.yaml"


def found(template: dict[str, Any]) -> list[str]:
    from cfnlint.api import lint  # slow

    return [f"{one.rule.id} {one.message}" for one in lint(yaml.safe_dump(template))]


def of_kind(kind: str) -> list[dict[str, Any]]:
    made = read(NAME)["Resources"].values()
    return [one["Properties"] for one in made if one["Type"] == kind]


def actions(policy: dict[str, Any]) -> set[str]:
    rules = policy["PolicyDocument"]["Statement"]
    listed = [rule["Action"] for rule in rules]
    return {name for one in listed for name in ([one] if isinstance(one, str) else one)}


@pytest.mark.slow
def test_cloudformation_takes_it_and_no_broken_copy() -> None:
    assert found(read(NAME)) == []
    typo = read(NAME)
    typo["Resources"]["Group"]["Properties"]["SecurityGroupIngres"] = []
    assert "SecurityGroupIngres" in "".join(found(typo))
    dangling = read(NAME)
    dangling["Resources"]["HeadProfile"]["Properties"]["Roles"] = [{"Ref": "Head"}]
    assert "'Head' is not one of" in "".join(found(dangling))


def test_nothing_is_open_but_ssh_from_one_address() -> None:
    (group,) = of_kind("AWS::EC2::SecurityGroup")
    (rule,) = group["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIp"]) == (22, 22, {"Ref": "MyAddress"})
    (own,) = of_kind("AWS::EC2::SecurityGroupIngress")
    assert own["SourceSecurityGroupId"] == own["GroupId"]


def test_no_role_may_do_everything() -> None:
    (bucket,), (autoscaling,) = of_kind("AWS::IAM::ManagedPolicy"), of_kind("AWS::IAM::Policy")
    assert all(name.startswith("s3:") for name in actions(bucket))
    assert {"ec2:RunInstances", "ec2:TerminateInstances"} <= actions(autoscaling)
    assert not any("*" in name for name in actions(bucket) | actions(autoscaling))
    head = {"Ref": "HeadRole"}
    assert autoscaling["Roles"] == [head]
    # Only what Ray has started is ended, and its nodes get the workers' role alone.
    rules = {str(rule["Action"]): rule for rule in autoscaling["PolicyDocument"]["Statement"]}
    ended = rules["ec2:TerminateInstances"]["Condition"]["StringEquals"]
    assert ended == {"aws:ResourceTag/ray-cluster-name": read("aws.yaml")["cluster_name"]}
    assert rules["iam:PassRole"]["Resource"] == {"Fn::GetAtt": ["WorkerRole", "Arn"]}


def test_the_profiles_are_those_that_the_nodes_name() -> None:
    named = {
        node["node_config"]["IamInstanceProfile"]["Name"]
        for node in read("aws.yaml")["available_node_types"].values()
    }
    assert {one["InstanceProfileName"] for one in of_kind("AWS::IAM::InstanceProfile")} == named
