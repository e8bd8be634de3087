"""Accounts of a cluster on Google. Oracle: README.md's lines, and the roles as Google has them."""

from __future__ import annotations

import shlex

from tests.clusters.launcher import CLUSTERS, read

# What each role allows: https://cloud.google.com/iam/docs/understanding-roles, 2026-11. An account
# that may act as another does what that may.
STARTS_INSTANCES, ACTS_AS, OBJECTS = (
    "roles/compute.instanceAdmin.v1",
    "roles/iam.serviceAccountUser",
    "roles/storage.objectUser",  # reads, writes, lists and deletes objects
)
MAIL = "{}@my-project.iam.gserviceaccount.com"
HEAD, WORKER = MAIL.format("seedbed-head"), MAIL.format("seedbed-worker")
SCOPES = "https://www.googleapis.com/auth/"


def gcloud() -> list[list[str]]:
    """The lines of README.md that set an account up, as their words."""
    lines = (CLUSTERS / "README.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("gcloud ")]


def options(words: list[str]) -> dict[str, str]:
    return dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)


def test_each_account_has_the_roles_that_it_needs_and_no_other() -> None:
    """As aws-account.yaml: the bucket for workers; instances, with the workers' account, for the
    head."""
    lines = gcloud()
    made = {MAIL.format(w[3]) for w in lines if w[:3] == ["iam", "service-accounts", "create"]}
    assert made == {HEAD, WORKER}
    bindings = set()
    for words in lines:
        if "add-iam-policy-binding" in words:
            on = words[words.index("add-iam-policy-binding") + 1]
            given = options(words)
            bindings.add((given["member"].removeprefix("serviceAccount:"), given["role"], on))
    assert bindings == {
        (HEAD, STARTS_INSTANCES, "my-project"),
        (HEAD, ACTS_AS, WORKER),
        (WORKER, OBJECTS, "gs://my-bucket"),
    }
    (key,) = (words for words in lines if words[:3] == ["storage", "hmac", "create"])
    assert key[3] == WORKER
    (bucket,) = (words for words in lines if words[:3] == ["storage", "buckets", "create"])
    assert bucket[3] == "gs://my-bucket"
    assert {"--public-access-prevention", "--uniform-bucket-level-access"} <= set(bucket)


def test_a_node_has_an_account_of_these_and_reaches_no_more_than_it_needs() -> None:
    config = read("gcp.yaml")
    head = config["head_node_type"]
    for name, node in config["available_node_types"].items():
        (account,) = node["node_config"]["serviceAccounts"]
        needs = (HEAD, "cloud-platform") if name == head else (WORKER, "devstorage.read_write")
        assert (account["email"], account["scopes"]) == (needs[0], [SCOPES + needs[1]])
    # The key, which the roles go with, is brought to every node; it is in no file here.
    assert config["file_mounts"]["~/.aws/credentials"] == "~/.aws/credentials"
