"""Oracle: what a real browser shows of MLflow's own pages, started with the printed command."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from seedbed.metric import Metric
from seedbed.plan.design import Design
from seedbed.track.ledger import StudyEntry
from seedbed.track.mlflow.connection import prepare_store
from seedbed.track.mlflow.view import ui_command, ui_link, view_state

World = Any  # conftest.World
Server = Any  # conftest.Server

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
)


def test_the_command_names_the_database_and_a_server_needs_none() -> None:
    command = shlex.split(ui_command("sqlite:////my home/mlflow.db", port=5001))
    expected = ["mlflow", "ui", "--backend-store-uri", "sqlite:////my home/mlflow.db"]
    assert command == [*expected, "--port", "5001"]
    assert ui_command("https://mlflow.example.org") == ""


def test_the_link_leads_to_the_stores_own_server_and_holds_no_password() -> None:
    assert ui_link("sqlite:////h/mlflow.db", "7", port=5001) == (
        "http://127.0.0.1:5001/#/experiments/7/runs"
    )
    assert ui_link("https://me:hunter2@host/mlflow/", "7", view="abc") == (
        "https://host/mlflow/#/experiments/7/runs?viewStateShareKey=abc"
    )


def test_the_view_is_small_enough_for_an_experiments_tag(world: World) -> None:
    many = {f"factor_number_{i}": {"levels": [0, 1], "baseline": 0} for i in range(50)}
    ledger = world.ledger()
    ledger.open_study(world.entry(design={"factors": many}))
    assert not ledger.close(60)
    tags = world.mlflow.get_experiment_by_name("text_depth").tags
    states = [value for name, value in tags.items() if name.startswith("mlflow.sharedViewState")]
    assert len(states) == 2 and all(len(state) <= 5000 for state in states)
    assert all("params.`factor_number_49`" in opened(state)["selectedColumns"] for state in states)


@pytest.mark.parametrize(
    ("responses", "metrics", "ascending"),
    [
        (["zeroshot/top1"], [], False),
        (["cost/device_hours"], [], True),
        (["final/loss"], [], True),
        (["own/error"], [Metric("own/error", higher_is_better=False)], True),
        (["own/error"], [], False),
    ],
)
def test_the_best_of_the_primary_response_comes_first(
    responses: list[str], metrics: list[Metric], ascending: bool
) -> None:
    design = Design(study="s", responses=tuple(responses), metrics=tuple(metrics))
    state = opened(view_state(StudyEntry("s", "small", "?", design), "run"))
    assert (state["orderByKey"], state["orderByAsc"]) == (f"metrics.`{responses[0]}`", ascending)


def opened(state: str) -> dict[str, Any]:
    """A view as MLflow's page reads it: JSON, or a deflated one in base64."""
    if state.startswith("deflate;"):
        state = zlib.decompress(base64.b64decode(state.removeprefix("deflate;"))).decode()
    found: dict[str, Any] = json.loads(state)
    return found


def test_the_charts_are_of_the_study_s_own_factors_and_responses(world: World) -> None:
    entry = world.entry()
    state = opened(view_state(entry, "run"))
    by_type = {chart["type"]: chart for chart in state["compareRunCharts"]}
    assert by_type["PARALLEL"]["selectedParams"] == ["supervision", "depth"]
    assert by_type["PARALLEL"]["selectedMetrics"] == ["zeroshot/top1"]
    assert by_type["SCATTER"]["xaxis"]["key"] == "cost/device_hours"
    assert by_type["SCATTER"]["yaxis"]["key"] == "zeroshot/top1"
    assert by_type["LINE"]["metricKey"] == "train/loss"
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections
    assert opened(view_state(entry, "run")) == state  # the same page for the same study


def test_cells_with_words_get_no_coordinates_and_cells_of_numbers_do(world: World) -> None:
    def types(**factors: list[Any]) -> set[str]:
        design = {"factors": {n: {"levels": v, "baseline": v[0]} for n, v in factors.items()}}
        state = opened(view_state(world.entry(design=design), "run", grouped=True))
        return {chart["type"] for chart in state["compareRunCharts"]}

    # MLflow says of averaged words that it cannot draw them.
    assert "PARALLEL" not in types(depth=[3, 6], supervision=["clip", "declip"])
    assert "PARALLEL" in types(depth=[3, 6], width=[64, 128])


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser.new_page(viewport={"width": 2200, "height": 900})
        browser.close()


