"""What is found in a folder. Oracle: a folder of modules, written out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seedbed.found import classes_in, modules_in
from seedbed.metric import Metric

BASE = """
from abc import ABC, abstractmethod

class Base(ABC):
    @abstractmethod
    def f(self): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "a_package_of_kinds"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "base.py").write_text(BASE)
    own = f"from {name}.base import Base\nclass {{}}(Base):\n    def f(self): ..."
    (folder / "two.py").write_text(own.format("Two"))
    (folder / "one.py").write_text(f"from {name}.two import Two\n" + own.format("One"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_class_is_found_once_in_the_file_that_defines_it(package: str) -> None:
    assert list(modules_in(package)) == ["base", "one", "two"]
    base = sys.modules[f"{package}.base"].Base
    found = {file: kind.__name__ for file, kind in classes_in(package, base)}
    assert found == {"one": "One", "two": "Two"}
    assert list(classes_in(package, Metric)) == []
