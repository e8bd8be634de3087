"""Small objects in an S3 bucket, written only if they are as they were seen."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from seedbed.storage import s3


@dataclass(frozen=True)
class Content:
    """A small object: its bytes, its etag, and how old it is by the server's own clock."""

    body: bytes
    etag: str
    age_seconds: float


def get(uri: str) -> Content | None:
    """The object `uri`, read by boto3; None where there is none."""
    bucket, key = s3.split(uri)
    request = {"Bucket": bucket, "Key": key}
    found = s3.ask(uri, f"reading {uri}", "get_object", request, expected=frozenset({404}))
    if found is None:
        return None
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    age = (now - found["LastModified"]).total_seconds()
    return Content(found["Body"], found["ETag"].strip('"'), age)


def put_if(uri: str, content: bytes, *, etag: str | None) -> str | None:
    """Write `uri` if it has `etag` (None: if there is no such object); its new etag, or None.

    Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    bucket, key = s3.split(uri)
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
    request = {"Bucket": bucket, "Key": key, "Body": content, **condition}
    # 409: another write of it was under way; 404: it was to be replaced and is gone.
    refusals = frozenset({404, 409, 412})
    answer = s3.ask(uri, f"writing {uri}", "put_object", request, expected=refusals)
    return None if answer is None else str(answer["ETag"]).strip('"')


def delete(uri: str) -> None:
    bucket, key = s3.split(uri)
    s3.ask(uri, f"deleting {uri}", "delete_object", {"Bucket": bucket, "Key": key})
