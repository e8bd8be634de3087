"""Oracle: what was put in, in order; a line to the other side that the test cuts and mends."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial

import pytest

from seedbed.track.outbox import CurvePoint, Delivery, Outbox


class Line:
    """The other side: keeps what arrives while it is up, raises while it is down."""

    def __init__(self, *, up: bool) -> None:
        self.up = threading.Event()
        self.tried = threading.Event()
        self.jobs: list[str] = []
        self.points: dict[str, list[int]] = {}
        if up:
            self.up.set()

    def job(self, name: str) -> None:
        self._check()
        self.jobs.append(name)

    def send(self, key: str, points: Sequence[CurvePoint]) -> None:
        self._check()
        self.points.setdefault(key, []).extend(point.samples for point in points)

    def _check(self) -> None:
        self.tried.set()
        if not self.up.is_set():
            raise ConnectionError("the line is cut")

    def outbox(self, **options: int) -> Outbox:
        return Outbox(
            self.send,
            is_refused=lambda error: isinstance(error, ValueError),
            is_alive=self.up.is_set,
            linger_s=0.01,
            max_backoff_s=0.02,
            **options,
        )


def points(num: int) -> list[CurvePoint]:
    return [CurvePoint(i, 0, {"a": 1.0}) for i in range(num)]


def test_jobs_arrive_in_order_after_the_points_they_wait_for() -> None:
    line = Line(up=True)
    outbox = line.outbox()
    outbox.put(Delivery("open", partial(line.job, "open"), "k"))
    for point in points(5):
        outbox.put_point("k", point)
    seen: list[int] = []
    end = Delivery("end", lambda: seen.extend(line.points["k"]), "k", after_points=True)
    outbox.put(end)
    assert not outbox.close(10)
    assert line.jobs == ["open"]
    assert seen == [0, 1, 2, 3, 4]


def test_callers_go_on_while_the_line_is_cut_and_all_arrives_when_it_is_mended() -> None:
    line = Line(up=False)
    outbox = line.outbox()
    outbox.put(Delivery("open", partial(line.job, "open")))
    assert line.tried.wait(10)
    for point in points(1000):  # each would wait for ever, if any waited
        outbox.put_point("k", point)
    assert line.points == {}
    line.up.set()
    assert not outbox.close(10)
    assert line.jobs == ["open"]
    assert line.points == {"k": list(range(1000))}


def test_what_a_cut_line_kept_from_going_is_named_with_its_reason() -> None:
    line = Line(up=False)
    outbox = line.outbox()
    outbox.put(Delivery("the record of k", partial(line.job, "end"), "k", final=True))
    outbox.put_point("k", points(1)[0])
    outbox.put_point("other", points(1)[0])
    unsent = outbox.close(0.1)
    assert unsent.what == ("the record of k", "1 points of the curve of trial other")
    assert set(unsent.keys) == {"k", "other"}
    assert "the line is cut" in unsent.reason


def test_a_server_that_is_slow_is_waited_for_as_long_as_things_arrive() -> None:
    line = Line(up=True)
    outbox = line.outbox()

    def slow(name: str) -> None:
        time.sleep(0.05)
        line.job(name)

    for number in range(8):
        outbox.put(Delivery(str(number), partial(slow, str(number))))
    assert not outbox.close(0.15)  # less than half of what they take together
    assert line.jobs == [str(number) for number in range(8)]


def test_memory_is_bounded_and_the_oldest_points_go_first() -> None:
    line = Line(up=False)
    outbox = line.outbox(max_points=100)
    outbox.put(Delivery("open", partial(line.job, "open")))
    assert line.tried.wait(10)
    for point in points(250):
        outbox.put_point("k", point)
    line.up.set()
    unsent = outbox.close(10)
    assert line.points == {"k": list(range(150, 250))}
    assert unsent.what == ("150 points of the curve of trial k",)


def test_dropped_points_are_no_loss_once_the_whole_record_arrived() -> None:
    line = Line(up=False)
    outbox = line.outbox(max_points=1)
    outbox.put(Delivery("open", partial(line.job, "open")))
    assert line.tried.wait(10)
    for point in points(3):
        outbox.put_point("k", point)
    outbox.put(Delivery("end", partial(line.job, "end"), "k", final=True, after_points=True))
    line.up.set()
    assert not outbox.close(10)


def test_what_is_refused_is_named_and_holds_up_nothing_else() -> None:
    line = Line(up=True)
    outbox = line.outbox()

    def refuse() -> None:
        raise ValueError("no such thing")

    outbox.put(Delivery("bad", refuse, "k"))
    outbox.put(Delivery("good", partial(line.job, "good")))
    unsent = outbox.close(10)
    assert line.jobs == ["good"]
    assert unsent.what == ("bad",)
    assert unsent.keys == ("k",)
    assert "no such thing" in unsent.reason


def test_what_fails_again_and_again_while_the_other_side_answers_is_given_up() -> None:
    line = Line(up=True)
    outbox = line.outbox(max_tries=3)
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise RuntimeError("a bad day")

    outbox.put(Delivery("bad", fail))
    outbox.put(Delivery("good", partial(line.job, "good")))
    assert outbox.close(10).what == ("bad",)
    assert len(tries) == 3
    assert line.jobs == ["good"]


@pytest.mark.parametrize("num", [0, 1])
def test_an_outbox_closes_at_once_when_there_is_nothing_left(num: int) -> None:
    line = Line(up=True)
    outbox = line.outbox()
    for point in points(num):
        outbox.put_point("k", point)
    assert not outbox.close(10)
    assert not outbox.close(10)  # and may be closed again
