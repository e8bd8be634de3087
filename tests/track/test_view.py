"""Oracle: what a real browser shows of MLflow's own pages, started with the printed command."""

from __future__ import annotations

import json
import shlex
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ablate.track.connection import prepare_store
from ablate.track.view import ui_command, ui_link

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
    assert ui_link("https://me:hunter2@host/mlflow/", "7", identity="abc") == (
        "https://host/mlflow/#/experiments/7/runs?viewStateShareKey=abc"
    )


def test_the_view_is_small_enough_for_an_experiments_tag(world: World) -> None:
    many = {f"factor_number_{i}": {"levels": [0, 1], "baseline": 0} for i in range(50)}
    ledger = world.ledger()
    ledger.open_study(world.entry(design={"factors": many}))
    assert not ledger.close(60)
    tags = world.mlflow.get_experiment_by_name("text_depth").tags
    (state,) = [value for name, value in tags.items() if name.startswith("mlflow.sharedViewState")]
    assert "params.`factor_number_49`" in json.loads(state)["selectedColumns"]


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
    page.goto(ui_link(world.uri, experiment, identity=entry.identity, port=server.port))
    page.get_by_text("2 matching runs").wait_for(timeout=60_000)
    page.locator("[col-id='metrics.`zeroshot/top1`'].ag-cell").last.wait_for(timeout=60_000)
    factors = ["supervision", "depth", "seed"]
    finals = ["zeroshot/top1", "cost/device_hours", "ablate.status"]
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
