"""The README's picture of an evaluation: python benchmarks/screenshot.py [RECORD] [PICTURE]

The page of a record of `benchmarks/forgetting.py`, as Chromium shows it. Wants playwright and a Chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from headstart.core.evaluation import Evaluation
from headstart.report.evaluation_page import page

HERE = Path(__file__).parent


def main(record: Path, picture: Path) -> None:
    from playwright.sync_api import sync_playwright

    told = json.loads(record.read_text(encoding="utf-8"))["evaluation"]
    for one in told["models"]:  # whose folders were on the machine that measured
        one.setdefault("models", [f"seed{i}" for i in range(one["checks"][0]["tuned"]["seeds"])])
    found = Evaluation.from_json(told)
    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "evaluation.html"
        file.write_text(page(found), encoding="utf-8")
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 1180, "height": 900})
        tab.goto(file.as_uri())
        tab.screenshot(path=str(picture))
        chromium.close()


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    main(*(given or [HERE / "results" / "forgetting-trec.json", HERE.parent / "docs" / "evaluation.png"]))
