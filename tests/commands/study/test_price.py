"""What a plan says of hours, dollars and noise. Oracles: the arithmetic by hand, and records and
probes that were written down."""

from __future__ import annotations

import json
import runpy
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.cluster.assumed import UTILISATION
from seedbed.cluster.cards import CARDS
from seedbed.cluster.here import is_kind, this_machine
from seedbed.commands.study.amounts import dollars, duration, size, two_digits
from seedbed.commands.study.options import options_of
from seedbed.commands.study.plan import print_plan
from seedbed.commands.study.price import Price
from seedbed.commands.study.price_lines import price_lines, time_line
from seedbed.commands.study.room import read_lines
from seedbed.commands.study.sight import Foreseen
from seedbed.data.opening import open_corpora
from seedbed.data.peek import peek
from seedbed.errors import StudyError
from seedbed.run.driver.probes import Probe, keep
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord
from seedbed.study.study import Study

ROOT = Path(__file__).parents[3]
STUDY: Study = runpy.run_path(str(ROOT / "studies" / "text_encoder_depth.py"))["study"]
pytestmark = pytest.mark.slow  # the first of them counts what models hold, with torch


def price_of(*argv: str) -> Price:
    return Price(options_of(STUDY, ["--plan", *argv]), [])


def write_records(price: Price, results: Path, *, noise: float, seconds: float) -> None:
    """Records of all trials but those of the last seed: so many core seconds each, and a response
    with shifts of cells and seeds, and noise."""
    rng = np.random.default_rng(3)
    store = Folder(str(results)).sub(STUDY.name)
    last = max(trial.seed for trial in price.plan.trials)
    for trial in price.plan.trials:
        if trial.seed == last:
            continue
        value = 0.3 + 0.01 * len(str(trial.cell)) + 0.05 * trial.seed
        record = TrialRecord(
            key=trial.key, study=STUDY.name, scale="demo", cell=trial.cell, seed=trial.seed,
            cohort="", status="completed", made_by="device=cpu; workers=1",
            metrics={
                "cost/device_hours": seconds / 3600,
                STUDY.responses[0]: value + noise * rng.normal(),
            },
        )  # fmt: skip
        store.write_json(record.to_json(), "trials", trial.key, "record.json")


def test_hours_and_dollars_of_a_card_are_the_arithmetic(counted_home: Path) -> None:
    # So long that no step is under 20 ms on average: it is by the arithmetic of its products.
    given = ("--accelerator", "H100", "--data-parallel", "2", "--set", "budget.batch=65536")
    price = price_of(*given, "--set", "budget.samples=655360000")
    (place,) = price.others
    flops = sum(cost.train_flops for cost in price.plan.costs().values())
    by_hand = flops / (CARDS["H100"].single * 1e12 * UTILISATION)  # the recipe's fp32 is TF32
    assert sum(price.seconds(place)) == pytest.approx(by_hand)
    assert price.dollars(place) == pytest.approx(by_hand / 3600 * 6.88)
    bf16 = (*given, "--set", "budget.samples=655360000", "--set", "precision=bf16")
    half = price_of(*bf16)
    assert sum(half.seconds(half.others[0])) == pytest.approx(by_hand / 2)
    assert f"{dollars(price.dollars(place))} at $6.88 an hour (p5.4xlarge)" in time_line(
        price, place
    )
    assert "roughly" in time_line(price, place)


