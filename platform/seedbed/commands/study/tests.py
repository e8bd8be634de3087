"""The test sets that a study's trials are scored on, found and counted before anything starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seedbed.errors import StudyError
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.overlap import TestPictures
    from seedbed.evaluate.named import NamedTest
    from seedbed.evaluate.test_set import TestSet


def with_open_tests(options: Options) -> tuple[Options, list[TestPictures]]:
    """`options` with the plan's test sets opened, and digests of their pictures.

    A shard is read once, and again only when it has changed. Raises DataError for a layout that is
    none, and StudyError for a test set of captions.
    """
    from seedbed.commands.study.corpora import spread_by_size
    from seedbed.data.overlap import TestPictures
    from seedbed.data.shards.row_index import Shard, row_indexes
    from seedbed.data.shards.source import index_places
    from seedbed.evaluate.prompted import OpenTest
    from seedbed.storage.objects import find_object

    opened, pictures = [], []
    for named in options.plan.study.tests:
        test_set = _opened(named)
        found = {place: find_object(place) for place in test_set.shards}
        shards = [Shard(p, p, one.etag, one.num_bytes) for p, one in found.items()]
        kept = index_places(f"{test_set.uri}/{test_set.split}", home())[1]
        indexes = row_indexes(shards, [kept], spread=spread_by_size)
        one = TestPictures(named.name, {place: indexes[place].digests for place in found})
        num_pictures = sum(len(digests) for digests in one.by_place.values())
        opened.append(OpenTest(test_set, test_set.mark, num_pictures))
        pictures.append(one)
    return replace(options, tests=tuple(opened)), pictures


def _opened(named: NamedTest) -> TestSet:
    from seedbed.data.provided import provider
    from seedbed.evaluate.test_set import TEMPLATES, checked_templates, open_test_set
    from seedbed.storage.address import absolute

    uri = absolute(named.uri) if named.uri else str(provider().prepare(named.name, home()))
    test_set = open_test_set(uri, called=named.name)
    if test_set.kind != "classification":
        raise StudyError(
            f"{uri} is a test set of captions",
            why="trials are scored on classes, by prompts with their names",
            mend=f"evaluate finished ones: seedbed evaluate KEY ... --tests {uri}",
        )
    checked_templates(test_set.templates, f"{uri}/{TEMPLATES}")
    return test_set
