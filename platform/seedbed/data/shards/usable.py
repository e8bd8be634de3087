"""Checks from an index, before any sample is read, that a source has usable pairs at all."""

from __future__ import annotations

from collections import Counter

from seedbed.data.shards.kept.bad import read_bad
from seedbed.data.shards.source import OpenSource
from seedbed.errors import DataError, nearest

MAX_NAMED = 3  # reasons in a message


def check_caption(source: OpenSource, caption: str, field: str) -> None:
    """Raise DataError for a caption field that no shard has: every sample would be a bad one."""
    known = source.manifest.captions
    if known and caption not in known and not (caption == "txt" and not source.own):
        raise DataError(
            f"Corpus.{field} is '{caption}', and the pairs of '{source.uri}' have no such field",
            why="a caption is a text field of the json member, or `txt` for the text member",
            mend=f"{nearest(caption, known)} Give one with --set corpus.{field}={known[0]}",
        )


def check_usable(source: OpenSource) -> None:
    """Raise DataError where an index found every pair of `source` bad, or without a caption.

    The folder is then of another kind: pictures with class numbers, say, or files that are not
    pictures.
    """
    if not source.own:  # its manifest declares the captions
        return
    num_pairs = sum(shard.num_samples for shard in source.manifest.shards)
    if not source.manifest.captions:
        raise DataError(
            f"none of the {num_pairs:,} pairs of '{source.uri}' has a caption",
            why=_reasons(source) or "they have neither a txt member nor text in a json member",
            mend="give each picture its words as KEY.txt, or as a field of KEY.json; a number of "
            "a class (KEY.cls) names nothing",
        )
    if source.num_bad >= num_pairs:
        raise DataError(
            f"none of the {num_pairs:,} pairs of '{source.uri}' can be used",
            why=_reasons(source),
            mend="mend the shards, and index them again: each is named in bad_samples.parquet of "
            f"{source.kept_in[0]} or {source.kept_in[1]}",
        )


def _reasons(source: OpenSource) -> str:
    """What an index found wrong, and how often."""
    bad = next((faults for place in source.kept_in if (faults := read_bad(place))), [])
    reasons = Counter(reason.partition(" (")[0] for _, _, reason in bad)
    return "; ".join(f"{count:,} x {reason}" for reason, count in reasons.most_common(MAX_NAMED))
