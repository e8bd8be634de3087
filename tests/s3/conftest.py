"""A real S3 server, and weather in front of it."""

from __future__ import annotations

import http.client
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from seedbed_corpora.s3_server import serve


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """SeaweedFS for the session: the environment that reaches it."""
    with serve(tmp_path_factory.mktemp("seaweed")) as reach:
        yield reach


@pytest.fixture
def s3(s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The server's environment, set for one test, with short pauses between attempts."""
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "10")
    monkeypatch.setenv("SEEDBED_READ_BACKOFF_SECONDS", "0.02")
    return s3_server


@dataclass
class Weather:
    """What the proxy does to the next requests; each count goes down by one a request."""

    url: str
    statuses: list[int] = field(default_factory=list)
    cuts: int = 0
    resets: int = 0
    delays: int = 0
    delay_seconds: float = 0.0
    away: bool = False  # every request is answered with 503 until somebody says otherwise
    away_after: int | None = None  # it goes away by itself at this request …
    away_seconds: float = float("inf")  # … and for so long
    away_since: float = 0.0
    requests: list[str] = field(default_factory=list)

    @property
    def is_away(self) -> bool:
        if self.away_after is not None and len(self.requests) > self.away_after:
            self.away_since = self.away_since or time.monotonic()
            return time.monotonic() - self.away_since < self.away_seconds
        return self.away


def _handler(weather: Weather, server: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def drop(self) -> None:
            """End the connection with a reset."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
            cut = weather.cuts > 0 and self.command == "GET" and len(body) > 1
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            given = {n.lower(): v for n, v in headers}.get("content-length")
            length = given if self.command == "HEAD" and given else str(len(body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if cut:
                weather.cuts -= 1
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(body)

        def pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            weather.requests.append(f"{self.command} {self.path}")
            if weather.is_away:
                self.answer(503, b"", [])
                return
            if weather.resets:
                weather.resets -= 1
                self.drop()
                return
            if weather.delays:
                weather.delays -= 1
                time.sleep(weather.delay_seconds)
            if weather.statuses:
                self.answer(weather.statuses.pop(0), b"", [])
                return
            behind = http.client.HTTPConnection(server, timeout=30)
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # Host too: it is part of the signature
                behind.putheader(name, value)
            behind.endheaders(content or None)
            got = behind.getresponse()
            self.answer(got.status, got.read(), got.getheaders())
            behind.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client gave up first
                self.close_connection = True

    return Handler


class _Proxy(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture
def weather(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Weather]:
    """A proxy before the server, to which the environment points."""
    state = Weather("")
    handler = _handler(state, urlsplit(s3["AWS_ENDPOINT_URL"]).netloc)
    with _Proxy(("127.0.0.1", 0), handler) as proxy:
        state.url = f"http://127.0.0.1:{proxy.server_address[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", state.url)
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield state
        proxy.shutdown()
        thread.join()
