"""The S3 server that we start. Oracle: the sockets that its processes hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

pytestmark = pytest.mark.s3


def test_it_listens_on_this_machine_alone(s3: dict[str, Any]) -> None:
    port = urlsplit(s3["AWS_ENDPOINT_URL"]).port
    ours = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name().startswith("weed")
    ]
    heard = {
        socket.laddr
        for process in ours
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert port in {address.port for address in heard}
    assert {address.ip for address in heard} == {"127.0.0.1"}
