"""What a check makes of what nodes say. Oracle: nodes that are known, by hand, and real folders."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from seedbed.cluster.doctor import checks
from seedbed.cluster.doctor.check import Answer, Finding, Node, Scope
from seedbed.cluster.doctor.checks import all_checks
from seedbed.cluster.doctor.checks.token import answers_anyone
from seedbed.cluster.doctor.checks.versions import code_digest, versions
from seedbed.cluster.doctor.examine import Examined, examine
from seedbed.cluster.doctor.probing import here
from seedbed.commands import doctor
from seedbed.commands.seedbed import main
from seedbed.storage.objects import write_object

NODES = tuple(
    Node(name, name, resources={"GPU": 2.0, "object_store_memory": 4e9}) for name in ("one", "two")
)


def judged(
    name: str, *facts: dict[str, Any], sent: float = 0, received: float = 1
) -> list[Finding]:
    answers = [Answer(n, f, sent, received) for n, f in zip(NODES, facts, strict=False)]
    return list(all_checks()[name].judge(Scope(storage="results", data="corpus"), answers))


def statuses(findings: Sequence[Finding]) -> list[str]:
    return [finding.status for finding in findings]


def test_a_check_is_a_file_and_says_how_to_mend_what_is_bad() -> None:
    folder = Path(checks.__file__).parent
    assert set(all_checks()) == {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert next(iter(all_checks())) == "nodes"


def test_a_clock_is_off_only_as_far_as_the_round_trip_does_not_explain() -> None:
    # Scope at 100 and answered at 102: any time between is right, and 105 is 3 s off at least.
    for told, status in ((100, "ok"), (102, "ok"), (105, "caution"), (95, "caution"), (900, "bad")):
        (finding,) = judged("clock", {"time": told}, sent=100, received=102)
        assert finding.status == status, told
    assert "3.0 s off" in judged("clock", {"time": 105}, sent=100, received=102)[0].what


def test_another_library_or_other_code_on_one_node_is_bad_and_named() -> None:
    ours = versions()
    assert statuses(judged("versions", ours, ours)) == ["ok"]
    old, other = ours | {"torch": "1.0"}, ours | {"code": "f" * 12}
    (library,) = judged("versions", ours, old)
    assert library.status == "bad" and "torch differs" in library.what
    assert f"one: {ours['torch']}; two: 1.0" in library.what and "one image" in library.mend
    (code,) = judged("versions", ours, other)
    assert "code differs" in code.what and "working copy" in code.mend


def test_the_digest_of_code_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    first = code_digest(tmp_path)
    (tmp_path / "b.txt").write_text("no code")
    assert code_digest(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2\n")
    changed = code_digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    assert len({first, changed, code_digest(tmp_path)}) == 3


def test_shared_memory_smaller_than_the_object_store_is_bad() -> None:
    small, large = {"total": 64e6, "free": 64e6}, {"total": 8e9, "free": 8e9}
    (finding,) = judged("shared_memory", large, small)
    assert finding.status == "bad" and "two: /dev/shm has 0.1 GB, and 4.0 GB" in finding.what
    assert "--shm-size" in finding.mend
    assert statuses(judged("shared_memory", large, large)) == ["ok"]
    assert statuses(judged("shared_memory", {})) == ["skipped"]


def test_a_disk_that_ray_would_refuse_is_bad_and_a_small_one_a_caution() -> None:
    def disk(total: float, free: float) -> dict[str, Any]:
        return {"/tmp": {"total": total, "free": free}}

    (full,) = judged("disk", disk(1e12, 4e11), disk(1e12, 4e10))
    assert full.status == "bad" and "two: the disk of /tmp is 96 % full" in full.what
    assert statuses(judged("disk", disk(2e10, 4e9))) == ["caution"]
    assert statuses(judged("disk", disk(1e12, 4e11))) == ["ok"]


def test_gpus_that_torch_does_not_see_are_bad_and_a_slow_one_is_named() -> None:
    def gpu(flops: float, copy: float = 2e10) -> dict[str, Any]:
        return {"name": "H100", "bytes": 8e10, "flops": flops, "copy": copy}

    fine = {"gpus": [gpu(6e14), gpu(6.1e14)]}
    assert statuses(judged("gpu", fine, fine)) == ["ok"]
    (unseen,) = judged("gpu", fine, {"gpus": [gpu(6e14)]})
    assert unseen.status == "bad" and "two: Ray counts 2 GPUs, and torch sees 1" in unseen.what
    (hot,) = judged("gpu", fine, {"gpus": [gpu(6e14), gpu(3e14)]})
    assert hot.status == "caution" and "300 TFLOP/s, where another has 610" in hot.what
    (link,) = judged("gpu", {"gpus": [gpu(6e14), gpu(6e14, copy=1e9)]})
    assert link.status == "caution" and "1.0 GB/s" in link.what


def test_a_slow_network_between_gpus_is_a_caution() -> None:
    assert statuses(judged("nccl", {"bus": 4e11, "world": 4, "seconds": 0.1})) == ["ok"]
    assert statuses(judged("nccl", {"bus": 1e8, "world": 4, "seconds": 0.1})) == ["caution"]
    assert statuses(judged("nccl", {})) == ["skipped"]


def test_what_is_slow_to_read_is_a_caution_unless_it_is_too_small_to_tell() -> None:
    assert statuses(judged("corpus", {"bytes": 16e6, "seconds": 4.0})) == ["caution"]
    assert statuses(judged("corpus", {"bytes": 1e4, "seconds": 4.0})) == ["ok"]
    assert statuses(judged("results", {"read": 1e6, "write": 1e9})) == ["caution"]


def one(name: str, **asked: str) -> Examined:
    (found,) = examine(Scope(**asked), [name])
    return found


def test_this_machine_reads_what_it_writes_and_leaves_nothing(tmp_path: Path) -> None:
    found = one("results", storage=str(tmp_path / "results"))
    assert found.ok and "writes" in found.findings[0].what
    ((facts),) = found.facts.values()
    assert facts["read"] > 0 and facts["write"] > 0
    assert list((tmp_path / "results").rglob("*")) == []


def test_a_folder_that_cannot_be_written_is_bad_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = one("results", storage=str(tmp_path / "file" / "results"))
    assert not found.ok and "cannot be written" in found.findings[0].what
    assert found.findings[0].mend


def test_a_corpus_that_is_not_there_is_bad(tmp_path: Path, shapes: Path) -> None:
    assert one("corpus", data=str(shapes)).ok
    missing = one("corpus", data=str(tmp_path / "nowhere"))
    assert not missing.ok and "nothing matches" in missing.findings[0].what


def test_a_server_that_is_away_is_bad_in_words_and_a_database_is_fine(tmp_path: Path) -> None:
    away = one("tracking", tracking_uri="http://127.0.0.1:9")
    assert not away.ok and "does not answer" in away.findings[0].what
    assert one("tracking", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").ok


@pytest.mark.s3
def test_a_bucket_is_written_and_read_and_a_server_that_is_away_is_named(
    s3: dict[str, str], shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_object("s3://corpus/examined/00000.tar", (shapes / "00000.tar").read_bytes())
    assert one("results", storage="s3://corpus/results").ok
    assert one("corpus", data="s3://corpus/examined").ok
    assert not one("corpus", data="s3://corpus/nowhere").ok
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SEEDBED_RETRY_SECONDS", "0")
    away = one("results", storage="s3://corpus/results")
    assert not away.ok and "nothing can be reached at http://127.0.0.1:9" in away.findings[0].what
    assert "AWS_ENDPOINT_URL" in away.findings[0].mend


HANGS = """
import time
from seedbed.cluster.doctor.check import Check, Finding

