"""What a study's trials read, made ready and opened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from seedbed.home import home
from seedbed.plan.plan import Plan

if TYPE_CHECKING:
    from seedbed.cluster.asked import Asked
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus
    from seedbed.data.overlap import TestPictures
    from seedbed.data.shards.spread import ShardJob

    Corpora = Mapping[Corpus, OpenCorpus]

READ_HERE_BYTES = 512_000_000  # a second or two of this machine


def opened_corpora(options: Options, shown: Sequence[TestPictures] = ()) -> Corpora:
    """What the trials read, made ready and opened; raises where they would not be comparable, or
    would train on what of other test sets is `shown` to them."""
    from seedbed.data.opening import open_corpora
    from seedbed.run.driver.launch import check_one_test
    from seedbed.run.driver.preflight import check_epochs, check_names, read_again

    chosen = options.plan
    stated = [trial.recipe.corpus for trial in chosen.trials]
    _prepare(stated)
    _prepare_assets(chosen)
    corpora = open_corpora(
        stated, home(), spread=partial(spread_by_size, options.asked), others=shown
    )
    check_one_test(corpora.values())
    check_names(corpora.values(), chosen.responses)
    pairs = {corpus: opened.train.num_samples for corpus, opened in corpora.items()}
    groups = {corpus: opened.train.group_rows for corpus, opened in corpora.items()}
    for warning in [*check_epochs(chosen, pairs, options.max_epochs), *read_again(chosen, groups)]:
        print(warning, file=sys.stderr)
    return corpora


def spread_by_size(
    asked: Asked, work: Callable[[Any], Any], jobs: Sequence[ShardJob]
) -> Iterable[Any]:
    """Shards that nobody has indexed are read here, or where they are many, on the cluster.

    Here too where the limits of `asked` leave no node for it beside the study's own.
    """
    from seedbed.data.shards.spread import in_threads

    num_bytes = sum(job.num_bytes for job in jobs)
    if num_bytes <= READ_HERE_BYTES:
        return in_threads(work, jobs)
    from seedbed.cluster.capacity import cluster_capacity
    from seedbed.cluster.connect import connect
    from seedbed.cluster.spread import most_at_once, over_ray, task_memory

    print(f"ray     {connect()}", file=sys.stderr)
    capacity = cluster_capacity()
    most = most_at_once(capacity, asked, task_memory(jobs, capacity))
    if not most:
        print(
            f"index   {len(jobs):,} shards of {num_bytes / 1e9:,.1f} GB are read here: --max-price "
            "pays for no node beside those with GPUs",
            file=sys.stderr,
        )
        return in_threads(work, jobs)
    print(
        f"index   {len(jobs):,} shards of {num_bytes / 1e9:,.1f} GB are read once, on the cluster",
        file=sys.stderr,
    )
    return over_ray(work, jobs, most)


def _prepare_assets(chosen: Plan) -> None:
    """Fetch what the views of some trial read beside the samples, and is nowhere yet."""
    from seedbed.data.render.augmentation import all_assets

    for asset in all_assets(chosen.cohorts):
        asset.prepare(home())


def _prepare(corpora: Sequence[Corpus]) -> None:
    """Build the demo corpora that are not there yet; an own folder needs nothing."""
    from seedbed.data.provided import PREFIX, provider
    from seedbed.storage.address import parse_sources

    places = {uri for corpus in corpora for uri in (corpus.uri, corpus.test_uri) if uri}
    for uri in sorted({source.uri for place in places for source in parse_sources(place)}):
        if uri.startswith(PREFIX):
            provider().prepare(uri.removeprefix(PREFIX), home())
