"""Work over Ray. Oracle: the same work in threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from seedbed.cluster.spread import over_ray
from seedbed.data.shards.index import index_source
from seedbed.data.shards.spread import in_threads
from seedbed.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_an_index_over_ray_is_that_of_threads(cluster: None, shapes: Path, tmp_path: Path) -> None:
    ours = index_source(str(shapes), (), (str(tmp_path / "a"),), spread=over_ray)
    theirs = index_source(str(shapes), (), (str(tmp_path / "b"),), spread=in_threads)
    assert ours.shards == theirs.shards
    for path in (tmp_path / "b").rglob("*.parquet"):
        assert (tmp_path / "a" / path.relative_to(tmp_path / "b")).read_bytes() == path.read_bytes()


def test_results_come_in_the_order_of_the_jobs_and_errors_as_they_were(cluster: None) -> None:
    def work(job: int) -> int:
        if job == 70:
            raise DataError("job 70 is bad", mend="leave it out")
        return job * job

    assert list(over_ray(work, range(50))) == [n * n for n in range(50)]
    with pytest.raises(DataError, match=r"^job 70 is bad\n  mend: leave it out$"):
        list(over_ray(work, range(100)))
