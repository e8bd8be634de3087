"""Oracle: what a real browser shows of MLflow's own pages, started with the printed command."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from ablate.track.connection import prepare_store
from ablate.track.ledger import StudyEntry
from ablate.track.view import ui_command, ui_link, view_state

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
    states = [value for name, value in tags.items() if name.startswith("mlflow.sharedViewState")]
    assert len(states) == 2 and all(len(state) <= 5000 for state in states)
    assert all("params.`factor_number_49`" in opened(state)["selectedColumns"] for state in states)


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
    bars = [c["metricKey"] for c in state["compareRunCharts"] if c["type"] == "BAR"]
    assert bars == ["zeroshot/top1", "cost/device_hours"]
    uuids = [chart["uuid"] for chart in state["compareRunCharts"]]
    assert len(set(uuids)) == len(uuids)
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


def tell_twelve(world: World) -> StudyEntry:
    """Two factors of two levels with three seeds, told to the store."""
    ledger = world.ledger()
    entry: StudyEntry = world.entry()
    ledger.open_study(entry)
    cells = product(("clip", "declip"), (3, 6))
    for i, ((supervision, depth), seed) in enumerate(product(cells, range(3))):
        top1 = 0.25 + 0.25 * (supervision == "declip") + 0.1 * (depth == 6) + 0.01 * seed
        curve = tuple({"samples": 64 * n, "train/loss": 3.0 - n / 4} for n in range(1, 5))
        changes = {
            "key": f"{i:016x}",
            "cell": {"supervision": supervision, "depth": depth},
            "seed": seed,
            "metrics": {"zeroshot/top1": top1, "cost/device_hours": depth / 3},
            "curve": curve,
        }
        ledger.finish(world.record(0, **changes))
    assert not ledger.close(60)
    return entry


@pytest.fixture
def link(world: World, server: Server) -> Callable[..., str]:
    """The links of a study of twelve trials, at a server that runs."""
    entry = tell_twelve(world)
    server.start(shlex.split(ui_command(world.uri, port=server.port)))
    experiment = prepare_store(world.uri, "text_depth")

    def made(identity: str = entry.identity, **view: bool) -> str:
        return ui_link(world.uri, experiment, port=server.port, identity=identity, **view)

    return made


WORDS = "[...document.querySelectorAll('svg text')].map((e) => e.textContent.trim())"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_the_links_open_on_the_charts_and_on_the_cells(link: Callable[..., str], page: Any) -> None:
    page.goto(link(charts=True))
    page.get_by_text("The study (5)").wait_for(timeout=60_000)  # and no section of MLflow's own
    for title in ("Parallel Coordinates", "cost/device_hours vs. zeroshot/top1", "train/loss"):
        page.get_by_text(title, exact=True).first.wait_for(timeout=60_000)
    for word in ("declip", "supervision", "depth", "cost/device_hours", "zeroshot/top1"):
        page.wait_for_function(f"{WORDS}.includes('{word}')", timeout=60_000)  # on an axis
    for response in ("zeroshot/top1", "cost/device_hours"):  # the title of its bars
        page.get_by_text(response, exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("Step", exact=True).first.scroll_into_view_if_needed(timeout=60_000)

    page.goto("about:blank")
    page.goto(link(cells=True))
    page.get_by_text("12 matching runs").wait_for(timeout=60_000)
    page.get_by_text("Group: ").first.wait_for(timeout=60_000)
    groups = page.get_by_text("Group: ")
    assert groups.all_inner_texts() == [
        f"Group: supervision: {supervision}, depth: {depth}"
        for supervision, depth in product(("declip", "clip"), (6, 3))
    ]
    is_cut = "e => e.scrollWidth > e.clientWidth"
    assert not any(group.evaluate(is_cut) for group in groups.all())
    means = page.locator("[col-id='metrics.`zeroshot/top1`'].ag-cell").all_inner_texts()
    averaged = [mean.removesuffix(" (average)") for mean in means if mean.endswith("(average)")]
    assert sorted(map(float, averaged)) == pytest.approx([0.26, 0.36, 0.51, 0.61])
    assert {"supervision", "depth", "zeroshot/top1"} <= set(columns(page))
    assert "seed" not in columns(page)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_a_view_that_is_not_there_is_said_and_the_table_is_a_click_away(
    link: Callable[..., str], page: Any
) -> None:
    page.goto(link("0123456789abcdef"))
    page.get_by_text("does not exist").first.wait_for(timeout=60_000)
    page.wait_for_url("**/overview/**", timeout=60_000)  # what MLflow 3.17 opens instead
    close = page.get_by_text("Got it", exact=True)
    close.or_(page.get_by_text("Model training", exact=True)).first.wait_for(timeout=60_000)
    if close.is_visible():
        close.click()
    page.get_by_text("Model training", exact=True).click()
    page.get_by_text("13 matching runs").wait_for(timeout=60_000)  # the study's own run too

    page.goto("about:blank")
    page.goto(link(""))
    page.get_by_text("13 matching runs").wait_for(timeout=60_000)
