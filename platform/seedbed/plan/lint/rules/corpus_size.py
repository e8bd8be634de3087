"""Corpora that differ in size as well as in kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seedbed.data.corpus import Corpus
from seedbed.plan.confounded import equation
from seedbed.plan.lint.rule import Draft, Finding, Rule
from seedbed.study.factor import Factor
from seedbed.study.label import Label

# What pairs are, where it also decides how many there are.
KIND = ("uri", "split", "filters", "uids")
SAME = 0.01  # a share of the larger: so unequal sizes are not told


def judge(draft: Draft) -> Iterator[Finding]:
    for factor in draft.study.factors:
        if not any(path.partition(".")[0] == "corpus" for path in factor.paths):
            continue
        corpora = _of_levels(draft, factor)
        base = corpora[factor.baseline(draft.study.base)]
        differ = {
            label: corpus
            for label, corpus in corpora.items()
            if any(getattr(corpus, field) != getattr(base, field) for field in KIND)
            and not _as_many(draft.pairs, corpus, base)
        }
        if differ:
            yield _found(draft, factor, corpora)


def _found(draft: Draft, factor: Factor, corpora: Mapping[Label, Corpus]) -> Finding:
    sizes = equation(
        {
            label: f"{draft.pairs[corpus]:,} pairs" if corpus in draft.pairs else "not counted"
            for label, corpus in corpora.items()
        }
    )
    verb = "moves" if all(corpus in draft.pairs for corpus in corpora.values()) else "may move"
    return Finding(
        "caution",
        f"the number of pairs {verb} with {factor.name}: {sizes}",
        f"what is found of {factor.name} is found of kind + size: fewer pairs come more often in "
        "one budget",
        "hold the count equal with corpus.take in the base recipe, as studies/data_quality.py "
        "does, and let another level have all of them",
    )


def _as_many(pairs: Mapping[Corpus, int], one: Corpus, other: Corpus) -> bool:
    """Whether two corpora have equally many pairs: counted, or at most the same number of both."""
    if one in pairs and other in pairs:
        return abs(pairs[one] - pairs[other]) <= SAME * max(pairs[one], pairs[other])
    return one.take == other.take > 0


def _of_levels(draft: Draft, factor: Factor) -> dict[Label, Corpus]:
    """A corpus of each level, of cells that have the other factors alike where there are such."""
    corpora: dict[Label, Corpus] = {}
    for cell in draft.cells:
        corpora.setdefault(cell.cell[factor.name], cell.recipe.corpus)
    return {label: corpora[label] for label in factor.levels if label in corpora}


RULE = Rule("do corpora of other kinds have as many pairs?", judge)
