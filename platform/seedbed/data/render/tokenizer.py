"""CLIP's byte-pair encoding: captions to padded token ids.

Ids are OpenAI CLIP's; one mask token stands after them, so that a vocabulary of 49,409 serves
every variant and no id of the original moves (the paper's code puts it before start and end of
text, which shifts both by one; Sense-GVT/DeCLIP#15).
"""

from __future__ import annotations

import functools
import gzip
import html
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

START, END, MASK = 49_406, 49_407, 49_408
VOCABULARY = 49_409
PAD = 0  # also the id of "!": lengths, not ids, tell padding from text
_NUM_MERGES = 49_152 - 256 - 2
# U+0345 alone matches no part of CLIP's case-insensitive pattern, since the upper case of that mark
# is a letter: CLIP drops it, and so does this pattern.
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}\x{345}]+"


def clean(caption: str) -> str:
    """CLIP's cleaning: repaired Unicode, HTML entities unescaped twice, one space, lower case."""
    if not (caption.isascii() and caption.isprintable()) or "&" in caption:
        import ftfy  # for such captions alone

        caption = html.unescape(html.unescape(ftfy.fix_text(caption)))
    return re.sub(r"\s+", " ", caption).strip().lower()


def encode(captions: Sequence[str], context: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Ids [n, context] with start and end of text, and lengths [n] that count both.

    A caption that is too long keeps its first `context - 2` ids and its end of text.
    """
    ids = np.full((len(captions), context), PAD, dtype=np.int32)
    lengths = np.empty(len(captions), dtype=np.int32)
    encoded = _bpe().encode_batch([clean(caption) for caption in captions])
    for row, encoding in enumerate(encoded):
        tokens = [START, *encoding.ids[: context - 2], END]
        ids[row, : len(tokens)] = tokens
        lengths[row] = len(tokens)
    return ids, lengths


@functools.cache
def _bpe() -> Tokenizer:
    """The Rust tokenizer, built from the merges that the open_clip_torch wheel carries."""
    merges = _read_merges()
    alphabet = _byte_alphabet()
    tokens = alphabet + [token + "</w>" for token in alphabet]
    tokens += ["".join(pair) for pair in merges]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate(tokens)},
            merges=merges,
            end_of_word_suffix="</w>",
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _read_merges() -> list[tuple[str, str]]:
    # Found without importing open_clip, which would pull torch into every data task.
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package open_clip_torch carries the tokenizer's merges")
    path = Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : _NUM_MERGES + 1]
    pairs = [line.split() for line in lines]
    return [(left, right) for left, right in pairs]


def _byte_alphabet() -> list[str]:
    """The printable stand-ins of the 256 bytes, in CLIP's (GPT-2's) order of ids."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]
