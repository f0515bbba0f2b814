"""Figures that stand in sentences of the README and docs/: each is that of a result, rounded."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
METHODS = ("full", "scratch")


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def points(value: dict[str, Any], key: str = "difference") -> str:
    return f"{100 * value[key]:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def rounded(number: float) -> str:
    """To two significant digits."""
    return f"{float(f'{number:.2g}'):,.0f}"


def engine() -> dict[str, str]:
    (part,) = (part for part in result("engine")["parts"] if part["work"] == "full")
    seconds = {
        side: statistics.median(run[side]["seconds"] for run in part["runs"]) for side in ("ours", "defaults", "tuned")
    }
    sentence = (
        f"of {part['epochs']} epochs takes {seconds['ours']:.0f} s where the Trainer takes "
        f"{seconds['defaults']:.0f} s at its defaults and {seconds['tuned']:.0f} s tuned"
    )
    return {sentence: "README.md"}


def curve() -> dict[str, str]:
    laws = {law["method"]: law["reach"][0] for law in result("curve-trec")["curve"]["laws"]}
    assert rounded(laws["full"]["examples"]) == rounded(laws["freeze"]["examples"])
    full, scratch = (tuple(rounded(laws[name][key]) for key in ("examples", "low", "high")) for name in METHODS)
    sentence = (
        f"{100 * laws['full']['value']:.0f} % takes {full[0]} labels [{full[1]}, {full[2]}] where all "
        "of it is tuned, as many where the lower blocks are frozen, and "
        f"{scratch[0]} [{scratch[1]}, {scratch[2]}] from scratch"
    )
    return {sentence: "README.md"}


def new_classes() -> dict[str, str]:
    laws = {law["method"]: law["reach"][0] for law in result("curve-new-classes")["curve"]["laws"]}
    full, scratch = laws["full"], laws["scratch"]
    sentence = (
        f"{100 * full['value']:.0f} % takes {full['examples']:.0f} labels [{full['low']:.0f}, "
        f"{full['high']:.0f}] tuned, {rounded(scratch['examples'])} [{rounded(scratch['low'])}, "
        f"{rounded(scratch['high'])}] from scratch"
    )
    return {sentence: "README.md"}


def simulated() -> dict[str, str]:
    rows = result("gates-simulated")["rows"]

    def shares(*words: str, n: tuple[int, ...] = (100, 300, 1000, 3000)) -> list[float]:
        return [
            100 * row["share"] for row in rows if all(word in row["what"] for word in words) and row["n"] in n
        ]  # fmt: skip

    at_bar = [*shares("1 point worse, called within 1"), *shares("2 points lost, tolerance 2")]
    worse, ten = shares("3 points worse, called within 1"), shares("ten, each 3 points worse")
    covered = [
        share for row, share in ((row, 100 * row["share"]) for row in rows)
        if row["what"].startswith("coverage") and "ECE" not in row["what"]
    ]  # fmt: skip
    ece = [*shares("coverage: ECE", n=(300, 1000, 3000))]
    few = [*shares("coverage: ECE, too sure", n=(100,)), *shares("coverage: ECE, much too sure", n=(100,))]
    both = shares("coverage: difference of ECE")
    kept = {n: shares("nothing lost, tolerance 2", n=(n,)) for n in (300, 3000)}
    assert max(ten) == 0
    good = {n: shares("as good, called within 1", n=(n,)) for n in (300, 1000, 3000)}
    claimed = {n: f"{min(found):.0f} to {max(found):.0f} %" for n, found in good.items()}
    claim = (
        f"a method that is truly as good is claimed in {claimed[300]} of comparisons at 300 test examples, in "
        f"{claimed[1000]} at 1,000 and in {claimed[3000]} at 3,000, one that is 3 points worse in {max(worse):.1f} % "
        "at most"
    )
    sentence = (
        f'is called "within one point", in {min(at_bar):.0f} to {max(at_bar):.1f} % of samples; '
        f"one that is three points worse in {max(worse):.1f} % at most, and none of ten such methods. 95 % intervals "
        "of accuracies, differences and differences of differences hold the truth in "
        f"{min(covered):.1f} to {max(covered):.1f} % of samples (standard error 0.9 points). Those of the calibration "
        f"error do in {min(ece):.1f} to {max(ece):.1f} % with 300 examples and more; with 100 they are too wide for a "
        f"model that is too sure ({few[0]:.1f} and {few[1]:.1f} %), as most bins then hold few. The interval of a "
        f"difference of two calibration errors errs on the wide side ({min(both):.1f} to {max(both):.1f} %). What it "
        "takes: of models that lost nothing, a tolerance of two points passes "
        f"{min(kept[300]):.0f} to {max(kept[300]):.0f} % with 300 examples, about half with 1,000, and "
        f"{min(kept[3000]):.0f} to {max(kept[3000]):.0f} % with 3,000."
    )
    return {sentence: "docs/evaluate.md", claim: "README.md"}


def forgotten() -> dict[str, str]:
    models = {
        one["name"]: {check["check"]: check for check in one["checks"]}
        for one in result("forgetting-trec")["evaluation"]["models"]
    }
    gain = {name: points(checks["target"]) for name, checks in models.items()}
    lost = {
        name: f"{-100 * check['difference']:.1f}" for name, checks in models.items()
        if (check := checks["retention of debian-sections"])["status"] == "regressed"
    }  # fmt: skip
    assert max(models, key=lambda name: models[name]["target"]["difference"]) == "freeze"
    assert set(lost) == {"full", "l2sp", "distill"}
    sentences = (
        f"`freeze` gains most ({gain['freeze'].replace(' [', ' points [')}); `full` gains {gain['full']}",
        f"`full`, `l2sp` and `distill` lose significantly more than the tolerated point ({lost['full']}, "
        f"{lost['l2sp']} and {lost['distill']})",
    )
    return dict.fromkeys(sentences, "docs/evaluate.md")


@pytest.mark.parametrize("told", [engine, curve, new_classes, simulated, forgotten])
def test_a_sentence_says_what_was_measured(told: Any) -> None:
    for sentence, page in told().items():
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        assert " ".join(sentence.split()) in text
