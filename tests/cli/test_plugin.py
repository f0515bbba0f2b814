"""The tutorial's toy methods, from outside the package through their entry points."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from processes import Nursery

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip leaves it: the module, and the entry points of its distribution."""
    place = tmp_path_factory.mktemp("site")
    for file in (EXAMPLE / "src").glob("headstart_*.py"):
        shutil.copy(file, place)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["headstart.methods"]
    told = place / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (told / "entry_points.txt").write_text(
        "[headstart.methods]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    return place


TESTS = Path(__file__).parents[1]
"so that scripts can use the tests' own modules"


def test_it_is_listed_with_its_help(site: Path, processes: Nursery) -> None:
    code, out, err = processes.run("methods", "gain", paths=[site])
    assert code == 0, err
    assert "lowest=0" in out
    assert "the lowest rung that gets gains" in out
    assert "gain" in processes.run("methods", paths=[site])[1]


def test_without_the_package_it_is_unknown(processes: Nursery) -> None:
    code, _, err = processes.run("methods", "gain")
    assert code == 2
    assert "'gain'" in err


def test_a_term_over_further_streams_is_one_file_from_outside(site: Path, tmp_path: Path, processes: Nursery) -> None:
    """Unlabelled texts make answers surer, by the term alone; which texts they are changes the job's signature."""
    for name, words in (("some", "good film"), ("others", "bad film")):
        (tmp_path / name).write_text("\n".join(f"{words} {'very ' * n}" for n in range(40)))
    script = """
import sys, torch
from backbones.tiny import tiny
from contract.settings import method_of, setting_of
from headstart.engine.adapt import adapted, attached
backbone = tiny("bert")
setting, entropy, signatures = setting_of(backbone, epochs=6), {}, set()
for weight in (0.0, 10.0):
    method = method_of("agree", sure=weight, learning_rate=3e-3, unlabelled=sys.argv[1])
    with adapted(setting, method, 0) as done:
        logs = done.job.logits(done.job.feeds["unlabelled"]).log_softmax(-1)
        entropy[weight] = float(-(logs.exp() * logs).sum(-1).mean())
assert entropy[10.0] < 0.7 * entropy[0.0], entropy
for file in sys.argv[1:]:
    with attached(setting, method_of("agree", unlabelled=file), 0) as job:
        signatures.add(job.signature.replace(file, ""))
        step = next(job.steps(0, 0))
        assert [sorted(micro.streams) for micro in step] == [["second view", "unlabelled"]] * len(step)
        job.enter(0.5)
        assert sorted(job.losses(step[0], 0.5)) == ["sure", "task", "views"]
        assert sorted(job.losses(step[0], 0.0)) == ["task"]
assert len(signatures) == 2
print("learned from both")
"""
    done = processes.run(tmp_path / "some", tmp_path / "others", script=script, paths=[site, TESTS])
    assert done[:2] == (0, "learned from both\n"), done[2]


def test_a_module_beside_the_model_trains_and_is_not_saved(site: Path, tmp_path: Path, processes: Nursery) -> None:
    """A judge of features: it moves, whatever else trains, and neither the artifact nor a reloaded model has it."""
    (tmp_path / "others").write_text("\n".join(f"bad film {'very ' * n}" for n in range(40)))
    script = """
import sys, torch
from safetensors.torch import load_file
from backbones.tiny import tiny
from contract.settings import logits_of, save_adapted, setting_of
from headstart.artifacts.artifact import reloaded
from headstart.core.fields import configured
from headstart.engine.adapt import adapted, attached
from headstart.methods.method import method_class
others, place, *names = sys.argv[1:]
for name in names:
    run, backbone = place + "/" + name, tiny("bert")
    setting, method = setting_of(backbone), configured(method_class(name), {"unlabelled": others}, name)
    with attached(setting, method, 0) as job:
        begun = {n: p.detach().clone() for n, p in job.module.named_parameters() if n.startswith("beside.")}
    with adapted(setting, method, 0) as done:
        parameters = dict(done.model.named_parameters())
        assert len(begun) == 2 and not any(torch.equal(value, parameters[n]) for n, value in begun.items()), name
        logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
        save_adapted(run, done, name, method, setting)
    assert not hasattr(done.model, "beside"), name
    assert not [n for n in load_file(run + "/weights.safetensors") if n.startswith("beside.")], name
    with reloaded(run, backbone) as (_, again, plan):
        assert not hasattr(again, "beside") and not plan.modules, name
        torch.testing.assert_close(logits_of(backbone, again.head, setting.validation, plan), logits, rtol=0, atol=0)
    print(name)
"""
    names = ("confuse", "confuse+lora", "pfeiffer+confuse")
    done = processes.run(tmp_path / "others", tmp_path, *names, script=script, paths=[site, TESTS])
    assert (done[0], done[1].split()) == (0, list(names)), done[2]


def test_it_trains_merges_and_keeps_the_contract(site: Path, tmp_path: Path, processes: Nursery) -> None:
    """In a process that knows it: attached, trained, saved, reloaded, merged, and the base as it was."""
    script = """
import copy, dataclasses, sys, torch
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
    done = processes.run(tmp_path / "run", script=script, paths=[site, TESTS])
    assert done[:2] == (0, "kept\n"), done[2]