def test_a_price_of_one_s_own_counts_first(counted_home: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("[accelerators]\nH100 = { on_demand = 2, spot = 1 }\n")
    price = price_of("--accelerator", "H100", "--prices", str(tmp_path / "p.toml"))
    hours = sum(price.seconds(price.others[0])) / 3600
    assert price.dollars(price.others[0]) == pytest.approx(2 * hours)


def test_what_is_recorded_is_not_priced_again_and_its_pace_and_noise_are_the_plan_s(
    counted_home: Path, tmp_path: Path
) -> None:
    write_records(price_of(), tmp_path, noise=0.004, seconds=7.0)
    price = price_of("--storage", str(tmp_path))
    assert len(price.left) == 8 and {trial.seed for trial in price.left} == {2}
    assert price.seconds(price.here) == pytest.approx([7.0] * 8)
    assert (
        "16 are recorded" in price_lines(price)[0]
        and "16 trials of this study" in price_lines(price)[1]
    )
    foreseen = Foreseen(price.options, price)
    assert foreseen.noise is not None
    # 16 trials less 8 cells and one more seed leave 7 degrees of freedom: within a factor of 2.
    assert 0.002 < foreseen.noise.sd < 0.008 and "7 degrees" in foreseen.noise.words
    stated = options_of(STUDY, ["--plan", "--noise", "0.01", "--storage", str(tmp_path)])
    assert Foreseen(stated, price).sight.noise == 0.01


def test_a_probe_is_used_on_its_own_device_and_carries_to_what_was_not_timed(
    counted_home: Path,
) -> None:
    price = price_of()
    first = price.plan.trials[0]
    own = price.plan.costs()[first.key]
    probe = Probe("NVIDIA H100 80GB HBM3", 0.25, 6, 64, "2.0", "2026-11-28")
    keep(first.recipe, replace(probe, device=this_machine().processor, seconds=0.5))
    keep(first.recipe, probe)
    again = price_of("--accelerator", "H100")
    for place, seconds in ((again.here, 0.5), (again.others[0], 0.25)):
        assert "1 of 8 kinds of trials" in place.speed.words
        for trial, took in zip(again.left, again.seconds(place), strict=True):
            cost = again.plan.costs()[trial.key]
            by_hand = seconds * own.samples * cost.train_flops / own.train_flops
            assert took == pytest.approx(by_hand)


def test_a_study_that_lasts_days_here_is_priced_on_cards(counted_home: Path) -> None:
    assert price_of().others == []
    longer = price_of("--set", "budget.samples=64000000")
    assert [one.words for one in longer.others] == ["A10G", "A100", "H100"]


def test_the_json_has_the_same_numbers(
    counted_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(options_of(STUDY, ["--plan", "--json", "--noise", "0.01"]))
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["price"]["new"], told["sees"]["noise"]) == (24, 0.01)
    depth = [one for one in told["sees"]["detectable"] if one["term"] == "depth"]
    assert len(depth) == 3 and all(0.01 < one["difference"] < 0.05 for one in depth)
    print_plan(options_of(STUDY, ["--plan", "--seeds", "1"]))
    assert "one seed has no error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--plan", "--noise", "0"), "--noise is 0"),
        (("--draws", "500"), "without --rehearse"),
        (("--rehearse", "--plan", "--draws", "500"), "with --plan"),
        (("--rehearse", "--draws", "1"), "--draws is 1"),
        (("--rehearse", "--draws", "9", "--lost", "1"), "--lost is 1"),
        (("--out", "x"), "--out is given without --plan"),
        (("--probe",), "--probe is given without --plan"),
        (("--rehearse", "--lost", "0.1"), "without --draws"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        options_of(STUDY, argv)


def test_amounts_have_two_digits_and_the_unit_that_fits() -> None:
    assert [two_digits(v) for v in (0, 0.0456, 0.99999, 3.21, 13.7, 10_833)] == [
        "0", "0.046", "1.0", "3.2", "14", "11,000",
    ]  # fmt: skip
    spans = {40.0: "40 s", 840.0: "14 min", 11_500.0: "3.2 h", 700_000.0: "8.1 days"}
    assert {seconds: duration(seconds) for seconds in spans} == spans
    sizes = {7_400: "7.4 kB", 2.3e6: "2.3 MB", 5.2e8: "0.52 GB", 1.3e12: "1.3 TB"}
    assert {num_bytes: size(num_bytes) for num_bytes in sizes} == sizes
    prices = {0.001: "less than a cent", 0.043: "$0.04", 1.62: "$1.60", 9.96: "$10", 12.3: "$12"}
    assert {amount: dollars(amount) for amount in prices} == prices


def test_devices_are_known_by_the_kinds_that_ray_calls_them() -> None:
    assert is_kind("NVIDIA H100 80GB HBM3", "H100") and is_kind("NVIDIA A10G", "A10G")
    assert is_kind("Tesla T4", "T4") and not is_kind("NVIDIA A100-SXM4-40GB", "A10G")
    assert is_kind("NVIDIA A100-SXM4-80GB", "A100-80G")
    assert not is_kind("NVIDIA A100-SXM4-40GB", "A100-80G") and not is_kind("NVIDIA L40S", "L4")


def test_bytes_that_are_read_are_those_of_the_shards(home: Path, shapes: Path) -> None:
    given = ["--plan", "--data", str(shapes), "--scale", "smoke", "--seeds", "1"]
    options = options_of(STUDY, given)
    stated = [trial.recipe.corpus for trial in options.plan.trials]
    assert read_lines(options.plan, peek(stated, home)) == []  # not indexed yet
    open_corpora(stated[:1], home)
    (line,) = read_lines(options.plan, peek(stated, home))
    shards = [path.stat().st_size for path in shapes.glob("*.tar")]
    rows = 0
    for path in shapes.glob("*.tar"):
        with tarfile.open(path) as tar:
            rows += len(tar.getnames()) // 2  # a picture and its caption
    pairs = sum(cohort.samples for cohort in options.plan.cohorts)
    assert f"{pairs:,} pairs of {size(sum(shards) / rows)}" in line
    assert f"reads   {size(pairs * sum(shards) / rows)} of" in line
