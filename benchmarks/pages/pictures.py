"""The README's pictures: python benchmarks/run.py pictures [RECORD PICTURE]

Without arguments both: the report of `demo-avx2-digits.json` (`run.py images`) as docs/report.png, and the evaluation
of `forgetting-trec.json` (`run.py forgetting`) as docs/evaluation.png. RECORD may also be the comparison.json or
evaluation.json of a run. The pages are shown by Chromium; wants playwright and a Chromium.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.lib.results import RECORD
from benchmarks.pages.recorded import DOCS

from headstart.core.records.comparison import Comparison
from headstart.core.records.evaluation import Evaluation
from headstart.report.pages.comparison import page as comparison_page
from headstart.report.pages.evaluation import page as evaluation_page

BOTH = (("demo-avx2-digits.json", "report.png"), ("forgetting-trec.json", "evaluation.png"))


def html(record: Path) -> str:
    """The page of a benchmark's result or of a run's record."""
    found = json.loads(record.read_text(encoding="utf-8"))
    held = found.get("evaluation") or found.get("comparison") or found
    if not held.get("schema", "").startswith("headstart.evaluation"):
        return comparison_page(Comparison.from_json(held))
    for one in held["models"]:  # whose folders were on the machine that measured
        one.setdefault("models", [f"seed{i}" for i in range(one["checks"][0]["tuned"]["seeds"])])
    return evaluation_page(Evaluation.from_json(held))


def taken(record: Path, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html(record), encoding="utf-8")
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 1180, "height": 900})
        tab.goto(file.as_uri())
        tab.screenshot(path=str(picture))
        chromium.close()


def main(*given: str) -> None:
    pairs = [given] if given else [(RECORD / record, DOCS / picture) for record, picture in BOTH]
    for record, picture in pairs:
        taken(Path(record), Path(picture))