def probe(visit):
    if visit.node in visit.given.get("hang", [visit.node]):
        time.sleep(60)
    return {}

CHECK = Check("?", lambda asked, answers: [Finding("ok", "")], probe)
"""


@pytest.fixture
def hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of a check whose probe takes a minute."""
    (tmp_path / "hanging_check.py").write_text(HANGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "hanging_check", raising=False)
    return "hanging_check"


def test_a_probe_that_hangs_is_given_up_and_its_node_named(hangs: str) -> None:
    began = time.monotonic()
    (found,) = here(hangs, [Node("", "mine")], {}, {}, 0.3, False)
    assert time.monotonic() - began < 5
    assert isinstance(found, Finding) and found.silent == ""
    assert found.status == "bad" and "mine gave no answer in 0.3 s" in found.what


@pytest.fixture
def jobs_api() -> Iterator[tuple[str, list[int]]]:
    """A server that answers with the status that it is told."""
    status = [200]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/jobs/", status
        server.shutdown()
        thread.join()


def test_a_jobs_api_that_answers_without_a_token_is_open(jobs_api: tuple[str, list[int]]) -> None:
    url, status = jobs_api
    assert answers_anyone(url)
    for status[0] in (401, 403):
        assert not answers_anyone(url)
    assert not answers_anyone("http://127.0.0.1:9/")


def test_what_others_print_while_it_examines_is_not_in_its_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examined = doctor._examined

    def beside(*given: Any) -> Iterator[Examined]:
        print("(raylet) There are tasks with infeasible resource requests")
        yield from examined(*given)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(doctor, "_examined", beside)
    main(["doctor", "--json", "--only", "versions"])
    told = capsys.readouterr()
    assert [check["name"] for check in json.loads(told.out)["checks"]] == ["versions"]
    assert told.err.startswith("(raylet)")
