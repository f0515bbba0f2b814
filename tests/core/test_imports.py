"""Who may import whom: the one place that holds the house plan's rules. It reads the source; nothing is run."""

from __future__ import annotations

import ast
import functools
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
ROOMS = ("core", "stats", "tasks", "data", "backbones", "methods", "engine", "artifacts", "comparison", "judging",
         "pretraining", "report", "api", "cli")  # fmt: skip
"each may use those before it"
LOADERS = {"transformers", "timm", "torchvision"}


@functools.cache
def imports(file: str) -> list[tuple[str, bool]]:
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

    return list(walk(ast.parse((ROOT / file).read_text(encoding="utf-8")), True))


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
    return tuple(f"headstart.{room}" for room in sorted(set(ROOMS) - set(kept)))


def test_the_rules_see_the_rooms() -> None:
    """So that a renamed folder doesn't turn a rule into one about nothing."""
    assert {file.partition("/")[0] for file in FILES if "/" in file} == set(ROOMS)
    assert ("torch.nn", True) in set(imports("methods/plan.py"))
    assert forbidden(["methods/adapters/lora.py"], "torch")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_those_before_it(room: str) -> None:
    later = tuple(f"headstart.{other}" for other in ROOMS[ROOMS.index(room) + 1 :])
    # a record prints itself: `Comparison.__str__` asks the report when it is called
    late = {"core": ("headstart.report",), "data": ("headstart.report",)}
    assert not forbidden(of(room), *later, allowed=late.get(room, ()))
    assert not forbidden(of(room), *later, top_only=True)


def circles(uses: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one module, by what each module reaches."""

    def reached(start: str) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            new = uses[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in uses}
    found = {frozenset({one, *(other for other in reach[one] if one in reach[other])}) for one in uses}
    return [set(component) for component in found if len(component) > 1]


def test_no_circles() -> None:
    """Late imports count too, because a circle through them still makes two ideas one."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [{"a", "b", "c"}]
    modules = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in FILES}

    def module_of(name: str) -> str | None:
        """The module that `from module import name` or `import module` runs."""
        name = name.removeprefix("headstart.")
        return name if name in modules else parent if (parent := name.rpartition(".")[0]) in modules else None

    uses = {
        module: {used for name, _ in imports(file) if (used := module_of(name)) and name.startswith("headstart")}
        for module, file in modules.items()
    }
    assert "core.errors" in uses["backbones.class_words"]
    assert not circles(uses)


def test_light_rooms() -> None:
    assert not forbidden(of("core"), "torch", "numpy", "safetensors", *LOADERS)
    assert not forbidden([*of("stats"), *of("data")], "torch")
    assert not forbidden(of("tasks"), "torch", top_only=True)
    assert not forbidden(of("report"), "torch", "safetensors", *LOADERS, *rooms_but("core", "report"))


def test_the_engine_knows_no_method() -> None:
    plans = tuple(f"headstart.methods.{name}" for name in ("plan", "term", "solver", "view", "chat_view", "method"))
    assert not forbidden(of("engine"), "headstart.methods", allowed=plans)
    assert not forbidden(of("engine"), "headstart.methods.method.METHODS")


def test_methods_know_backbones_and_plans_but_no_sibling() -> None:
    names = (
        "plan",
        "slots",
        "compose",
        "term",
        "solver",
        "words",
        "convex",
        "upper",
        "view",
        "chat_view",
        "prompting",
        "method",
        "adapters.lora_update",
    )
    shared = tuple(f"headstart.methods.{name}" for name in names)
    assert not forbidden(of("methods"), "headstart.methods", allowed=shared)
    assert not forbidden(of("methods"), *rooms_but("core", "backbones", "methods"))
    assert not forbidden([f"methods/{name}.py" for name in ("plan", "term", "solver")], "headstart.methods.method")


def test_pretraining_is_a_room_that_only_the_calls_and_the_command_line_use() -> None:
    users = ("pretraining/", "api/", "cli/")
    assert not forbidden([file for file in FILES if not file.startswith(users)], "headstart.pretraining")
    objectives = [file for file in FILES if file.startswith("pretraining/objectives/")]
    assert not forbidden(objectives, "headstart.methods", "headstart.engine")


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


LIGHT = (
    "report.pages.comparison", "report.terminal.comparison", "core.records.comparison", "core.disk.runs", "cli.main",
)  # fmt: skip


def test_light_modules_bring_no_torch() -> None:
    script = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    script += "    assert not {'torch', 'transformers', 'timm'} & set(sys.modules), name"
    modules = ["headstart", *(f"headstart.{name}" for name in LIGHT)]
    subprocess.run([sys.executable, "-c", script, *modules], check=True)


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
