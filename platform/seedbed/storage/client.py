"""The one client for buckets: boto3 under `retry`, with errors classified by status and code.

Credentials and endpoint come from the usual environment (`AWS_*`, `AWS_ENDPOINT_URL`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from seedbed.errors import DataError, TransientError
from seedbed.storage.retry import CONNECT_SECONDS, REQUEST_SECONDS, env_number, plain, retry

T = TypeVar("T")

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
TRANSIENT_CODES = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "ThrottlingException"}
)
REFUSED_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "ExpiredToken"}
)
CONNECTIONS = 32  # kept open; more threads than that wait for one
_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "SEEDBED_READ_TIMEOUT_SECONDS",
)
_clients: dict[tuple[object, ...], Any] = {}


def endpoint() -> str:
    """The server that the environment names; "" for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def server() -> str:
    """The server as messages name it."""
    return endpoint() or "Amazon's S3"


def client() -> Any:
    """boto3's client for the environment as it is now, shared by the process' threads."""
    # By process: a client's threads and sockets do not survive a fork.
    key = (os.getpid(), *(os.environ.get(name) for name in _ENVIRONMENT))
    if key not in _clients:
        _clients[key] = _new_client()
    return _clients[key]


def _new_client() -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=env_number("SEEDBED_READ_TIMEOUT_SECONDS", REQUEST_SECONDS, least=0.01),
        retries={"total_max_attempts": 1, "mode": "standard"},  # `retry` repeats requests
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path"} if endpoint() else {},
        # Servers other than Amazon's do not all know the checksums that boto3 adds by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    session = boto3.session.Session()  # the module's own is not safe between threads
    return session.client("s3", endpoint_url=endpoint() or None, region_name=region, config=config)


def ask(
    uri: str, what: str, request: Callable[[Any], T], *, expected: frozenset[int] = frozenset()
) -> T | None:
    """`request(client)` under `retry`; None for one of the HTTP statuses `expected`.

    `request` must be idempotent. Raises UnavailableError, and DataError for permanent errors:
    refused credentials, no such bucket, a request that the server does not take.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    def failed(error: Exception) -> DataError:
        return DataError(f"{what} failed", why=plain(error), mend="check AWS_*")

    try:
        made = client()  # before the clock of `retry` starts: boto3 is slow to load its tables
    except (boto.BotoCoreError, ValueError) as error:
        raise failed(error) from error

    def translated() -> T | None:
        try:
            return request(made)
        except boto.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status in expected and code != "NoSuchBucket":
                return None
            raise _fault(uri, status, code, error) from error
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            raise _refused(uri, "there are no credentials") from error
        except (boto.EndpointConnectionError, boto.ConnectTimeoutError) as error:
            raise TransientError(plain(error), unreachable=True) from error
        except (boto.HTTPClientError, boto.IncompleteReadError, ResponseParserError) as error:
            raise TransientError(plain(error)) from error
        except (boto.BotoCoreError, Boto3Error, ValueError) as error:
            raise failed(error) from error

    return retry(translated, what, server())


def _fault(uri: str, status: int | None, code: str, error: object) -> Exception:
    """A TransientError to retry, or the error for an answer that is permanent."""
    if status in (401, 403) or code in REFUSED_CODES:
        return _refused(uri, plain(error))
    if code == "NoSuchBucket":
        return DataError(
            f"there is no bucket '{split(uri)[0]}' at {server()}",
            why=f"'{uri}' names it",
            mend="check the bucket's name, and AWS_ENDPOINT_URL",
        )
    # 501 is a request that this server does not know.
    transient = status is None or (status >= 500 and status != 501) or status in (408, 429)
    if transient or code in TRANSIENT_CODES:
        return TransientError(plain(error))
    return DataError(
        f"'{uri}' was refused with HTTP status {status}",
        why=plain(error),
        mend="check the name, AWS_REGION and AWS_ENDPOINT_URL",
    )


def _refused(uri: str, text: str) -> DataError:
    return DataError(
        f"{server()} refuses the credentials for '{uri}'",
        why=text,
        mend="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may be used there",
    )


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key
