"""The page in a real browser: what a reader sees, at a desk and on a phone.

Oracle: Chromium's own layout and console.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedbed.analyze import trials_table, write_report
from seedbed.plan.design import Design
from seedbed.study.record import TrialRecord

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"]

Study = tuple[Design, list[TrialRecord]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(params=["depth_study", "depth_by_supervision"])
def page_path(request: pytest.FixtureRequest, tmp_path: Path, provenance: dict[str, Any]) -> Path:
    design, records = request.getfixturevalue(request.param)
    return write_report(design, trials_table(design, records), tmp_path, provenance).page


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_renders_whole_and_without_complaint(
    browser: Any, page_path: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_path.as_uri())
    headings = page.locator("h2").all_inner_texts()
    assert page.locator("h1").is_visible()
    assert headings[0] == "Design" and headings[-1] == "Provenance"
    for locator in (page.locator("table"), page.locator("svg.figure")):
        assert locator.count() >= 3
        for i in range(locator.count()):
            box = locator.nth(i).bounding_box()
            assert box is not None and box["width"] > 100 and box["height"] > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not complaints
    assert all(url.startswith(("file:", "data:")) for url in requests)
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_figure_s_text_leaves_the_page(browser: Any, page_path: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(page_path.as_uri())
    outside = page.evaluate(
        """() => [...document.querySelectorAll('svg.figure text')]
            .map(text => [text.textContent, text.getBoundingClientRect()])
            .filter(([_, box]) => box.left < 0 || box.right > innerWidth)
            .map(([words, _]) => words)"""
    )
    assert outside == []
    page.close()


def test_the_dark_page_is_dark_and_its_words_light(browser: Any, page_path: Path) -> None:
    def colours(scheme: str) -> tuple[list[int], list[int]]:
        page = browser.new_page(color_scheme=scheme)
        page.goto(page_path.as_uri())
        found = page.evaluate(
            """() => { const style = getComputedStyle(document.body);
                       return [style.backgroundColor, style.color]; }"""
        )
        page.close()
        paper, ink = ([int(x) for x in text[4:-1].split(",")] for text in found)
        return paper, ink

    light_paper, light_ink = colours("light")
    dark_paper, dark_ink = colours("dark")
    assert min(light_paper) > 240 and max(light_ink) < 60
    assert max(dark_paper) < 60 and min(dark_ink) > 200


def test_a_table_copies_as_csv_and_as_latex(browser: Any, page_path: Path) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(page_path.as_uri())
    section = page.locator("section", has=page.locator("h2", has_text="Effects against")).first
    shown = section.locator("table").first.locator("tr").all()
    cells = [row.locator("th, td").all_text_contents() for row in shown]

    section.get_by_title("Copy this table as CSV").first.click()
    section.get_by_text("Copied").first.wait_for()
    copied = list(csv.reader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    plain = [[cell.replace("\u2212", "-").replace("\u202f", " ") for cell in row] for row in cells]
    assert copied == plain and len(copied) > 2

    section.get_by_title("Copy this table as LaTeX").first.click()
    page.wait_for_function("navigator.clipboard.readText().then((t) => t.includes('tabular'))")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    body = [line for line in lines if line.endswith("\\\\")]
    assert len(body) == len(cells)
    assert all(line.count("&") == len(row) - 1 for line, row in zip(body, cells, strict=True))
    assert not re.search(r"(?<!\\)[%_#]", "".join(body))  # nothing that LaTeX would swallow
    context.close()
