"""An index made again, as `seedbed index` does, by somebody who may write to their home alone."""

from __future__ import annotations

from pathlib import Path

from seedbed.data.shards.index import index_source
from seedbed.data.shards.source import index_places


def index_anew(uri: str | Path, home: Path) -> None:
    places = index_places(str(uri), home)
    index_source(str(uri), places, places[1:])
