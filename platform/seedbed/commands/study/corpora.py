"""What a study's trials read, made ready and opened."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seedbed.home import home
from seedbed.plan.plan import Plan

if TYPE_CHECKING:
    from seedbed.commands.study.options import Options
    from seedbed.data.corpus import Corpus
    from seedbed.data.opening import OpenCorpus

    Corpora = Mapping[Corpus, OpenCorpus]


def opened_corpora(options: Options) -> Corpora:
    """What the trials read, made ready and opened; raises where they would not be comparable."""
    from seedbed.data.opening import open_corpora
    from seedbed.run.driver.launch import check_one_test
    from seedbed.run.driver.preflight import check_epochs, check_names

    chosen = options.plan
    stated = [trial.recipe.corpus for trial in chosen.trials]
    _prepare(stated)
    _prepare_assets(chosen)
    corpora = open_corpora(stated, home())
    check_one_test(corpora.values())
    check_names(corpora.values(), chosen.responses)
    pairs = {corpus: opened.train.num_samples for corpus, opened in corpora.items()}
    for warning in check_epochs(chosen, pairs, options.max_epochs):
        print(warning, file=sys.stderr)
    return corpora


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
