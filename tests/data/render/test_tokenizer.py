"""Token ids. Oracle: open_clip's own tokenizer."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from seedbed.data.render import tokenizer

CAPTIONS = [
    "a photo of a cat.",
    "Grinning Face",
    "it's 100% naïve café & co",
    "man: light skin tone, red hair",
    "日本語 text",
    "  multi   space\tand\nlines ",
    "&amp;amp; <b>x</b>",
    "don't we'll I'd",
    "emoji 😀 face",
    "a_b-c.png",
    "x" * 300,
    "long " * 100,
    "!!!",
]


@functools.cache
def peer() -> Any:
    import open_clip  # slow, and all tests are collected by every process that runs some

    return open_clip.get_tokenizer("ViT-B-32")


@pytest.mark.parametrize("context", [3, 16, 77])
def test_ids_are_those_of_open_clip(context: int) -> None:
    ids, lengths = tokenizer.encode(CAPTIONS, context)
    assert (ids == peer()(CAPTIONS, context_length=context).numpy()).all()
    assert (ids[np.arange(len(ids)), lengths - 1] == tokenizer.END).all()


@example("\u00cd\x85")  # mended to U+0345, a mark whose upper case is a letter
@example("a\u0345b")
@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cn", "Co", "Cs")), max_size=40))
@pytest.mark.slow
def test_ids_are_those_of_open_clip_for_any_text(caption: str) -> None:
    # Mending may make characters that are in no version of Unicode yet: whether such a one is a
    # letter, two libraries need not agree.
    assume(all(unicodedata.category(c) != "Cn" for c in tokenizer.clean(caption)))
    ids, _ = tokenizer.encode([caption], 32)
    assert (ids == peer()([caption], context_length=32).numpy()).all()


def test_lengths_tell_padding_from_the_token_of_the_same_id() -> None:
    ids, lengths = tokenizer.encode(["!", ""], 6)
    assert ids[0, 1] != tokenizer.START
    assert lengths.tolist() == [3, 2]
