"""Buckets: boto3 lists and writes, pyarrow reads, every request under `weather.patiently`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow.fs as fs

from seedbed.errors import DataError, TransientError
from seedbed.storage.retry import (
    CONNECT_SECONDS,
    REQUEST_SECONDS,
    number,
    patiently,
    plain,
    status_in,
)

WEATHER_CODES = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "ThrottlingException"}
)
MAX_PUT_BYTES = 5_000_000_000  # of one request; S3's own limit is 5 GiB
REFUSED = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "ACCESS_DENIED",
    "InvalidToken",
)
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
T = TypeVar("T")
_clients: dict[tuple[object, ...], Any] = {}


def endpoint() -> str:
    """The server that the environment names; "" for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _place(uri: str) -> str:
    return endpoint() or ("Google's storage" if uri.startswith("gs:") else "Amazon's S3")


def _cached(kind: str, make: Any) -> Any:
    # By process: a client's threads and sockets do not live on in a forked child.
    key = (os.getpid(), kind, *(os.environ.get(name) for name in _ENVIRONMENT))
    if key not in _clients:
        _clients[key] = make()
    return _clients[key]


def _boto() -> Any:
    def make() -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=number("SEEDBED_READ_TIMEOUT_SECONDS", REQUEST_SECONDS, least=0.01),
            retries={"total_max_attempts": 1, "mode": "standard"},  # weather.py does that
            s3={"addressing_style": "path"} if endpoint() else {},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = boto3.session.Session()  # the module's own is not safe between threads
        return session.client(
            "s3", endpoint_url=endpoint() or None, region_name=_region(), config=config
        )

    return _cached("boto", make)


