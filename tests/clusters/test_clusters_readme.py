"""clusters/README.md. Oracle: the commands that it shows, as Ray, AWS and we ourselves read them,
and the files that it speaks of."""

from __future__ import annotations

import argparse
import configparser
import functools
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import click
import pytest
from botocore import xform_name
from tests.clusters.launcher import CLUSTERS, ROOT, read
from tests.clusters.manifests import FOLDER, OBJECTS

from seedbed.commands.seedbed import commands

README = (CLUSTERS / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
PROGRAMS = ("make", "ray", "aws", "seedbed", "kubectl", "docker", "sky")
# Of the AWS CLI's own, which are no operation of a service.
OF_THE_CLI = {
    ("cloudformation", "deploy"): {
        "stack-name", "template-file", "capabilities", "parameter-overrides"
    },
    ("s3", "sync"): set(),
}  # fmt: skip
GLOBAL = {"query", "max-items"}


def shown() -> Iterator[list[str]]:
    """Every command: of the blocks, and of the text."""
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    for line in [*"".join(BLOCKS).strip().splitlines(), *inline]:
        words = shlex.split(line)
        if words and words[0] in PROGRAMS and len(words) > 1:
            yield words


def check_make(words: list[str]) -> None:
    subprocess.run(["make", "-n", *words], cwd=ROOT, check=True, capture_output=True)


def check_ray(words: list[str]) -> None:
    from ray.scripts.scripts import cli as ray  # slow: it imports all of Ray

    command: click.Command = ray
    while isinstance(command, click.Group):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], words[1:]
    needed = sum(1 for one in command.params if isinstance(one, click.Argument) and one.required)
    if len(words) >= needed:
        command.make_context(command.name, list(words))
    for word in words:
        if word.endswith(".yaml"):
            assert (ROOT / word).exists(), word
    if "--" in words:
        check(words[words.index("--") + 1 :])


def check_seedbed(words: list[str]) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    (command,) = (one for one in commands() if words[0] == one.NAME)
    command.arguments(parser)
    if words[1:]:  # else it is only spoken of
        parser.parse_args(words[1:])


def check_aws(words: list[str]) -> None:
    service, operation, *rest = words
    options = {word[2:] for word in rest if word.startswith("--")} - GLOBAL
    if (service, operation) in OF_THE_CLI:
        assert options <= OF_THE_CLI[service, operation]
    else:
        model = botocore.session.get_session().get_service_model(service)
        known = {xform_name(name, "-"): name for name in model.operation_names}
        members = model.operation_model(known[operation]).input_shape.members
        assert options <= {xform_name(name, "-") for name in members}
    given = [word for word in rest if re.match(r"\w+=", word) and operation == "deploy"]
    if given:
        assert {word.split("=")[0] for word in given} == set(read("aws-account.yaml")["Parameters"])


def check_files(words: list[str]) -> None:
    for flag, path in itertools.pairwise(words):
        if flag in ("-f", "-k"):
            assert (ROOT / path).exists(), path
        assert not flag.startswith("clusters/") or (ROOT / flag).exists(), flag


@functools.cache
def options_of_a_study() -> list[str]:
    """As a study's own help names them."""
    help = [sys.executable, "studies/text_encoder_depth.py", "--help"]
    done = subprocess.run(help, cwd=ROOT, capture_output=True, text=True, check=True)
    return re.findall(r"--[\w-]+", done.stdout)


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "ray": check_ray,
    "seedbed": check_seedbed,
    "aws": check_aws,
}


def check(words: list[str]) -> None:
    if words[0] == "python":
        assert (ROOT / words[1]).exists()
        assert all(word in options_of_a_study() for word in words if word.startswith("--"))
    else:
        CHECKS.get(words[0], check_files)(words[1:])


@pytest.mark.parametrize("words", list(shown()), ids=" ".join)
@pytest.mark.slow
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    check(words)


