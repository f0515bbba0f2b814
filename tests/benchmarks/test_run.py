"""The runner of the benchmarks: its cases, their options, where results go, and pages made of them alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(file.stem for file in (ROOT / "benchmarks" / "cases").glob("[a-z]*.py"))
RAN = {
    "leaderboard": "--repeats 3 --peer tuned --share 1.9 --add --note x",
    "engine": "--work full,lora --sides ours,eager --repeats 3 --examples 0 --epochs 3",
    "gates_simulated": "--coverage --coverage-repeats 100 --processes 2",
    "race_curves": "--tasks trec gist-sst2 --sizes 100 300 --draws 0 1",
    "kernel_memory": "--kept 1024 64",
    "text": "--name methods --peer peft --methods lora,houlsby --set lora.targets=query,value --set probe.reads=top",
    "images": "--name demo-avx2 --demo --precision fp32",
    "fewshot": "--pairs 3",
    "history": "--models runs/lineage --data sst2 --only gpt --sizes 10 30",
    "crosslingual": "--models runs/crosslingual",
    "senses": "--model runs/lineage/elmo",
    "vit": "--out runs/vit",
}
"command lines of cases: those that must have some, and those of the scripts before them"


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.lib.cases")


@pytest.mark.parametrize("name", NAMES)
def test_a_case_says_what_it_measures_and_takes_its_options(cases: ModuleType, name: str) -> None:
    case = cases.case_named(name)
    assert 40 < len(case.summary) <= 120
    assert case.results or name == "vit"
    parameters = inspect.signature(case.measure).parameters
    assert set(case.quick or {}) <= set(parameters), "QUICK names no argument of measure"
    given = RAN.get(name, "").split()
    found = case.options(given)
    assert list(found) == list(parameters)
    if case.quick is not None:
        quick = case.options([*given, "--quick"])
        for option in set(case.quick) - {word.lstrip("-").replace("-", "_") for word in given}:
            assert quick[option] == (tuple(x) if isinstance(x := case.quick[option], list) else x)


def test_options_keep_commas_of_settings_and_split_others(cases: ModuleType) -> None:
    found = cases.case_named("text").options(RAN["text"].split())
    assert found["methods"] == ("lora", "houlsby")
    assert found["set"] == ("lora.targets=query,value", "probe.reads=top")
    assert cases.case_named("race_curves").options(["--sizes", "100,300"])["sizes"] == (100, 300)


def test_a_wrong_option_ends_with_one_message(cases: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [("race_curves", "--sizes many"), ("vit", "--out x --quick"), ("history", ""), ("rows", "--quic")]
    for name, given in wrong:
        with pytest.raises(SystemExit) as error:
            cases.case_named(name).options(given.split())
        assert error.value.code == 2
    assert "--sizes takes int values" in capsys.readouterr().err


def run(*given: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "run.py"), *given], capture_output=True, text=True, cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), **environment},
    )  # fmt: skip


def test_the_list_is_there_at_once_and_a_wrong_name_is_told() -> None:
    listed = run("--list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == NAMES
    wrong = run("leaderbord")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "there is no benchmark 'leaderbord': did you mean leaderboard or leaderboard_profile?\n"


def test_a_result_says_the_command_and_quick_stays_outside_of_the_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_RESULTS", "")
    runner = importlib.import_module("benchmarks.run")
    case = importlib.import_module("benchmarks.cases.race_simulated")
    monkeypatch.setattr(case, "draws", lambda: [])
    runner.main(["race_simulated", "--quick"])
    found = json.loads((tmp_path / "runs" / "bench-quick" / "race-simulated.json").read_text())
    assert found["races"] == case.QUICK["races"]
    assert found["ran"]["command"] == "run.py race_simulated --quick"
    assert found["ran"]["seconds"] >= 0


def test_parts_of_a_result_take_each_others_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("HEADSTART_RESULTS", str(tmp_path))
    results = importlib.import_module("benchmarks.lib.results")

    def put(work: str, value: int) -> list[dict[str, Any]]:
        results.write("engine", results.replaced("engine", "s/1", {"work": work, "value": value}, lambda p: p["work"]))
        parts: list[dict[str, Any]] = results.read("engine")["parts"]
        return parts

    put("full", 1)
    put("lora", 2)
    assert put("full", 3) == [{"work": "lora", "value": 2}, {"work": "full", "value": 3}]


def test_the_pages_are_what_the_report_makes_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no figure of them is typed by hand."""
    monkeypatch.syspath_prepend(ROOT)
    report = importlib.import_module("benchmarks.pages.report")
    for name, text in report.texts():
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert text == page, f"docs/{name}: run python benchmarks/run.py report"


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda file: file.stem)
def test_what_a_benchmark_imports_of_headstart_is_there(file: Path) -> None:
    """Also what it imports when it runs, which may be hours after it was begun."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstart"):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{file.name}, line {node.lineno}: no {name.name} in {node.module}"


def test_the_profile_of_the_leaderboard_names_functions_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that has moved would fall under "all else" in silence."""
    monkeypatch.syspath_prepend(ROOT)
    profile = importlib.import_module("benchmarks.cases.leaderboard_profile")
    for file, function in (key for keys in profile.PARTS.values() for key in keys):
        texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src" / "headstart").rglob(file)]
        assert any(f"def {function}(" in text for text in texts), f"no {function} in any {file}"
