"""The package's layers. Oracle: the table below, against the imports that the files make."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "platform" / "ablate"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each room may import itself and the rooms listed.
ALLOWED = {
    "errors": set(),
    "home": set(),
    "tables": set(),
    "data": {"errors", "home", "tables"},
    "model": {"errors", "data"},
    "variants": {"model", "data"},
    "study": {"errors", "data", "model"},
    "evaluate": {"errors", "data", "model", "study"},
    "track": {"errors", "home", "study"},
    "run": {"errors", "data", "model", "study", "evaluate", "track"},
    "analyze": {"errors", "study", "tables", "track"},
    "recall": {"errors", "home", "track", "analyze"},
    "options": {"errors", "home", "study"},
    "describe": {"data", "home", "options", "run", "study", "track"},
    "conduct": {"data", "describe", "errors", "home", "options", "recall", "run", "study", "track"}
    | {"analyze"},
    "command": {"errors", "conduct", "describe", "options", "study"},
    "cli": {"errors", "home", "data", "run", "analyze", "recall"},
    "__init__": {"command", "data", "model", "study"},
}
# Libraries that only these rooms (or files) may import.
FENCED = {
    "ray": {"data/stream.py", "run"},
    "mlflow": {"track"},
    "pandas": {"analyze", "recall.py", "conduct.py", "cli.py"},  # the latter for its types
    "scipy": {"analyze"},
    "statsmodels": {"analyze"},
    "matplotlib": {"analyze"},
    "torch.distributed": {"model/gather.py", "run"},
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("ablate.")}
    rooms = {
        name for name in used if (PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists()
    }
    assert rooms - {here} <= ALLOWED[here]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_fenced_libraries_stay_in_their_rooms(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for library, places in FENCED.items():
        uses = any(n == library or n.startswith(f"{library}.") for n in imports(path))
        inside = any(relative == place or relative.startswith(f"{place}/") for place in places)
        assert not uses or inside, f"{relative} imports {library}"


def test_platform_never_gets_an_init() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()


def test_the_standard_platform_module_wins_in_the_checkout() -> None:
    root = PACKAGE.parent.parent
    command = [sys.executable, "-c", "import platform; platform.node()"]
    assert subprocess.run(command, cwd=root, check=False).returncode == 0


def test_public_names_are_these_and_come() -> None:
    import ablate
    from ablate import variants

    expected = {
        "Budget",
        "Claim",
        "Contrast",
        "Corpus",
        "Factor",
        "Objective",
        "Recipe",
        "Study",
    } | {"main"}
    assert set(ablate.__all__) == expected
    assert all(getattr(ablate, name) is not None for name in expected)
    assert isinstance(variants.CLIP, ablate.Objective)


def test_a_data_task_does_not_import_torch() -> None:
    code = "import sys, ablate.data.rendering; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
