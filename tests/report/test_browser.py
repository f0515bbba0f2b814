"""The page in a real Chromium; skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_example
from evaluation_example import evaluation

from headstart.core.records.versus import Pair, Versus
from headstart.report.pages.comparison import page as render
from headstart.report.pages.evaluation import page as evaluation_page
from headstart.report.pages.versus import page as versus_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    from test_page import hostile

    folder = tmp_path_factory.mktemp("pages")
    made = {name: getattr(report_example, name)() for name in ("comparison", "many_classes", "regression", "bare")}
    made["hostile"] = hostile()
    for name, comparison in made.items():
        (folder / f"{name}.html").write_text(render(comparison), encoding="utf-8")
    judged = {"evaluation": evaluation(), "hostile_evaluation": evaluation("<script>alert(1)</script> " + 200 * "x")}
    for name, found in judged.items():
        (folder / f"{name}.html").write_text(evaluation_page(found), encoding="utf-8")
    two = report_example.comparison(), report_example.bare()
    pairs = (Pair("lora", 0.95, 0.96, 0.01, -0.01, 0.03, 0.2), Pair("probe", 0.9, None))
    (folder / "versus.html").write_text(versus_page(Versus("runs/a", "runs/b", two, pairs, True)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in (*made, *judged, "versus")}


@pytest.fixture
def open_page(browser, files) -> Iterator:
    """Opens a page and, at the end, asserts that it complained of nothing and asked the network for nothing."""
    contexts, troubles = [], []

    def open_(name: str, width: int = 1200, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: troubles.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:"))
               or troubles.append(f"request: {request.url}"))  # fmt: skip
        tab.goto(files[name].as_uri())
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []


def names(tab) -> list[str]:
    return tab.eval_on_selector_all("#methods tbody th", "cells => cells.map(cell => cell.dataset.text)")


def test_sorting(open_page):
    tab = open_page("comparison")
    assert names(tab)[0] == "lora"
    train = tab.get_by_role("button", name="Train", exact=True)
    head = tab.locator("#methods thead th", has=train)
    train.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(tab)[:3] == ["scratch", "full", "layerwise_lr"]
    train.focus()
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(tab)[:3] == ["majority", "probe", "bitfit"]
    assert set(names(tab)[-2:]) == {"prompt", "full_sgd"}
    assert tab.locator("#methods th[aria-sort]").count() == 1
    tab.get_by_role("button", name="Method", exact=True).click()
    assert names(tab) == sorted(names(tab))
    tab.get_by_role("button", name="Accuracy, %").click()
    assert names(tab)[0] == "lora"
    tab.get_by_role("button", name="Accuracy, %").click()
    assert names(tab)[0] == "majority"


def test_sorting_checks(open_page):
    tab = open_page("evaluation")
    first = tab.locator("table.checks").first

    def shown(column: int) -> list[str]:
        return [
            row.locator("th, td").nth(column).inner_text().split("\n")[0] for row in first.locator("tbody tr").all()
        ]

    first.get_by_role("button", name="difference").click()
    assert [text.split()[0] for text in shown(0)] == ["target", "class:", "calibration", "retention"]
    first.get_by_role("button", name="shown").click()
    assert [text.split()[0] for text in shown(10)] == ["improved", "improved", "regressed", "undecided"]
    gates = first.get_by_role("button", name="gate")
    gates.click()
    assert [text.split()[0].lower() for text in shown(1)] == ["failed", "–", "passed", "undecided"]
    box = gates.bounding_box()
    assert box
    assert box["x"] + box["width"] < 700, "the gates stand where no scrolling is needed"
    assert tab.locator("table.flips img").count() == 1


def test_an_evaluations_quality_against_cost(open_page):
    for width, count in ((1200, 1), (400, 1)):
        tab = open_page("evaluation", width=width)
        assert tab.locator("svg.scatter:visible").count() == count
        texts = tab.locator("svg.scatter:visible text.label").all_text_contents()
        assert {"base", "full", "lora", "large-model"} <= set(texts)
        assert tab.get_by_role("region", name="Latency by batch size and length").count() == 1


def test_sorting_two_runs(open_page):
    tab = open_page("versus")
    first = tab.locator("table.checks").first
    first.get_by_role("button", name="second less first").click()
    first.get_by_role("button", name="second less first").click()
    assert first.locator("tbody tr th").first.inner_text() == "lora"


def test_method_selector(open_page):
    tab = open_page("comparison")
    assert tab.locator(".panel:visible h3").all_inner_texts() == ["lora"]
    before = tab.locator(".heat:visible").inner_text()
    tab.select_option("#method", label="probe")
    assert tab.locator(".panel:visible h3").all_inner_texts() == ["probe"]
    assert tab.locator(".heat:visible").count() == 1
    assert tab.locator(".heat:visible").inner_text() != before
    tab.locator("#methods a", has_text="adapter").click()
    tab.wait_for_function("document.querySelector('#method').selectedOptions[0].text === 'adapter'")
    assert tab.locator(".panel:visible").count() == 1


def test_cost_switch(open_page):
    tab = open_page("comparison")
    assert tab.locator("figure.cost:visible").count() == 1
    tab.get_by_role("button", name="latency", exact=True).click()
    assert tab.locator("figure.cost:visible").get_attribute("data-cost") == "latency_seconds"
    assert tab.locator("svg.scatter:visible").count() == 1


def test_saved_record_is_the_record(open_page, tmp_path):
    from headstart.core.records.comparison import Comparison

    tab = open_page("comparison")
    with tab.expect_download() as download:
        tab.click("#save")
    download.value.save_as(tmp_path / "record.json")
    assert Comparison.read(tmp_path / "record.json") == report_example.comparison()


@pytest.mark.parametrize(
    "name",
    ["comparison", "many_classes", "regression", "bare", "hostile", "evaluation", "hostile_evaluation", "versus"],
)
def test_narrow(open_page, name):
    tab = open_page(name, width=400)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert tab.evaluate("[...document.querySelectorAll('section, figure')].every(e => e.offsetWidth <= 400)")


def test_dark_is_dark(open_page):
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    assert max(open_page("comparison", color_scheme="dark").evaluate(shade)) < 60
    assert min(open_page("comparison", color_scheme="light").evaluate(shade)) > 200


def test_without_scripts_everything_is_visible(open_page):
    tab = open_page("comparison", java_script_enabled=False)
    assert tab.locator(".panel:visible").count() == 12
    assert tab.locator("figure.cost:visible").count() == 4
    assert tab.locator("#method:visible").count() == 0
