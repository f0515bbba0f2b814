"""Who may import whom: the one place that holds the house plan's rules. It reads the source; nothing is run."""

from __future__ import annotations

import ast
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import headstart

ROOT = Path(headstart.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
ROOMS = {"core", "data", "backbones", "objectives", "methods", "engine", "evaluate", "artifacts", "report", "cli"}
LOADERS = {"transformers", "timm", "torchvision"}


def imports(file: str) -> Iterator[tuple[str, bool]]:
    """Modules that a file imports when it runs, with whether at its top level; imports for types are left out."""

    def walk(node: ast.AST, top: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import; the rules are read from absolute ones"
            yield from ((f"{node.module}.{alias.name}", top) for alias in node.names)
        inside = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse((ROOT / file).read_text(encoding="utf-8")), True)


def of(room: str) -> list[str]:
    return [file for file in FILES if file.startswith(f"{room}/")]


def forbidden(files: list[str], *prefixes: str, allowed: tuple[str, ...] = (), top_only: bool = False) -> list[str]:
    def under(name: str, prefix: str) -> bool:
        return name == prefix or name.startswith(f"{prefix}.")

    return [
        f"{file} imports {name}"
        for file in files
        for name, top in imports(file)
        if any(under(name, p) for p in prefixes) and not any(under(name, a) for a in allowed) and (top or not top_only)
    ]


def rooms_but(*kept: str) -> tuple[str, ...]:
    return tuple(f"headstart.{room}" for room in sorted(ROOMS - set(kept)))


def test_the_rules_see_the_rooms() -> None:
    """So that a renamed folder doesn't turn a rule into one about nothing."""
    assert {file.partition("/")[0] for file in FILES if "/" in file} <= ROOMS | {"serve", "api"}
    assert all(of(room) for room in ROOMS)
    assert ("torch.nn", True) in set(imports("methods/plan.py"))
    assert forbidden(["methods/lora.py"], "torch")


def test_core_is_the_ground_floor() -> None:
    assert not forbidden(of("core"), "torch", "numpy", "safetensors", *LOADERS)
    # a record prints itself: `Comparison.__str__` asks the report when it is called
    assert not forbidden(of("core"), *rooms_but("core"), top_only=True)
    assert not forbidden(of("core"), *rooms_but("core", "report"))


def test_report_reads_records_and_nothing_else() -> None:
    assert not forbidden(of("report"), "torch", "safetensors", *LOADERS, *rooms_but("core", "report"))


def test_the_engine_knows_no_method_and_no_objective() -> None:
    plans = ("headstart.methods.plan", "headstart.methods.method")
    assert not forbidden(of("engine"), "headstart.methods", "headstart.objectives", allowed=plans)
    assert not forbidden(of("engine"), "headstart.methods.method.METHODS")
    assert not forbidden(of("engine"), *rooms_but("core", "data", "backbones", "methods", "engine"))


def test_methods_know_backbones_and_plans_but_no_sibling() -> None:
    shared = ("headstart.methods.plan", "headstart.methods.method", "headstart.methods.lora_layer")
    assert not forbidden(of("methods"), "headstart.methods", allowed=shared)
    assert not forbidden(of("methods"), *rooms_but("core", "backbones", "methods"))
    assert not forbidden(["methods/plan.py"], "headstart.methods.method")


def test_objectives_know_no_method() -> None:
    assert not forbidden(of("objectives"), *rooms_but("core", "data", "backbones", "objectives"))


def test_backbones_know_nothing_below_them() -> None:
    assert not forbidden(of("backbones"), *rooms_but("core", "data", "backbones"))


def test_data_knows_core_alone() -> None:
    assert not forbidden(of("data"), "torch", *rooms_but("core", "data", "report"))
    assert not forbidden(of("data"), *rooms_but("core", "data"), top_only=True)  # as above: data print their audit


def test_nothing_knows_the_command_line_nor_the_calls_below_it() -> None:
    assert not forbidden([file for file in FILES if not file.startswith(("cli/", "__main__.py"))], "headstart.cli")
    above = ("cli/", "api/", "__init__.py")
    assert not forbidden([file for file in FILES if not file.startswith(above)], "headstart.api")


def test_artifacts_are_judged_and_judge_nothing() -> None:
    assert not forbidden(of("artifacts"), "headstart.evaluate", "headstart.cli", "headstart.api")


@pytest.mark.skipif(not of("serve"), reason="there is no serving room yet")
def test_a_serving_room_reads_records_and_artifacts() -> None:
    assert not forbidden(of("serve"), "headstart.objectives", "headstart.evaluate", "headstart.engine.fit")


def test_libraries_of_models_are_imported_late_and_in_their_loaders() -> None:
    everywhere = [file for file in FILES if not file.startswith("backbones/")]
    assert not forbidden(FILES, *LOADERS, "peft", "datasets", "sklearn", "matplotlib", top_only=True)
    assert not forbidden(everywhere, "transformers", "timm")
    # a kernel is compiled when its file is imported: that is done late
    kernels = [file for file in FILES if file.endswith("_kernel.py")]
    assert not forbidden([file for file in FILES if file not in kernels], "numba", "gensim", top_only=True)
    modules = tuple(f"headstart.{file[:-3].replace('/', '.')}" for file in kernels)
    assert len(modules) == 2
    assert not forbidden(FILES, *modules, top_only=True)


@pytest.mark.parametrize("module", ["headstart.report.page", "headstart.report.terminal", "headstart.core.comparison",
                                    "headstart.core.runs", "headstart.cli.main", "headstart"])  # fmt: skip
def test_light_modules_bring_no_torch(module: str) -> None:
    check = f"import {module}, sys; assert not {{'torch', 'transformers', 'timm'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_help_is_instant() -> None:
    """Processor time, not the clock's, so that a busy machine does not fail it."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", "from headstart.cli.main import main; main(['--help'])"]
        done = subprocess.run(command, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        assert "compare" in done.stdout
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert statistics.median(seconds) < 0.5, seconds
