"""Servers that are stopped, killed and started again. Oracles: psycopg2, boto3 and sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import psycopg2
import pytest

from seedbed.errors import ResourceError
from seedbed_local.postgres import USER, Postgres
from seedbed_local.s3 import S3Server
from seedbed_local.service import lives

pytestmark = pytest.mark.slow


def count(postgres: Postgres, database: str) -> int:
    with (
        psycopg2.connect(
            host="127.0.0.1",
            port=postgres.port,
            user=USER,
            password=postgres.password,
            dbname=database,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        cursor.execute("INSERT INTO kept VALUES (1)")
        cursor.execute("SELECT count(*) FROM kept")
        return int(cursor.fetchall()[0][0])


def test_a_database_outlives_a_stop_and_a_kill_and_takes_no_wrong_password(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, password="right", databases=("one", "two"))
    try:
        postgres.start()
        assert (count(postgres, "one"), count(postgres, "two")) == (1, 1)
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(
                host="127.0.0.1", port=postgres.port, user=USER, password="wrong", dbname="one"
            )
        postgres.stop()
        postgres.start()
        assert count(postgres, "one") == 2
        assert postgres.process is not None
        parts = psutil.Process(postgres.process.pid).children(recursive=True)
        postgres.kill()
        assert not any(map(lives, parts))
        postgres.start()
        assert count(postgres, "one") == 3
        assert "right" not in postgres.log.read_text()
    finally:
        postgres.stop()


@pytest.mark.s3
def test_a_bucket_outlives_a_stop_a_kill_and_other_ports(tmp_path: Path) -> None:
    first = S3Server(tmp_path)
    try:
        first.start()
        first._client().put_object(Bucket=first.bucket, Key="kept", Body=b"1")
        first.stop()
        first.start()
        first._client().put_object(Bucket=first.bucket, Key="more", Body=b"2")
        first.kill()
    finally:
        first.stop()
    second = S3Server(tmp_path, keys=first.keys)
    try:
        second.start()
        body = [
            second._client().get_object(Bucket=second.bucket, Key=key)["Body"].read()
            for key in ("kept", "more")
        ]
        assert body == [b"1", b"2"]
    finally:
        second.stop()


@pytest.mark.s3
def test_a_bucket_listens_on_the_ports_chosen_for_it_alone(tmp_path: Path) -> None:
    server = S3Server(tmp_path)
    try:
        server.start()
        assert server.process is not None
        parts = [psutil.Process(server.process.pid)]
        parts += parts[0].children(recursive=True)
        listens = {
            connection.laddr.port
            for part in parts
            for connection in part.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert server.ports[0] in listens
        assert listens <= set(server.ports)
    finally:
        server.stop()


@pytest.mark.s3
def test_a_bucket_whose_ports_were_taken_meanwhile_has_others_but_keeps_the_one_it_is_known_by(
    tmp_path: Path,
) -> None:
    server = S3Server(tmp_path)
    with socket.create_server(("127.0.0.1", server.ports[3])):
        try:
            server.start()
            known = server.ports[0]
            server.put("kept", b"1")
            server.stop()
            with socket.create_server(("127.0.0.1", server.ports[5])):
                server.start()
                server.put("kept", b"1")
                assert server.ports[0] == known
            server.stop()
            with (
                socket.create_server(("127.0.0.1", known)),
                pytest.raises(ResourceError, match=f"port {known} .* is not available"),
            ):
                server.start()
        finally:
            server.stop()