def columns(page: Any) -> list[str]:
    """The table's column names from left to right; the page's own order is another."""
    cells = page.locator(".ag-header-cell[col-id]").all()
    placed = [(cell.bounding_box()["x"], cell.inner_text().strip()) for cell in cells]
    return [name for _, name in sorted(placed) if name]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_the_link_opens_on_the_trials_with_factors_and_finals_best_first(
    world: World, server: Server, page: Any
) -> None:
    ledger = world.ledger()
    entry = world.entry()
    ledger.open_study(entry)
    for i, top1 in enumerate((0.25, 0.5)):
        ledger.finish(world.record(i, metrics={"zeroshot/top1": top1, "cost/device_hours": 1.5}))
    assert not ledger.close(60)

    server.start(shlex.split(ui_command(world.uri, port=server.port)))
    experiment = prepare_store(world.uri, "text_depth")
    page.goto(ui_link(world.uri, experiment, view=entry.view, port=server.port))
    page.get_by_text("2 matching runs").wait_for(timeout=60_000)
    page.locator("[col-id='metrics.`zeroshot/top1`'].ag-cell").last.wait_for(timeout=60_000)
    factors = ["supervision", "depth", "seed"]
    finals = ["zeroshot/top1", "cost/device_hours", "seedbed.status"]
    shown = columns(page)
    assert [name for name in shown if name in {*factors, *finals}] == factors + finals
    names = page.locator(".ag-cell a[href*='/runs/']").all_inner_texts()
    assert names == ["depth=6 supervision=declip s=0", "depth=3 supervision=clip s=0"]
    values = page.locator("[col-id='metrics.`zeroshot/top1`'].ag-cell").all_inner_texts()
    assert values == ["0.5", "0.25"]

    # The files of an sqlite store are served too, wherever the command was started.
    run = world.run_of(0).info.run_id
    url = f"http://127.0.0.1:{server.port}/get-artifact?path=record.json&run_uuid={run}"
    with urllib.request.urlopen(url) as answer:
        assert json.load(answer)["metrics"]["zeroshot/top1"] == 0.25


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_charts_cells_and_an_unknown_view_open(world: World, server: Server, page: Any) -> None:
    ledger = world.ledger()
    entry = world.entry()
    ledger.open_study(entry)
    for i, cell in enumerate(
        ({"supervision": "clip", "depth": 3}, {"supervision": "declip", "depth": 6})
    ):
        for seed in (0, 1, 2):
            metrics = {"zeroshot/top1": 0.25 + 0.25 * i + 0.01 * seed, "cost/device_hours": 1.0 + i}
            curve = tuple({"samples": 64 * n, "train/loss": 3.0 - n / 4} for n in range(1, 5))
            ledger.finish(
                world.record(
                    i, key=f"{i}{seed}" * 8, cell=cell, seed=seed, metrics=metrics, curve=curve
                )
            )
    assert not ledger.close(60)
    server.start(shlex.split(ui_command(world.uri, port=server.port)))
    experiment = prepare_store(world.uri, "text_depth")

    def link(**view: Any) -> str:
        return ui_link(world.uri, experiment, port=server.port, **view)

    page.goto(link(view=entry.view, charts=True))
    page.get_by_text("The study").first.wait_for(timeout=60_000)
    titles = ["Parallel Coordinates", "cost/device_hours vs. zeroshot/top1", "train/loss"]
    for title in titles:
        page.get_by_text(title).first.wait_for(timeout=60_000)
    words = "[...document.querySelectorAll('svg text')].map((e) => e.textContent.trim())"
    page.wait_for_function(f"{words}.includes('declip')", timeout=60_000)  # a level on its axis
    assert {"supervision", "depth"} <= set(page.evaluate(words))

    page.goto("about:blank")
    page.goto(link(view=entry.view, cells=True))
    page.get_by_text("Group: ").first.wait_for(timeout=60_000)
    groups = page.get_by_text("Group: ").all_inner_texts()
    assert len(groups) == 2
    means = page.locator("[col-id='metrics.`zeroshot/top1`'].ag-cell").all_inner_texts()
    averaged = [mean.removesuffix(" (average)") for mean in means if mean.endswith("(average)")]
    assert sorted(map(float, averaged)) == pytest.approx([0.26, 0.51])

    # A key that is not there is said, and the experiment's own page opens all the same.
    page.goto("about:blank")
    page.goto(link(view="0123456789abcdef"))
    page.get_by_text("does not exist").first.wait_for(timeout=60_000)
    page.get_by_text("text_depth").first.wait_for(timeout=60_000)
    page.goto("about:blank")
    page.goto(link())
    page.get_by_text("matching runs").first.wait_for(timeout=60_000)
