"""The tutorial's toy method, from outside the package through its entry point."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip leaves it: the module, and the entry points of its distribution."""
    place = tmp_path_factory.mktemp("site")
    shutil.copy(EXAMPLE / "src" / "headstart_gain.py", place)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["headstart.methods"]
    told = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (told / "entry_points.txt").write_text(
        "[headstart.methods]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    return place


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = "from headstart.cli.main import main; import sys; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", command, *arguments], capture_output=True, text=True, env=environment, timeout=240
    )


def test_it_is_listed_with_its_help(site: Path) -> None:
    done = run(site, "methods", "gain")
    assert done.returncode == 0, done.stderr
    assert "lowest=0" in done.stdout
    assert "the lowest rung that gets gains" in done.stdout
    assert "gain" in run(site, "methods").stdout


def test_without_the_package_it_is_unknown(tmp_path: Path) -> None:
    done = run(tmp_path, "methods", "gain")
    assert done.returncode == 2
    assert "'gain'" in done.stderr


def test_it_trains_merges_and_keeps_the_contract(site: Path, tmp_path: Path) -> None:
    """In a process that knows it: attached, trained, saved, reloaded, merged, and the base as it was."""
    script = """
import copy, dataclasses, sys, torch
sys.path.insert(0, sys.argv[2])
from backbones.tiny import tiny
from contract.settings import logits_of, method_of, save_adapted, setting_of
from headstart.artifacts.artifact import reloaded
from headstart.artifacts.exchange.merge import merge
from headstart.backbones.backbone import fingerprint
from headstart.engine.adapt import adapted
backbone = tiny("bert")
setting, method, before = setting_of(backbone), method_of("gain"), fingerprint(backbone.module)
plain = backbone.features(setting.validation.batch(range(5)))
with adapted(setting, method, 0) as done:
    moved = [p.detach().abs().max() for n, p in done.model.named_parameters() if n.endswith("gain.gains")]
    assert len(moved) == 18 and min(moved) > 0, moved
    logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
    save_adapted(sys.argv[1], done, "gain", method, setting)
    twin = copy.deepcopy(done.model)
    assert merge(twin.backbone) == 18
    merged = logits_of(dataclasses.replace(backbone, module=twin.backbone), twin.head, setting.validation, done.plan)
    torch.testing.assert_close(merged, logits, rtol=1e-4, atol=1e-5)
assert fingerprint(backbone.module) == before
with reloaded(sys.argv[1], backbone) as (_, again, plan):
    found = logits_of(backbone, again.head, setting.validation, plan)
    torch.testing.assert_close(found, logits, rtol=0, atol=0)
print("kept")
"""
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run"), tests], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip().endswith("kept"), done.stderr[-2000:]
