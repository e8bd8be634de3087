"""An account at AWS, emulated by moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws
from tests.clusters.launcher import read

REGION = "us-west-2"


@contextmanager
def emulated_account() -> Iterator[str]:
    """One with what aws-account.yaml makes, by name; its security group."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        iam = boto3.client("iam", region_name=REGION)
        for one in read("aws-account.yaml")["Resources"].values():
            if one["Type"] == "AWS::IAM::InstanceProfile":
                name = one["Properties"]["InstanceProfileName"]
                iam.create_instance_profile(InstanceProfileName=name)
        made = boto3.client("ec2", region_name=REGION).create_security_group(
            GroupName="seedbed", Description="of the stack"
        )
        yield made["GroupId"]
