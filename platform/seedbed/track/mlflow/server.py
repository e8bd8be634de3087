"""What an MLflow server says of itself."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 5.0


def is_server(uri: str) -> bool:
    """Whether `uri` is a server's address, and not a database's."""
    return urlsplit(uri).scheme in ("http", "https")


def is_local(uri: str) -> bool:
    """Whether only this machine's users can reach it."""
    host = urlsplit(uri).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_version(uri: str) -> str:
    """Its version; "" where it does not say."""
    answer = _ask(uri, "/version", "GET")
    return answer.text.strip() if answer.status_code == 200 and len(answer.text) < 40 else ""


def _ask(uri: str, endpoint: str, method: str) -> Any:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    return http_request(
        get_default_host_creds(uri.rstrip("/")),
        endpoint,
        method,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        raise_on_status=False,
    )


def lets_anyone_in(uri: str) -> bool:
    """Whether it answers a request for its experiments that names no user."""
    endpoint = f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"
    request = urllib.request.Request(_without_user(endpoint), method="GET")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
