"""A test set as a study names it: NAME, or NAME=URI; and what is measured on it.

It must be cheap to import (no torch): a study is checked against its metrics where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from seedbed.errors import StudyError
from seedbed.metric import Metric

# What other numbers of a trial begin with.
TAKEN = ("cost", "data", "final", "retrieval", "tasks", "train", "zeroshot")
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FOLDER = "tests"  # beside a trial's record: one file a test set


@dataclass(frozen=True)
class NamedTest:
    """A test set of classes: `name` begins the names of its metrics; `uri` is its folder, "" for
    what `seedbed prepare NAME` builds."""

    name: str
    uri: str = ""

    @classmethod
    def parse(cls, said: str) -> NamedTest:
        """`NAME` or `NAME=URI`. Raises StudyError."""
        name, _, uri = said.partition("=")
        if not NAMED.fullmatch(name) or name in TAKEN:
            taken = f"'{name}/' begins the names of other numbers of a trial"
            raise StudyError(
                f"the test set '{said}' is called '{name}'",
                why=taken if name in TAKEN else "its metrics are named by it, as imagenet/acc1",
                mend="give NAME=URI with letters, digits, '.', '_' and '-', as "
                "imagenet=s3://bucket/imagenet1k, or NAME alone for what `seedbed prepare NAME` "
                "builds",
            )
        return cls(name, uri.rstrip("/"))

    @property
    def primary(self) -> str:
        """The metric that answers a question on it: top-1."""
        return f"{self.name}/acc1"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return metrics_named(self.name)


def metrics_named(name: str) -> tuple[Metric, ...]:
    """What is measured on the test set `name`: top-1 and top-5, the mean of its classes' top-1,
    and how many pictures and names there are."""
    pictures = Metric(f"{name}/num_pictures", f"{name} pictures", "count")
    names = Metric(f"{name}/num_names", f"{name} classes", "count")

    def share(metric: str, label: str, column: str = "", below: int = 1) -> Metric:
        return Metric(
            f"{name}/{metric}",
            f"{name} {label}",
            "share",
            column=column,
            below=below,
            out_of=pictures.name if column else "",
            among=names.name,
            file=f"{FOLDER}/{name}.parquet" if column else "",
        )

    return (
        share("acc1", "top-1", "above", 1),
        share("acc5", "top-5", "above", 5),
        share("mean_per_class_recall", "mean per class"),
        pictures,
        names,
    )


def test_called(name: str, tests: Iterable[NamedTest]) -> NamedTest | None:
    """The one of `tests` that is called `name`, in small letters or large (ImageNet, imagenet)."""
    return next((test for test in tests if name and test.name.lower() == name.lower()), None)


def named_tests(said: Iterable[str]) -> tuple[NamedTest, ...]:
    """Each of `said`, parsed. Raises StudyError for two of one name."""
    tests = tuple(map(NamedTest.parse, said))
    names = [test.name for test in tests]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(
                f"two test sets are called '{name}'",
                why="their numbers could not be told apart",
                mend="give each a name of its own, as NAME=URI",
            )
    return tests
