"""Where a tar's members lie. Oracle: the standard library's tarfile."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.data.shards.formats.tar import BLOCK, columns
from seedbed.errors import DataError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=150)
FILES = st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=6)
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


def packed(files: list[tuple[str, bytes]], form: int, folders: bool = False) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in files:
            if folders:
                folder = tarfile.TarInfo("folder")
                folder.type = tarfile.DIRTYPE
                tar.addfile(folder)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@given(FILES, FORMATS, st.booleans())
@pytest.mark.slow
def test_it_finds_what_the_library_finds(
    files: list[tuple[str, bytes]], form: int, folders: bool
) -> None:
    try:
        content = packed(files, form, folders)
    except ValueError:  # USTAR has no room for such a name
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        theirs = [
            (m.name, m.offset, m.offset_data, m.offset_data + m.size) for m in tar if m.isfile()
        ]
    assert list(zip(*columns("x.tar", content), strict=True)) == theirs
    _, headers, starts, stops = columns("x.tar", content)
    found = [content[start:stop] for start, stop in zip(starts, stops, strict=True)]
    assert found == [c for _, c in files]
    for first, header in enumerate(headers):  # from any member on, and to any other
        names, *_ = columns("x.tar", content[header : stops[-1] + -stops[-1] % BLOCK], part=True)
        assert names == [name for name, *_ in theirs][first:]


@given(st.data())
def test_a_cut_or_spoiled_tar_is_refused_or_complete(data: st.DataObject) -> None:
    """Wherever it is cut: an error that names it, or every member that there was."""
    files = [(f"{n}.jpg", bytes([n]) * (700 * n)) for n in range(1, 4)]
    content = packed(files, tarfile.USTAR_FORMAT)
    whole = columns("x.tar", content)
    cut = data.draw(st.integers(0, len(content) - 1))
    try:
        assert columns("x.tar", content[:cut]) == whole
    except DataError as error:
        assert "x.tar is cut short" in str(error)


@pytest.mark.parametrize("place", [0, 130, 3 * BLOCK + 5])
def test_a_spoiled_header_is_refused(place: int) -> None:
    content = bytearray(packed([("a.jpg", b"x" * 1000), ("b.jpg", b"y")], tarfile.USTAR_FORMAT))
    content[place] ^= 1
    with pytest.raises(DataError, match=r"x\.tar is cut short or is not a tar"):
        columns("x.tar", bytes(content))


def test_a_folder_in_the_header_and_text_past_a_names_end_are_read_right() -> None:
    name = f"{'f' * 90}/{'g' * 90}.jpg"
    content = bytearray(packed([("a.jpg", b"x"), (name, b"y")], tarfile.USTAR_FORMAT))
    assert columns("x.tar", bytes(content))[0] == ["a.jpg", name]
    content[6:9] = b"old"
    said = int(content[148:154], 8) + sum(b"old")
    content[148:154] = b"%06o" % said
    assert columns("x.tar", bytes(content))[0] == ["a.jpg", name]


@pytest.mark.parametrize(("place", "text"), [(148, b"999999"), (124, b"-0000001000")])
def test_numbers_that_no_tar_has_are_refused(place: int, text: bytes) -> None:
    content = bytearray(packed([("a.jpg", b"x" * 1000)], tarfile.USTAR_FORMAT))
    content[place : place + len(text)] = text
    if place == 124:
        content[148:156] = b" " * 8
        content[148:154] = b"%06o" % sum(content[:BLOCK])
    with pytest.raises(DataError, match=r"x\.tar is cut short or is not a tar"):
        columns("x.tar", bytes(content))


def test_what_is_no_tar_is_refused() -> None:
    for content in (b"", b"x" * 4096, b"PK\3\4" + bytes(2000)):
        with pytest.raises(DataError, match=r"x\.tar is cut short or is not a tar"):
            columns("x.tar", content)
