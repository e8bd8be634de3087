"""The package's layers. Oracle: the table below, against the imports that the files make."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "platform" / "seedbed"
# Beside the package: they import it, and are never imported by it.
BESIDE_IT = [PACKAGE.parent / name for name in ("seedbed_corpora", "seedbed_local")]
FILES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: a module imports its own room and the rows above its own in this list, never
# one further down. Rooms of one row do not know each other. The most particular name counts.
ROWS = """
errors  checks  collecting  home  metric  exits  found  failure
storage
data.fault  data.provided
data.decode
data.shards
data.order
data.rounds
data.select  data.views  data.rows
data.reads
data.render
data
model.expect  model.gather  model.mean_of_max  model.similarity
model.norm  model.queue  model.token_scores  model.term_module
model.term  model.towers
model.terms
model
evaluate
variants  recipe
interchange.names  interchange.weights
interchange.source
study
interchange
plan
tuning
track
cluster
run.worker
run
analyze.numbers
analyze.trials
analyze.stats
analyze.findings
analyze.figures
analyze.report.page
analyze.report.shared
analyze.report.sections
analyze.report
analyze
recall
commands
"""
RANK = {name: row for row, names in enumerate(ROWS.split("\n")) for name in names.split()}
# Of one row, and yet one knows the other.
BESIDE = {
    ("checks", "errors"),
    ("metric", "errors"),
    ("exits", "errors"),
    ("failure", "errors"),
}
# Libraries that only these rooms (or files) may import.
FENCED = {
    "ray": {"data/stream.py", "data/promptly.py", "cluster", "run", "tuning/searches.py"},
    "mlflow": {"track/mlflow"},
    "optuna": {"tuning"},
    "pandas": {"analyze", "recall.py", "commands"},  # the latter for its types
    "scipy": {"analyze"},
    "statsmodels": {"analyze"},
    "torch.distributed": {"model/gather.py", "cluster/doctor/allreduce.py", "run"},
}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """What a file imports: modules and names, and what it names as a text to be imported."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} & DOTTED
    return frozenset(found)


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}
MODULES |= {module(path): path for folder in BESIDE_IT for path in folder.rglob("*.py")}
DOTTED = {name for name in MODULES if "." in name}


def room(name: str) -> str:
    """The row's entry that a module belongs to."""
    parts = name.split(".")[1:]
    return next(
        (r for n in range(len(parts), 0, -1) if (r := ".".join(parts[:n])) in RANK), "seedbed"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = room(module(path))
    if here == "seedbed":  # the public names
        return
    used = {name for name in imports(path) if name in MODULES and name != "seedbed"}
    assert not {name for name in used if not name.startswith("seedbed.")}
    others = {room(name) for name in used} - {here}
    assert {o for o in others if RANK[o] >= RANK[here] and (here, o) not in BESIDE} == set()


def test_no_module_needs_itself() -> None:
    needs = {
        m: {n for n in imports(p) if n in MODULES} - {m, "seedbed"} for m, p in MODULES.items()
    }
    left = dict(needs)
    while free := [m for m, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_fenced_libraries_stay_in_their_rooms(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for library, places in FENCED.items():
        uses = any(n == library or n.startswith(f"{library}.") for n in imports(path))
        inside = any(relative == place or relative.startswith(f"{place}/") for place in places)
        assert not uses or inside, f"{relative} imports {library}"


@pytest.mark.slow
def test_no_test_imports_a_private_name() -> None:
    """What a test reaches for is part of a module's interface, and is called so."""
    found = [
        f"{path.name}:{line.lineno} {alias.name}"
        for path in sorted(Path(__file__).parent.rglob("*.py"))
        for line in ast.walk(ast.parse(path.read_text()))
        if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("seedbed")
        for alias in line.names
        if alias.name.startswith("_")
    ]
    assert found == []


def test_platform_never_gets_an_init() -> None:
    assert not (PACKAGE.parent / "__init__.py").exists()


def test_the_standard_platform_module_wins_in_the_checkout() -> None:
    root = PACKAGE.parent.parent
    command = [sys.executable, "-c", "import platform; platform.node()"]
    assert subprocess.run(command, cwd=root, check=False).returncode == 0


def test_public_names_are_these_and_come() -> None:
    import seedbed
    from seedbed import variants

    expected = {
        "Budget",
        "Claim",
        "Contrast",
        "Corpus",
        "Factor",
        "Looks",
        "Objective",
        "Recipe",
        "Screening",
        "Search",
        "Study",
        "Tuning",
    } | {"best", "forbid", "load", "main", "results"}
    assert set(seedbed.__all__) == expected
    assert all(getattr(seedbed, name) is not None for name in expected)
    assert isinstance(variants.CLIP, seedbed.Objective)


def test_a_data_task_does_not_import_torch() -> None:
    code = "import sys, seedbed.data.render.render; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_planning_a_study_whose_parts_are_known_waits_for_no_heavy_library(
    planned: Path, counted_home: Path, planning: Callable[[Path], tuple[str, str]]
) -> None:
    assert "torch" in (planned / "heavy.txt").read_text()
    assert planning(counted_home) == ((planned / "plan.txt").read_text(), "[]")
