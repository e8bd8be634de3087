"""What is one a file, found by walking the folder of its kind: nothing is entered in a list."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def modules_in(package: str) -> dict[str, ModuleType]:
    """The modules of the folder that `package` names, by the names of their files, ascending."""
    folder = importlib.import_module(package)
    names = sorted(entry.name for entry in pkgutil.iter_modules(folder.__path__))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


def classes_in(package: str, kind: type[T]) -> Iterator[tuple[str, type[T]]]:
    """The classes of `kind` that the modules of `package` define, each with its file's name.

    Abstract ones are left out, and so are those that a module imports.
    """
    for name, module in modules_in(package).items():
        for _, found in inspect.getmembers(module, inspect.isclass):
            if not issubclass(found, kind) or inspect.isabstract(found):
                continue
            if found.__module__ == module.__name__:
                yield name, found
