"""Objects in a bucket: what `local` does for files. Every request goes through `client.ask`."""

from __future__ import annotations

import io
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from seedbed.storage.address import Content, Object
from seedbed.storage.client import ask, split

MAX_PUT_BYTES = 5_000_000_000  # of one request; S3's own limit is 5 GiB
ABSENT = frozenset({404})
OUT_OF_RANGE = 416  # the range begins at or after the object's end
CHANGED = 412  # it has another etag


def find(uri: str) -> Object | None:
    """The object at `uri`; None where there is none."""
    bucket, key = split(uri)
    answer = ask(
        uri,
        f"asking for {uri}",
        lambda client: client.head_object(Bucket=bucket, Key=key),
        expected=ABSENT,
    )
    if answer is None:
        return None
    return Object(uri, int(answer["ContentLength"]), _etag(answer))


def read(uri: str, start: int = 0, stop: int | None = None, *, etag: str = "") -> bytes | None:
    """Bytes `start` to `stop` - 1 of the object, or to its end.

    None where there is none, or another than the one with `etag` ("" for any).
    """
    if stop is not None and stop <= start:
        return b""
    bucket, key = split(uri)
    request: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if start or stop is not None:
        request["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    if etag:
        request["IfMatch"] = f'"{etag}"'

    def get(client: Any) -> bytes:
        return bytes(client.get_object(**request)["Body"].read())

    content = ask(uri, f"reading {uri}", get, expected=ABSENT | {OUT_OF_RANGE, CHANGED})
    if content is None and "Range" in request:
        found = find(uri)
        if found is not None and etag in ("", found.etag):
            return b""
    return content


def get(uri: str) -> Content | None:
    """The object with its etag and age; None where there is none."""
    bucket, key = split(uri)

    def act(client: Any) -> Content:
        answer = client.get_object(Bucket=bucket, Key=key)
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - answer["LastModified"]).total_seconds()
        return Content(answer["Body"].read(), _etag(answer), age)

    return ask(uri, f"reading {uri}", act, expected=ABSENT)


def write(uri: str, content: bytes) -> None:
    """Write the object. It appears whole when its upload completes, never in part."""
    bucket, key = split(uri)

    def put(client: Any) -> None:
        if len(content) <= MAX_PUT_BYTES:
            client.put_object(Bucket=bucket, Key=key, Body=content)
        else:
            client.upload_fileobj(io.BytesIO(content), bucket, key)

    ask(uri, f"writing {uri}", put)


def write_if(uri: str, content: bytes, *, etag: str | None) -> str | None:
    """Write `uri` if it has `etag` (None: if there is no such object); its new etag, or None.

    Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    bucket, key = split(uri)
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
    # 409: another write of it was under way; 404: it was to be replaced and is gone.
    answer = ask(
        uri,
        f"writing {uri}",
        lambda client: client.put_object(Bucket=bucket, Key=key, Body=content, **condition),
        expected=frozenset({404, 409, 412}),
    )
    return None if answer is None else _etag(answer)


def upload(source: Path, uri: str) -> None:
    """Write the local file `source` to `uri`, in parts where it is large."""
    bucket, key = split(uri)

    def put(client: Any) -> None:
        with source.open("rb") as opened:  # opened anew: a retry reads from the start
            client.upload_fileobj(opened, bucket, key)

    ask(uri, f"writing {uri}", put)


def download(uri: str, target: Path) -> bool:
    """Write the object to the local file `target`; False where there is none."""
    bucket, key = split(uri)

    def fetch(client: Any) -> bool:
        with target.open("wb") as out:
            client.download_fileobj(bucket, key, out)
        return True

    return bool(ask(uri, f"reading {uri}", fetch, expected=ABSENT))


def files(prefix: str, *, deep: bool) -> tuple[list[Object], list[str]]:
    """The objects whose uri begins with `prefix`, and the names of folders beside them."""
    bucket, _ = split(prefix)
    keys, folders = _listed(prefix, deep=deep)
    # A key that ends in `/` is the mark of a folder that some programs leave.
    entries = [
        Object(f"s3://{bucket}/{item['Key']}", int(item["Size"]), _etag(item))
        for item in keys
        if not item["Key"].endswith("/")
    ]
    return entries, [folder.rstrip("/").rpartition("/")[2] for folder in folders]


def _listed(prefix: str, *, deep: bool) -> tuple[list[Any], list[str]]:
    bucket, key = split(prefix)
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": key}
    if not deep:
        request["Delimiter"] = "/"
    keys: list[Any] = []
    folders: list[str] = []
    while True:
        page: Any = ask(prefix, f"listing {prefix}", lambda c: c.list_objects_v2(**request))
        keys += page.get("Contents", ())
        folders += [prefix_entry["Prefix"] for prefix_entry in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            return keys, folders
        request["ContinuationToken"] = page["NextContinuationToken"]


def remove(uri: str) -> None:
    """Delete the object, and all below it as a folder; nothing happens where there is none."""
    bucket, _ = split(uri)
    below, _ = _listed(f"{uri.rstrip('/')}/", deep=True)
    for key in [split(uri)[1], *(item["Key"] for item in below)]:
        delete(f"s3://{bucket}/{key}")


def delete(uri: str) -> None:
    """Delete the object; nothing happens where there is none."""
    bucket, key = split(uri)
    ask(uri, f"deleting {uri}", lambda c: c.delete_object(Bucket=bucket, Key=key), expected=ABSENT)


def move(source: str, target: str) -> None:
    """Copy the object over `target`, then delete it; both requests are idempotent."""
    (bucket, key), (to_bucket, to_key) = split(source), split(target)
    origin = {"Bucket": bucket, "Key": key}
    ask(source, f"moving {source} to {target}", lambda c: c.copy(origin, to_bucket, to_key))
    delete(source)


def _etag(answer: Any) -> str:
    return str(answer["ETag"]).strip('"')
