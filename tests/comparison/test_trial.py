"""One training by its spec: plain data, four hops from the command to the loop, one result per folder."""

from __future__ import annotations

import dataclasses
import json
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import headstart
from backbones.tiny import save, tiny
from cli.calling import call
from headstart.comparison.trials import trial
from headstart.comparison.trials.trial import ANSWERS, check_folder, run_trial
from headstart.comparison.trials.workshop import Workshop, opened
from headstart.core.disk.locks import Lock
from headstart.core.errors import ConfigurationError, MethodError
from headstart.core.fields import configured
from headstart.core.progress import Silent
from headstart.core.records.trial import IngredientSpec, Run, TrialSpec
from headstart.engine import fit as loop
from headstart.engine.job import Options
from headstart.engine.machine.precision import compute
from headstart.engine.state.checkpoint import Checkpoint
from headstart.methods.method import METHODS, Method, method_class
from headstart.stats.metrics import metric

SOURCE = Path(headstart.__file__).parent


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows = [f"{'good great' if n % 2 else 'bad awful'} film {n},{'yes' if n % 2 else 'no'}" for n in range(60)]
    file.write_text("\n".join(["text,label", *rows]))
    return file


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bert"
    save("bert", folder)
    return folder


def workshop_of(reviews: Path, bert: Path, **options: Any) -> Workshop:
    data, options = headstart.read(reviews), {"epochs": 2, "batch_size": 8, **options}
    return Workshop(data, headstart.load(bert), Options(**options), compute("cpu", "fp32"), metric("single_label"))


def method_of(name: str, **settings: Any) -> Method:
    made: Method = METHODS[name](**settings)
    return made


def test_a_spec_is_plain_data(reviews: Path, bert: Path) -> None:
    with workshop_of(reviews, bert, augment="none") as workshop:
        given = [IngredientSpec("full seed 0", "../../full/seed0-1")]
        spec = workshop.spec("lora@wide", method_of("lora", rank=3, targets=("linear",)), 4, 0.5, given)
    again = TrialSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.key == spec.key
    assert (spec.method, spec.settings["rank"], spec.settings["targets"]) == ("lora", 3, ["linear"])
    assert (spec.data.source, spec.model.source) == (str(reviews), str(bert))
    moved = dataclasses.replace(spec, model=dataclasses.replace(spec.model, source="elsewhere"))
    assert moved.key == spec.key, "a project that has moved goes on with its trainings"
    for change in ({"seed": 5}, {"share": 1.0}, {"ingredients": ()}, {"settings": {**spec.settings, "rank": 4}}):
        assert dataclasses.replace(spec, **change).key != spec.key


def test_joined_methods_train_by_their_spec_and_unregistered_ones_are_refused(
    reviews: Path, bert: Path, tmp_path: Path
) -> None:
    class Unknown(METHODS["lora"]):  # type: ignore[misc]
        pass

    with workshop_of(reviews, bert, epochs=1) as workshop:
        joined: Method = configured(method_class("distill+lora"), {"rank": 3}, "distill+lora")
        spec = workshop.spec("distill+lora@small", workshop.settled(joined), 0)
        assert (spec.method, spec.settings["rank"]) == ("distill+lora", 3)
        assert run_trial(spec, tmp_path, workshop).status == "ok"
        with pytest.raises(MethodError, match="Unknown is registered under no name"):
            workshop.spec("unknown", Unknown(), 0)


def test_folds_of_one_source_are_different_data(reviews: Path, bert: Path) -> None:
    data, backbone = headstart.read(reviews), headstart.load(bert)
    part = dataclasses.replace(data, train=data.train.take(np.arange(20)))
    specs = []
    for one in (data, part):
        with Workshop(one, backbone, Options(epochs=2, batch_size=8), compute("cpu"), metric("single_label")) as shop:
            specs.append(shop.spec("full", method_of("full"), 0))
            with pytest.raises(ConfigurationError, match="its data are not those that are open"):
                shop.check(dataclasses.replace(specs[-1], data=dataclasses.replace(specs[-1].data, rows="other")))
    assert specs[0].data.fingerprint == specs[1].data.fingerprint
    assert specs[0].key != specs[1].key


