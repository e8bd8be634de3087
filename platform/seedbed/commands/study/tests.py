"""The test sets that a study's trials are scored on, found and counted before anything starts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from seedbed.commands.study.test_sets import folder_of, opened
from seedbed.home import home

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.overlap import TestPictures
    from seedbed.data.shards.spread import Spread
    from seedbed.evaluate.test_set import TestSet


def with_open_tests(options: Options) -> tuple[Options, list[TestPictures]]:
    """`options` with the plan's test sets opened, and digests of their pictures.

    A shard is read once, and again only when it has changed. Raises DataError for a layout that is
    none, and StudyError for a test set of captions.
    """
    from seedbed.commands.study.corpora import spread_by_size
    from seedbed.data.provided import provider
    from seedbed.evaluate.prompted import OpenTest

    spread = partial(spread_by_size, options.asked)
    tests, pictures = [], []
    for named in options.plan.study.tests:
        uri = folder_of(named)
        if not named.uri:
            provider().prepare(named.name, home())
        test_set = opened(named, uri)
        one = pictures_of(test_set, spread)
        num_pictures = sum(len(digests) for digests in one.by_place.values())
        tests.append(OpenTest(test_set, test_set.mark, num_pictures))
        pictures.append(one)
    return replace(options, tests=tuple(tests)), pictures


def pictures_of(test_set: TestSet, spread: Spread) -> TestPictures:
    """The digests of its pictures. A shard is read once, and again only when it has changed."""
    from seedbed.data.overlap import TestPictures
    from seedbed.data.shards.known_rows import Shard, row_indexes
    from seedbed.data.shards.source import index_places
    from seedbed.storage.objects import find_object

    found = {place: find_object(place) for place in test_set.shards}
    shards = [Shard(p, p, one.etag, one.num_bytes) for p, one in found.items()]
    kept = index_places(f"{test_set.uri}/{test_set.split}", home())[1]
    indexes = row_indexes(shards, [kept], spread=spread)
    return TestPictures(test_set.name, dict(indexes.all_digests(found)))
