"""Test sets as folders of webdataset shards, in the layout of clip_benchmark.

    classnames.txt                          a class name a line: line n is label n
    zeroshot_classification_templates.txt   a prompt a line, `{c}` is the class's name
    dataset_type.txt                        `retrieval` for pictures with captions; else classes
    test/nshards.txt                        the number of shards
    test/0.tar, test/1.tar, ...             KEY.jpg|png|webp with KEY.cls, or with KEY.txt

https://github.com/LAION-AI/CLIP_benchmark, whose published test sets work as they are.
"""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from seedbed.data.shards.formats.tar import split_name
from seedbed.errors import DataError, SampleFault
from seedbed.evaluate.shards_digest import digest_of
from seedbed.storage.objects import exists, find_object, read_object

Kind = Literal["classification", "retrieval"]
PICTURES = ("webp", "png", "jpg", "jpeg")
CLASSES, TEMPLATES, TYPE = (
    "classnames.txt",
    "zeroshot_classification_templates.txt",
    "dataset_type.txt",
)
NAME = "{c}"  # in a template: where the class's name goes


@dataclass(frozen=True)
class Example:
    """A picture as its bytes, and what is true of it: a label, or the captions that fit it."""

    key: str
    picture: bytes
    label: int = -1
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestSet:
    """The shards of one split, and the class names and templates that come with them."""

    __test__ = False  # not a test class, whatever its name says to pytest
    uri: str
    split: str
    kind: Kind
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    shards: tuple[str, ...]
    called: str = ""  # by a study; else it has its folder's name

    @property
    def name(self) -> str:
        return self.called or self.uri.rstrip("/").rpartition("/")[2]

    @functools.cached_property
    def mark(self) -> str:
        """What tells these shards from others: an xxh3 digest of their bytes, or in a bucket, from
        which all would have to come, of their sizes and etags.

        Of shards on a disk it is kept, by their paths, sizes and times, in the folder for state.
        """
        return digest_of([find_object(shard) for shard in self.shards])

    def examples(self) -> Iterator[Example]:
        """Every example, shard by shard. Raises DataError for a member or label that is wrong."""
        for shard in self.shards:
            yield from self._of_shard(shard)

    def broken(self, example: Example, fault: SampleFault) -> DataError:
        """Of a picture that does not decode."""
        return DataError(
            f"{self.uri}: the picture {example.key}: {fault}",
            why="a result on the others would be of another test set",
            mend="repair it, or take it out of the shard",
        )

    def _of_shard(self, shard: str) -> Iterator[Example]:
        picture, truth, key = b"", "", ""
        try:
            with tarfile.open(fileobj=io.BytesIO(read_object(shard)), mode="r:") as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    name, ending = split_name(member.name)
                    if name != key:
                        if key:
                            yield self._example(shard, key, picture, truth)
                        picture, truth, key = b"", "", name
                    content = tar.extractfile(member)
                    assert content is not None
                    if ending in PICTURES:
                        picture = content.read()
                    elif ending == ("cls" if self.kind == "classification" else "txt"):
                        truth = content.read().decode()
        except (tarfile.TarError, UnicodeDecodeError) as error:
            raise DataError(
                f"the shard {shard} cannot be read",
                why=f"{type(error).__name__}: {error}",
                mend="copy it again: a part may be missing",
            ) from None
        if key:
            yield self._example(shard, key, picture, truth)

    def _example(self, shard: str, key: str, picture: bytes, truth: str) -> Example:
        ending = "cls" if self.kind == "classification" else "txt"
        if not picture or not truth.strip():
            lacking = f"{key}.{ending}" if picture else f"{key}.{'|'.join(PICTURES)}"
            raise DataError(
                f"{shard} has no {lacking}",
                why="an example is a picture and what is true of it",
                mend="write the shard again, with both beside each other under one key",
            )
        if self.kind == "retrieval":
            return Example(key, picture, captions=tuple(filter(str.strip, truth.splitlines())))
        try:
            label = int(truth)
        except ValueError:
            label = -1
        if not 0 <= label < len(self.classes):
            raise DataError(
                f"{shard}: the label of {key} is {truth.strip()!r}",
                why=f"{CLASSES} has {len(self.classes)} names, for the labels 0 to "
                f"{len(self.classes) - 1}",
                mend=f"give the {CLASSES} that the shards were written with",
            )
        return Example(key, picture, label)


def open_test_set(uri: str, split: str = "test", called: str = "") -> TestSet:
    """The test set at `uri`, a folder or a bucket's prefix, without reading a shard.

    Raises DataError for a layout that is not the one above, and for names and templates that
    cannot be used.
    """
    uri = uri.rstrip("/")
    counted = _text(f"{uri}/{split}/nshards.txt").strip()
    if not counted.isdigit() or int(counted) < 1:
        raise DataError(
            f"{uri}/{split}/nshards.txt says {counted!r}",
            why="it is the number of shards",
            mend="write 1 or more",
        )
    shards = tuple(f"{uri}/{split}/{n}.tar" for n in range(int(counted)))
    for shard in shards:
        if not exists(shard):
            raise DataError(
                f"there is no {shard}",
                why=f"{uri}/{split}/nshards.txt says that there are {counted} shards, from 0.tar",
                mend="copy the missing ones, or correct the number",
            )
    said = _text(f"{uri}/{TYPE}").strip().lower() if exists(f"{uri}/{TYPE}") else ""
    if said == "retrieval":
        return TestSet(uri, split, "retrieval", (), (), shards, called)
    if said not in ("", "classification"):
        raise DataError(
            f"{uri}/{TYPE} says {said!r}",
            why="a test set is of classes with one label a picture, or of captions",
            mend="evaluate one of kind classification or retrieval",
        )
    classes = _lines(f"{uri}/{CLASSES}")
    for number, name in enumerate(classes):
        if not name:
            raise DataError(
                f"line {number + 1} of {uri}/{CLASSES} is empty",
                why=f"it is the name of label {number}",
                mend="write the name",
            )
    templates = (
        checked_templates(_lines(f"{uri}/{TEMPLATES}"), f"{uri}/{TEMPLATES}")
        if exists(f"{uri}/{TEMPLATES}")
        else ()
    )
    return TestSet(uri, split, "classification", classes, templates, shards, called)


def checked_templates(templates: Sequence[str], where: str) -> tuple[str, ...]:
    """The templates. Raises DataError for one without a place for the name, or none at all."""
    if not templates:
        raise DataError(
            f"{where} has no template",
            why="a class is asked for by a sentence with its name",
            mend=f"write one a line, like 'a photo of a {NAME}.'",
        )
    for number, template in enumerate(templates):
        if NAME not in template:
            raise DataError(
                f"line {number + 1} of {where} is '{template}'",
                why=f"it has no {NAME}, and would ask for every class with the same words",
                mend=f"put {NAME} where the class's name goes",
            )
    return tuple(templates)


def _text(uri: str) -> str:
    if not exists(uri):
        raise DataError(
            f"there is no {uri}",
            why="a test set is a folder in clip_benchmark's layout: test/nshards.txt, "
            f"test/0.tar, ..., {CLASSES}",
            mend="give the folder above `test/`, or build one: `seedbed prepare cifar10`",
        )
    return read_object(uri).decode()


def _lines(uri: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in _text(uri).rstrip("\n").split("\n"))