@pytest.mark.parametrize(
    "line",
    [
        "ray upp clusters/aws.yaml",
        "ray up --yess clusters/aws.yaml",
        "ray up clusters/awss.yaml",
        "seedbed doctor --storrage s3://b",
        "aws iam create-service-linked-role --service-name spot.amazonaws.com",
        "kubectl apply -f clusters/kuberay/rayjobs.yaml",
        "ray job submit -- python studies/none.py",
        "ray job submit -- python studies/text_encoder_depth.py --acelerator A10G",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError, SystemExit, argparse.ArgumentError)):
        check(shlex.split(line))


def test_there_are_commands_for_every_place() -> None:
    programs = {words[0] for words in shown()}
    assert programs == set(PROGRAMS)
    submitted = [words for words in shown() if words[:3] == ["ray", "job", "submit"]]
    assert ["ray", "job", "submit", "--", "python", "studies/text_encoder_depth.py"] in submitted


def test_the_secrets_that_it_makes_are_those_that_are_named() -> None:
    made: dict[str, set[str]] = {}
    for words in shown():
        if words[0] == "kubectl" and "secret" in words and "create" in words:
            name = words[words.index("generic") + 1]
            made[name] = {word.split("=")[1] for word in words if word.startswith("--from-")}
    named: dict[str, set[str]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "secretKeyRef" in value:
                one = value["secretKeyRef"]
                named.setdefault(one["name"], set()).add(one["key"])
            if "secretName" in value:
                named.setdefault(value["secretName"], set())
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    for one in OBJECTS.values():
        look(one)
    assert made.keys() == named.keys()
    assert all(named[name] <= made[name] for name in named)
    files = set(re.findall(r"run/secrets/mlflow-db/(\w+)", (FOLDER / "mlflow.yaml").read_text()))
    assert files == made["mlflow-db"]


def test_the_prices_are_of_the_machines_that_there_are() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| ([\w.]+) \| ([\d.]+) \| ([\d.]*) *\|", README, re.M)
    types = read("aws.yaml")["available_node_types"]
    assert {name: machine for name, machine, _, _ in rows} == {
        name: node["node_config"]["InstanceType"] for name, node in types.items()
    }
    for name, _, whole, each in rows:
        gpus = types[name]["resources"].get("GPU", 0)
        assert each == (f"{float(whole) / gpus:.2f}" if gpus else "")


def test_files_and_tests_that_it_names_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (CLUSTERS / link).exists()] == []
    tests = re.findall(r"`(tests/[\w/.]+)`", README)
    assert len(set(tests)) >= 8
    assert [path for path in tests if not (ROOT / path).exists()] == []
    for name in re.findall(r"`(seedbed\.[\w.]+)`", README):
        assert (ROOT / "platform" / f"{name.replace('.', '/')}.py").exists(), name


def test_every_file_here_is_in_the_table() -> None:
    linked = set(re.findall(r"\]\(([\w.-]+?)/?\)", README.partition("## ")[0]))
    there = {path.name for path in CLUSTERS.iterdir()} - {"README.md", "Dockerfile.dockerignore"}
    assert linked == there


NOTES = """#!{python}
import json, sys
from pathlib import Path
print(json.dumps([a if "=" not in a or "-file=" not in a else Path(a.split("=")[2]).read_text()
                  for a in sys.argv[1:]]))
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_login_that_studies_have_is_that_of_the_server(tmp_path: Path) -> None:
    """Oracle: the shell that runs the lines, and the form in which MLflow reads a login."""
    (block,) = (block for block in BLOCKS if "mlflow-login" in block)
    lines = [line for line in block.splitlines() if "mlflow" in line]
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / "kubectl").write_text(NOTES.format(python=sys.executable))
    (tmp_path / "kubectl").chmod(0o700)
    done = subprocess.run(
        ["sh", "-euc", "\n".join(lines)],
        env={"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    made = {words[5]: words[6:] for words in map(json.loads, done.stdout.splitlines())}
    login = configparser.ConfigParser()
    login.read_string(made["mlflow-login"][0])
    password = login["mlflow"]["mlflow_tracking_password"]
    assert len(password) == 48
    assert f"--from-literal=admin-password={password}" in made["mlflow-server"]
    server = (FOLDER / "mlflow.yaml").read_text()
    assert f"admin_username = {login['mlflow']['mlflow_tracking_username']}\n" in server
