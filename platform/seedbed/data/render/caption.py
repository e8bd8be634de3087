"""Easy data augmentation of captions (Wei and Zou 2019), seeded per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seedbed.checks import choice, shares
from seedbed.data.render.augmentation import Asset, Augmentation
from seedbed.data.render.wordnet import WORDNET, open_wordnet

# Function words, which keep their place: to replace them changes grammar, not wording.
_FUNCTION_WORDS = """
    a an the this that these those i me my mine we us our ours you your yours he him his she her
    hers it its they them their theirs who whom whose which what and or but nor so if than then
    as at by for from in into of off on onto out over to under up down with without about above
    after against before below between during through until while is am are was were be been
    being have has had having do does did doing can could may might must shall should will would
    not no too very just only own same some any each both all more most other such here there
    when where why how again once further because s t don now
"""
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True)
class EDA(Augmentation):
    """One change to a caption: a synonym, a swap or deletions, equally likely.

    As textaugment does it in the released code (Sense-GVT/DeCLIP): every occurrence of one word
    becomes a synonym; two words are swapped; each word is deleted with probability `deletion_p`.
    Words are separated by white space. Without WordNet (`synonyms` none) only the latter two.
    """

    synonyms: Literal["wordnet", "none"] = "wordnet"
    deletion_p: float = 0.1

    def __post_init__(self) -> None:
        shares(self, "deletion_p")
        choice(self, "synonyms", ("wordnet", "none"), why="it names where synonyms come from")

    @property
    def assets(self) -> tuple[Asset, ...]:
        return (WORDNET,) if self.synonyms == "wordnet" else ()

    def __call__(self, caption: str, rng: np.random.Generator) -> str:
        """The changed caption, single spaces between words; unchanged where nothing applies."""
        words = caption.split()
        if not words:
            return caption
        changes = (swap, self._delete, replace)[: 3 if self.synonyms == "wordnet" else 2]
        return " ".join(changes[int(rng.integers(len(changes)))](words, rng))

    def _delete(self, words: list[str], rng: np.random.Generator) -> list[str]:
        return delete(words, rng, self.deletion_p)


def replace(words: list[str], rng: np.random.Generator) -> list[str]:
    """Every occurrence of one word, not a function word, replaced by one of its synonyms."""
    candidates = sorted(set(words) - STOP_WORDS)
    for pick in rng.permutation(len(candidates)).tolist():
        if synonyms := open_wordnet().synonyms(candidates[pick]):
            synonym = synonyms[int(rng.integers(len(synonyms)))]
            return [synonym if word == candidates[pick] else word for word in words]
    return words


def swap(words: list[str], rng: np.random.Generator) -> list[str]:
    """Two words at different places swapped."""
    if len(words) < 2:
        return words
    one = int(rng.integers(len(words)))
    other = (one + 1 + int(rng.integers(len(words) - 1))) % len(words)
    swapped = list(words)
    swapped[one], swapped[other] = words[other], words[one]
    return swapped


def delete(words: list[str], rng: np.random.Generator, probability: float) -> list[str]:
    """Each word deleted with `probability`; at least one stays."""
    if len(words) < 2:
        return words
    kept = [
        word
        for word, draw in zip(words, rng.random(len(words)).tolist(), strict=True)
        if draw >= probability
    ]
    return kept or [words[int(rng.integers(len(words)))]]