def test_a_finished_folder_is_read_and_another_spec_refused(
    reviews: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    with workshop_of(reviews, bert) as workshop:
        spec = workshop.spec("full", workshop.settled(method_of("full")), 0)
        first = run_trial(spec, folder, workshop)
        monkeypatch.setattr(trial, "fit", lambda *_, **__: pytest.fail("trained again"))
        assert run_trial(spec, folder, workshop) == first
        assert Run.read(folder / "run.json") == first
        with pytest.raises(ConfigurationError, match=r"holds another training, full seed 0: settings, seed differ"):
            run_trial(workshop.spec("full", method_of("full"), 1), folder, workshop)
        with Lock(tmp_path / "held"), pytest.raises(ConfigurationError, match="in use by another process"):
            run_trial(spec, tmp_path / "held", workshop)
    check_folder(folder, spec)
    assert (folder / "model" / "artifact.json").is_file()


def test_a_training_is_the_same_without_an_open_workshop(reviews: Path, bert: Path, tmp_path: Path) -> None:
    """As on another machine, which has the spec, the files that it names, and no object of this process."""
    with workshop_of(reviews, bert) as workshop:
        spec = workshop.spec("lora", workshop.settled(method_of("lora")), 0)
        here = run_trial(spec, tmp_path / "here", workshop)
    sent = TrialSpec.from_json(json.loads(json.dumps(spec.to_json())))
    there = run_trial(sent, tmp_path / "there")
    times = {"seconds": 0.0, "charged": 0.0, "peak_memory_bytes": None}
    assert dataclasses.replace(there, **times) == dataclasses.replace(here, **times)
    ours, theirs = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("here", "there"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_what_a_spec_names_has_to_be_there_and_unchanged(reviews: Path, bert: Path, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text(reviews.read_text())
    with workshop_of(file, bert) as workshop:
        spec = workshop.spec("full", method_of("full"), 0)
    file.write_text(reviews.read_text().replace("film 1,", "show 1,"))
    with pytest.raises(ConfigurationError, match="its data are not those that are open"):
        opened(spec)
    with Workshop(headstart.read(reviews), tiny("bert"), Options(), compute("cpu"), metric("single_label")) as live:
        nameless = dataclasses.replace(
            live.spec("full", method_of("full"), 0), model=dataclasses.replace(spec.model, source=None)
        )
    with pytest.raises(ConfigurationError, match="the model of full seed 0 were objects of Python"):
        run_trial(nameless, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Stopped(Silent):
    """Interrupts at the fourth step."""

    steps = 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps
        if self.steps > 4:
            raise KeyboardInterrupt


def test_an_unfinished_folder_goes_on(
    reviews: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workshop_of(reviews, bert) as workshop:
        spec = workshop.spec("full", workshop.settled(method_of("full")), 0)
        whole = run_trial(spec, tmp_path / "whole", workshop)
        folder = tmp_path / "parts"
        monkeypatch.setattr(trial, "checkpoint_in", lambda place: Checkpoint(place / "checkpoint.safetensors", 0.0))
        with pytest.raises(KeyboardInterrupt):
            run_trial(spec, folder, workshop, Stopped())
        assert list(folder.glob("checkpoint*"))
        assert not (folder / "run.json").exists()
        parts = run_trial(spec, folder, workshop)
    assert not list(folder.glob("checkpoint*"))
    assert [point.step for point in parts.curve] == [point.step for point in whole.curve]
    one, other = (load_file(place / "model" / "weights.safetensors") for place in (tmp_path / "whole", folder))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_without_the_model_its_answers_are_kept(reviews: Path, bert: Path, tmp_path: Path) -> None:
    with workshop_of(reviews, bert) as workshop:
        spec = workshop.spec("full", method_of("full", learning_rate=1e-3), 0, keeps=False)
        run = run_trial(spec, tmp_path, workshop)
    assert (run.status, run.artifact_bytes) == ("ok", None)
    assert (tmp_path / ANSWERS).is_file()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("command", [("fit", "--method", "full"), ("compare", "--methods", "full,probe", "--race")])
def test_four_hops_from_the_command_to_the_loop(
    command: tuple[str, ...], reviews: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the package on the stack when the loop begins; a hop is a call from one to the next."""
    stacks: list[list[str]] = []
    assert trial.fit is loop.fit

    def fit(*arguments: Any, **options: Any) -> Any:
        files = [Path(frame.filename) for frame in traceback.extract_stack()]
        inside = [file.relative_to(SOURCE).as_posix() for file in files if file.is_relative_to(SOURCE)]
        stacks.append(list(dict.fromkeys([*inside, "engine/fit.py"])))
        return loop.fit(*arguments, **options)

    monkeypatch.setattr(trial, "fit", fit)
    verb, *options = command
    run = tmp_path / "run"
    call(verb, reviews, "--model", bert, *options, "--seeds", 1, "--trials", 1, "--epochs", 1, "--out", run).expect(
        0, run
    )
    road = [
        f"cli/verbs/{verb}.py",
        "api/comparing.py",
        "comparison/compare.py",
        "comparison/trials/trial.py",
        "engine/fit.py",
    ]
    assert stacks
    for stack in stacks:
        assert stack[stack.index(road[0]) :] == road
