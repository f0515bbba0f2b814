"""Joined methods: the losses of one, on what the other trains."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import headstart
from backbones.tiny import WORDS, save, tiny
from contract.settings import logits_of, save_adapted, setting_of
from headstart.artifacts.artifact import Artifact, reloaded
from headstart.artifacts.exchange.merge import merge
from headstart.backbones.backbone import fingerprint
from headstart.comparison.selection import methods_named
from headstart.core.errors import ConfigurationError, MethodError
from headstart.core.fields import configured, descriptions
from headstart.engine.adapt import adapted, attached
from headstart.methods.compose import compose
from headstart.methods.method import Method, method_class
from headstart.methods.plan import Plan

JOINED = ["distill+lora", "contrastive+lora", "ia3+distill", "contrastive+bitfit", "l2sp+freeze"]


def method(name: str, **settings: Any) -> Method:
    made: Method = configured(method_class(name), settings, name)
    return made


def plan_of(name: str, family: str = "bert", **settings: Any) -> Plan:
    backbone = tiny(family)
    return method(name, **settings).attach(backbone, nn.Linear(backbone.dimension, 3))


@pytest.mark.parametrize("name", JOINED)
def test_it_trains_is_saved_reloaded_and_merged(name: str, tmp_path: Path) -> None:
    backbone = tiny("bert")
    setting, joined, before = setting_of(backbone), method(name, learning_rate=1e-2), fingerprint(backbone.module)
    with adapted(setting, joined, 0) as done:
        logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
        save_adapted(tmp_path, done, name, joined, setting)
        twin = copy.deepcopy(done.model)
        merge(twin.backbone)
        merged = logits_of(replace(backbone, module=twin.backbone), twin.head, setting.validation, done.plan)
    torch.testing.assert_close(merged, logits, rtol=1e-4, atol=1e-5)
    assert fingerprint(backbone.module) == before
    with reloaded(tmp_path, backbone) as (artifact, model, plan):
        assert artifact.trained_with() == joined
        assert torch.equal(logits_of(backbone, model.head, setting.validation, plan), logits)


def test_the_plan_has_the_losses_of_one_and_trains_what_the_other_does() -> None:
    both, lora, distill = plan_of("distill+lora"), plan_of("lora"), plan_of("distill")
    assert [g.parameters for g in both.groups] == [g.parameters for g in lora.groups]
    assert [edit.place for edit in both.edits] == [edit.place for edit in lora.edits]
    assert both.terms == distill.terms
    assert both.learning_rate == lora.learning_rate != distill.learning_rate


def test_phases_and_frozen_rungs_hold_for_what_the_other_puts_there() -> None:
    """Contrastive leaves rung 0 frozen and the head to its solver."""
    both, alone = plan_of("contrastive+lora"), plan_of("contrastive")
    assert [phase.groups for phase in both.timeline] == [tuple(g.name for g in both.groups if g.name != "head")]
    assert (both.solved_after, both.batch_size, both.balanced) == (alone.solved_after, 32, True)
    freed = plan_of("contrastive+full")
    assert {group.rung for group in freed.groups} == {group.rung for group in alone.groups}
    with pytest.raises(MethodError, match="contrastive\\+prompt: one of them freezes rung 0.*leave no rung frozen"):
        plan_of("contrastive+prompt", tokens=2)
    plan_of("contrastive+prompt", tokens=2, frozen=0)


def test_its_losses_act() -> None:
    """Held near the base, LoRA moves the features less."""
    moved = {}
    for strength in (0.0, 100.0):
        backbone = tiny("bert")
        setting = setting_of(backbone, epochs=4)
        with adapted(setting, method("distill+lora", strength=strength, learning_rate=1e-2), 0) as done:
            tuned = done.job.features(setting.validation)
        with attached(setting, method("full"), 0) as job:
            moved[strength] = float((tuned - job.features(setting.validation)).norm())
    assert moved[100.0] < 0.5 * moved[0.0]


def test_settings_signatures_and_help_are_those_of_both() -> None:
    kind = method_class("distill+lora@wide")
    assert {"rank", "strength", "learning_rate"} <= {field.name for field in fields(kind)}
    assert {"rank", "strength", "learning_rate"} <= descriptions(kind).keys()
    assert [axis.name for axis in kind().axes(tiny("bert"))] == ["learning_rate", "strength"]
    chosen = methods_named(["lora", "distill+lora"], {"rank": 3, "distill+lora.strength": 2.0})
    assert (chosen["distill+lora"].rank, chosen["distill+lora"].strength) == (3, 2.0)  # type: ignore[attr-defined]
    setting, signatures = setting_of(tiny("bert")), set()
    for name, settings in [("lora", {}), ("distill+lora", {}), ("distill+lora", {"strength": 2.0}),
                           ("distill+lora", {"rank": 2})]:  # fmt: skip
        with attached(setting, method(name, **settings), 0) as job:
            signatures.add(job.signature)
    assert len(signatures) == 4


def test_it_takes_part_in_a_comparison_and_predicts(tmp_path: Path) -> None:
    words = ["bad", "good"]
    lines = {f"a {words[at % 2]} film {WORDS[at % 40]} {WORDS[at % 37]},{words[at % 2]}" for at in range(120)}
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *sorted(lines)]))
    found = headstart.compare(
        tmp_path / "films.csv", save("bert", tmp_path / "bert"), seeds=1, trials=1, epochs=1,
        methods=["probe", "distill+lora"], settings={"distill+lora.rank": 2}, out=tmp_path / "run", keep=True,
    )  # fmt: skip
    row = next(row for row in found.rows if row.method == "distill+lora")
    assert (row.status, row.configuration["rank"], row.configuration["strength"]) == ("ok", 2, 0.3)
    kept = (tmp_path / "run" / "models").glob("*/seed0")
    (folder,) = (path for path in kept if Artifact.open(path).method == "distill+lora")
    assert headstart.predict(folder, ["a good film"])[0].label in words


REFUSED = {
    "full+lora": "neither adds a loss",
    "distill+contrastive": "both add losses",
    "distill+probe": "probe takes no steps",
    "l2sp+lora": "both have a setting 'alpha' of another meaning",
    "distill+lora+ia3": "at most two",
    "distill+lorra": "lorra",
    "distill+": "method",
}


@pytest.mark.parametrize(("name", "says"), REFUSED.items())
def test_what_can_not_be_joined_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says.replace("+", "\\+")):
        method_class(name)


def test_plans_that_set_the_same_field_are_refused() -> None:
    lora = plan_of("lora")
    with pytest.raises(MethodError, match="both set `edits`"):
        compose(plan_of("ia3"), lora)
    with pytest.raises(MethodError, match="both set `terms`"):
        compose(plan_of("distill"), plan_of("contrastive"))
    with pytest.raises(MethodError, match="takes no steps"):
        compose(plan_of("distill"), plan_of("probe"))
