"""Defining words of a two-level fraction as bits, one for each factor, and what follows from them.

A word multiplies its factors' columns to the mean. Words multiply by exclusive or.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

MOST_LISTED = 16  # words of which all products are listed


def determined(words: Iterable[int]) -> dict[int, int]:
    """The same fraction's words, each by its last factor, which no other word has.

    Dependent words are left out.
    """
    found: dict[int, int] = {}
    for word in words:
        own = remainder(word, found)
        if own:
            last = own.bit_length() - 1
            for other in found:
                if found[other] >> last & 1:
                    found[other] ^= own
            found[last] = own
    return found


def remainder(effect: int, by_last: Mapping[int, int]) -> int:
    """What is left of `effect` without the words' last factors: aliased effects leave the same."""
    for last, word in by_last.items():
        if effect >> last & 1:
            effect ^= word
    return effect


def shortest(words: Sequence[int]) -> int:
    """The number of factors in the shortest product of `words`; 0 where they are dependent.

    Of many words the factors are looked through instead, by more and more at once: so many words
    leave few cells, in which not many factors can be clear of each other.
    """
    by_last = determined(words)
    if len(by_last) < len(words):
        return 0
    if len(words) <= MOST_LISTED:
        products = [0]
        for word in words:
            products += [product ^ word for product in products]
        return min(product.bit_count() for product in products[1:])
    bits = range(max(by_last) + 1)
    columns = [remainder(1 << n, by_last) for n in bits if any(word >> n & 1 for word in words)]
    fewer, half = {0}, 1
    while True:  # two halves that leave the same are together a word
        of_half = [_product(chosen) for chosen in itertools.combinations(columns, half)]
        own = set(of_half)
        if own & fewer:
            return 2 * half - 1
        if len(own) < len(of_half):
            return 2 * half
        fewer, half = own, half + 1


def _product(columns: Iterable[int]) -> int:
    product = 0
    for column in columns:
        product ^= column
    return product