def _arrow(uri: str) -> Any:
    if uri.startswith("gs:"):
        return _cached("gs", fs.GcsFileSystem)

    def make() -> Any:
        parts = urlsplit(endpoint())
        server = {"scheme": parts.scheme, "endpoint_override": parts.netloc} if parts.netloc else {}
        return fs.S3FileSystem(
            region=_region(),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=number("SEEDBED_READ_TIMEOUT_SECONDS", REQUEST_SECONDS, least=0.01),
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
            **server,
        )

    return _cached("arrow", make)


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def files(prefix: str, *, deep: bool) -> tuple[list[tuple[str, int, str]], list[str]]:
    """(uri, bytes, etag) of what begins with `prefix`, and the names of folders beside."""
    if prefix.startswith("gs:"):
        return _google_files(prefix, deep=deep)
    bucket, key = split(prefix)
    found: list[tuple[str, int, str]] = []
    folders: list[str] = []
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": key}
    if not deep:
        request["Delimiter"] = "/"
    while True:
        page = ask(prefix, f"listing {prefix}", "list_objects_v2", request)
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):
                etag = item["ETag"].strip('"')
                found.append((f"s3://{bucket}/{item['Key']}", int(item["Size"]), etag))
        folders += [f["Prefix"].rstrip("/").split("/")[-1] for f in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            return found, folders
        request["ContinuationToken"] = page["NextContinuationToken"]


def _google_files(prefix: str, *, deep: bool) -> tuple[list[tuple[str, int, str]], list[str]]:
    path = "/".join(split(prefix))
    folder = path[: path.rindex("/")]

    def act() -> Any:
        selector = fs.FileSelector(folder, recursive=deep, allow_not_found=True)
        return _arrow(prefix).get_file_info(selector)

    infos = [i for i in through_arrow(prefix, act, f"listing {prefix}") if i.path]
    kept = [i for i in infos if i.path.startswith(path)]
    found = [(f"gs://{i.path}", int(i.size), f"{i.mtime_ns}-{i.size}") for i in kept if i.is_file]
    return found, [i.base_name for i in kept if not i.is_file]


def ask(
    uri: str,
    what: str,
    method: str,
    request: dict[str, Any],
    *,
    expected: frozenset[int] = frozenset(),
) -> Any:
    """What boto3's `method` answers; None for one of the HTTP statuses `expected`."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    def act() -> Any:
        try:
            answer = getattr(_boto(), method)(**request)
            if "Body" in answer:  # while a connection that breaks is still weather
                answer["Body"] = answer["Body"].read()
            return answer
        except boto.ClientError as error:
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            text = f"{details.get('Code', '')} {details.get('Message', '')}"
            if status in expected and "NoSuchBucket" not in text:
                return None
            raise _fault(uri, status, text) from error
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            raise refused(uri, "there are no credentials") from error
        except (boto.EndpointConnectionError, boto.ConnectTimeoutError) as error:
            raise TransientError(plain(error), unreachable=True) from error
        except (boto.HTTPClientError, ResponseParserError) as error:
            raise TransientError(plain(error)) from error
        except (boto.BotoCoreError, ValueError) as error:
            raise DataError(f"{what} failed", why=plain(error), mend="check AWS_*") from error

    return patiently(act, what, _place(uri))


def _fault(uri: str, status: int | None, text: str) -> Exception:
    """What an answer with `status` means: Weather, or an error that waiting does not mend."""
    if status in (401, 403) or any(code in text for code in REFUSED):
        return refused(uri, plain(text))
    if "NoSuchBucket" not in text and "NO_SUCH_BUCKET" not in text:
        # pyarrow gives no status for a connection that broke or timed out.
        passing = status is None or (status >= 500 and status != 501) or status in (408, 429)
        if passing or any(code in text for code in WEATHER_CODES):
            return TransientError(plain(text))
    bucket, _ = split(uri)
    if "NoSuchBucket" in text or "NO_SUCH_BUCKET" in text:
        return DataError(
            f"there is no bucket '{bucket}' at {_place(uri)}",
            why=f"'{uri}' names it",
            mend="check the bucket's name, and AWS_ENDPOINT_URL",
        )
    if status == 404:
        return gone(uri)
    return DataError(
        f"'{uri}' was refused with HTTP status {status}",
        why=plain(text),
        mend="check the name, AWS_REGION and AWS_ENDPOINT_URL",
    )


def refused(uri: str, text: str) -> DataError:
    return DataError(
        f"{_place(uri)} refuses the credentials for '{uri}'",
        why=text,
        mend="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may be used there",
    )


def gone(uri: str) -> DataError:
    return DataError(
        f"shard {uri} is gone",
        why="the corpus was listed with it, and a corpus with holes is another corpus",
        mend="restore the shard, or index the corpus anew",
    )


def _from_arrow(uri: str, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError) and "bucket" not in str(error).lower():
        return gone(uri)
    text = str(error)
    if "curlCode: 6," in text or "curlCode: 7," in text:  # no such host, or nobody listens
        return TransientError(plain(error), unreachable=True)
    return _fault(uri, status_in(text), text)


def read(uri: str, start: int, stop: int | None) -> bytes:
    """Bytes `start` to `stop` - 1 of the object; one that comes short is weather."""
    path = "/".join(split(uri))

    def act() -> bytes:
        with _arrow(uri).open_input_file(path) as opened:
            size = opened.size()
            end = size if stop is None else min(stop, size)
            content = opened.read_at(end - start, start) if end > start else b""
        if len(content) != max(0, end - start):
            raise TransientError(f"{len(content):,} bytes came of {end - start:,}")
        return bytes(content)

    return through_arrow(uri, act, f"reading {uri}")


def write(uri: str, content: bytes) -> None:
    if uri.startswith("gs:"):

        def act() -> None:
            with _arrow(uri).open_output_stream("/".join(split(uri))) as out:
                out.write(content)

        through_arrow(uri, act, f"writing {uri}")
        return
    bucket, key = split(uri)
    ask(uri, f"writing {uri}", "put_object", {"Bucket": bucket, "Key": key, "Body": content})


def through_arrow(uri: str, act: Callable[[], T], what: str) -> T:
    """`act()`, some pyarrow calls on `uri`, waited for as all else here; safe to repeat."""

    def translated() -> T:
        try:
            return act()
        except OSError as error:
            raise _from_arrow(uri, error) from error

    return patiently(translated, what, _place(uri))


def exists(uri: str) -> bool:
    found, _ = files(uri, deep=False)
    return any(entry[0] == uri for entry in found)


def etag(uri: str) -> str:
    """The object's etag, as `files` gives it."""
    if uri.startswith("gs:"):
        found, _ = _google_files(uri, deep=False)
        for name, _, value in found:
            if name == uri:
                return value
        raise gone(uri)
    bucket, key = split(uri)
    answer = ask(uri, f"asking for {uri}", "head_object", {"Bucket": bucket, "Key": key})
    return str(answer["ETag"]).strip('"')
