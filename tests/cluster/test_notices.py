"""Notices that a node is taken away. Oracle: the providers' own clients, on the same server."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from botocore.utils import IMDSFetcher
from tests.fixtures.metadata import Metadata, metadata_server

from seedbed.cluster import notices
from seedbed.cluster.notices import Aws, Gcp, Notice, provider

ACTION, REBALANCE = "spot/instance-action", "events/recommendations/rebalance"
END = "2026-11-28T08:22:00Z"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(notices, "TRIES", 2)


def later(act: object, *arguments: str) -> threading.Timer:
    timer = threading.Timer(0.1, act, arguments)  # type: ignore[arg-type]
    timer.start()
    return timer


def said_by_aws(server: Metadata, path: str) -> str:
    """What AWS's own client reads there."""
    client = IMDSFetcher(base_url=server.url, env={})
    token = client._fetch_metadata_token()
    assert token
    return str(client._get_request(f"latest/meta-data/{path}", lambda _: False, token).text)


def test_a_notice_of_aws_names_the_time_of_the_end() -> None:
    with metadata_server("aws") as server:
        found = provider(server.url)
        assert isinstance(found, Aws)
        later(server.say, ACTION, f'{{"action": "terminate", "time": "{END}"}}')
        (notice,) = found.notices()
        assert said_by_aws(server, ACTION) == f'{{"action": "terminate", "time": "{END}"}}'
    end = datetime(2026, 11, 28, 8, 22, tzinfo=UTC).timestamp()
    assert notice == Notice(f"AWS: terminate at {END}", end)
    assert server.requests.count(f"/latest/meta-data/{ACTION}") > 2  # it was asked again and again


def test_a_rebalance_is_told_once_and_the_end_after_it() -> None:
    with metadata_server("aws") as server:
        server.say(REBALANCE, f'{{"noticeTime": "{END}"}}')
        found = provider(server.url)
        assert found is not None
        told = found.notices()
        before = time.time()
        first = next(told)
        assert "rebalance" in first.words
        assert before + 120 <= first.deadline <= time.time() + 120
        later(server.say, ACTION, f'{{"action": "stop", "time": "{END}"}}')
        assert [notice.words for notice in told] == [f"AWS: stop at {END}"]
        # Who stays until the end is named is told nothing of it.
        patient = provider(server.url, rebalance=False)
        assert patient is not None
        assert [notice.words for notice in patient.notices()] == [f"AWS: stop at {END}"]


def test_a_token_that_has_run_out_is_renewed() -> None:
    with metadata_server("aws") as server:
        found = provider(server.url)
        assert isinstance(found, Aws)
        server.tokens.clear()
        server.say(ACTION, f'{{"action": "terminate", "time": "{END}"}}')
        assert len(list(found.notices())) == 1


@pytest.mark.parametrize("already", [True, False])
def test_a_notice_of_gcp_comes_at_once_whether_it_was_given_before_the_watch_or_after(
    already: bool,
) -> None:
    with metadata_server("gcp") as server:
        found = provider(server.url)
        assert isinstance(found, Gcp)
        if already:
            server.preempt()
        else:
            later(server.preempt)
        began = time.time()
        (notice,) = found.notices()
        assert time.time() - began < 2  # of a minute that the request might wait
        assert began + 30 <= notice.deadline <= time.time() + 30
        assert len(server.requests) <= 4  # it waits there, and does not ask again and again
        client = pytest.importorskip("google.auth.compute_engine._metadata")
        transport = pytest.importorskip("google.auth.transport.requests")
        root = f"{server.url}/computeMetadata/v1/"
        assert client.get(transport.Request(), "instance/preempted", root=root) == "TRUE"


@pytest.mark.parametrize("cloud", ["none", "nobody"])
def test_on_a_machine_of_neither_the_watcher_ends(
    cloud: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with metadata_server(cloud) as server:
        url = server.url
        if cloud == "none":
            assert notices.main(["--metadata", url]) == 0
    if cloud == "nobody":  # the server has gone
        assert notices.main(["--metadata", url]) == 0
    assert f"neither AWS nor GCP answers at {url}" in capsys.readouterr().out
