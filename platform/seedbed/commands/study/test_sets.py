"""The test sets that a study names: where they lie, and what of them is known already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.errors import StudyError
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.evaluate.named import NamedTest
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.evaluate.test_set import TestSet
    from seedbed.study.study import Study


def known_tests(study: Study) -> tuple[list[OpenTest], list[str]]:
    """The test sets of `study` whose pictures have been counted, and the names of the others.

    No shard is read and nothing is built. Raises DataError and StudyError where one is none.
    """
    from seedbed.data.shards.kept.stock import parts_in
    from seedbed.data.shards.kept.table import RowTable
    from seedbed.data.shards.source import index_places
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.storage.objects import find_object

    counted, others = [], []
    for named in study.tests:
        uri = folder_of(named)
        if not named.uri and not Path(uri).is_dir():
            others.append(named.name)
            continue
        test_set = opened(named, uri)
        kept = index_places(f"{test_set.uri}/{test_set.split}", home())[1]
        etags = {place: find_object(place).etag for place in test_set.shards}
        known = RowTable(parts_in(kept), etags)
        if len(known) < len(etags):
            others.append(named.name)
        else:
            counted.append(OpenTest(test_set, test_set.mark, sum(map(known.num_rows, etags))))
    return counted, others


def folder_of(named: NamedTest) -> str:
    """Where a test set lies, built or not. Raises DataError for a name that nobody builds."""
    from seedbed.data.provided import provider
    from seedbed.storage.address import absolute

    return absolute(named.uri) if named.uri else str(provider().test_set(named.name, home()))


def opened(named: NamedTest, uri: str) -> TestSet:
    """The test set of classes at `uri`, without reading a shard. Raises DataError, StudyError."""
    from seedbed.evaluate.test_set import TEMPLATES, checked_templates, open_test_set

    test_set = open_test_set(uri, called=named.name)
    if test_set.kind != "classification":
        raise StudyError(
            f"{uri} is a test set of captions",
            why="trials are scored on classes, by prompts with their names",
            mend=f"evaluate finished ones: seedbed evaluate KEY ... --tests {uri}",
        )
    checked_templates(test_set.templates, f"{uri}/{TEMPLATES}")
    return test_set
