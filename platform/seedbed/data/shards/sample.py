"""One sample as it lies in a shard: the members of one key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from seedbed.data.decode import image_extensions
from seedbed.errors import SampleFault

PARQUET_IMAGE = "img"  # what the picture of a row of a table is called
MAX_CAPTION_BYTES = 20_000  # longer is a scraping accident, not a caption


@dataclass(frozen=True)
class RawSample:
    """The members of one key: extension to bytes."""

    key: str
    members: Mapping[str, bytes]

    def image(self) -> bytes:
        """The picture's bytes. Raises SampleFault where the sample has none."""
        for extension in (PARQUET_IMAGE, *image_extensions()):
            if extension in self.members:
                return self.members[extension]
        raise SampleFault(f"no picture (it has {', '.join(sorted(self.members))})")

    def caption(self, field: str) -> str:
        """The caption in `field` of the json member, or in the text member for `txt`.

        Raises SampleFault for one that is missing, empty, too long or not UTF-8.
        """
        if "json" not in self.members or (field == "txt" and "txt" in self.members):
            raw = self.members.get("txt")
            if raw is None:
                raise SampleFault(f"no caption: neither txt nor json for field '{field}'")
            if len(raw) > MAX_CAPTION_BYTES:
                raise SampleFault(f"caption of {len(raw):,} bytes")
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise SampleFault(f"caption is not UTF-8 at byte {error.start}") from None
        else:
            text = self._from_json(field)
        if not text.strip():
            raise SampleFault("caption is empty")
        return text

    def fields(self) -> dict[str, object]:
        """The json member's fields; none where it holds no object.

        Raises SampleFault where it does not parse.
        """
        try:
            values = json.loads(self.members.get("json", b"{}"))
        except (ValueError, RecursionError) as error:
            raise SampleFault(f"json member does not parse: {error}") from None
        return values if isinstance(values, dict) else {}

    def _from_json(self, field: str) -> str:
        values = self.fields()
        value = values.get(field)
        if not isinstance(value, str):
            known = ", ".join(sorted(values)) or "none"
            raise SampleFault(f"json has no caption field '{field}' (it has {known})")
        if len(value) > MAX_CAPTION_BYTES:
            raise SampleFault(f"caption of {len(value):,} characters")
        return value
