"""What Python users call: plain objects that print well, options that are checked, modules of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import headstart
from backbones.tiny import PlainNet, save
from cli.calling import call, images, reviews, sentences, tree
from headstart.core.errors import ArtifactError, ConfigurationError, DataError, HeadstartError
from headstart.report.pages.command import command

FAST: dict[str, Any] = {"methods": ["probe", "lora"], "seeds": 1, "trials": 1, "epochs": 1}


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    reviews(tmp_path / "reviews.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def result(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    found = headstart.compare(reviews(folder / "reviews.csv"), bert, out=folder / "run", **FAST)
    return found, folder / "run"


def test_importing_the_package_is_light() -> None:
    script = (
        "import sys, headstart; heavy = {'torch', 'numpy', 'transformers', 'click', 'PIL'} & set(sys.modules); "
        "print(sorted(heavy), sorted(set(dir(headstart)) & set(headstart.__all__)), callable(headstart.load))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ")
    assert done.stdout.endswith("True\n")
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        headstart.lod  # noqa: B018


def test_every_name_that_is_promised_is_there() -> None:
    verbs = {"compare", "curve", "find_rate", "fit", "improve", "judge", "predict", "pretrain", "rank"}
    assert verbs | {"Adapters", "load", "log", "read"} == set(headstart.__all__)
    assert all(callable(getattr(headstart, name)) for name in headstart.__all__)


def test_pretraining_from_python_is_that_of_the_command(here: Path) -> None:
    (here / "texts.txt").write_text("".join(f"the {word} film is {word}\n" for word in ("good", "bad", "long") * 100))
    few = {"size": "tiny", "vocabulary": 300, "epochs": 1}
    done = headstart.pretrain("mlm", here / "texts.txt", out=here / "lm", settings=few, worth=here / "reviews.csv")
    assert done.record == json.loads((here / "lm" / "pretrained.json").read_text())
    assert done.record["worth"]["against"][0]["name"] == "from scratch"
    assert not done.diverged
    assert "300 paragraphs" in str(done)
    setting = [part for name, value in few.items() for part in ("--set", f"{name}={value}")]
    call("pretrain", "mlm", "texts.txt", "--out", "same", *setting, "--quiet").expect(0)
    assert (here / "same" / "model.safetensors").read_bytes() == (here / "lm" / "model.safetensors").read_bytes()
    assert headstart.load(here / "lm").modality == "text"
    data = headstart.read(here / "reviews.csv")
    again = headstart.pretrain("mlm", here / "texts.txt", out=here / "again", settings=few, worth=data)
    assert again.record["worth"]["value"] == done.record["worth"]["value"]
    with pytest.raises(ConfigurationError, match="no sources"):
        headstart.pretrain("mlm", [], out=here / "none")
    with pytest.raises(ConfigurationError, match="base is a Backbone"):
        headstart.pretrain("mlm", here / "texts.txt", out=here / "none", base=headstart.load(here / "lm"))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="size: of a new network"):
        headstart.pretrain("mlm", [here / "texts.txt"], out=here / "more", base=here / "lm", settings={"size": "mini"})


def test_compare_returns_what_it_writes(result: Any) -> None:
    found, folder = result
    assert found.to_json() == json.loads((folder / "comparison.json").read_text())
    assert found.row("lora").status == "ok"
    assert found.verdict.method in ("probe", "lora")
    assert type(found).from_json(found.to_json()) == found


def test_a_comparison_prints_well(result: Any) -> None:
    found, _ = result
    lines = str(found).splitlines()
    assert lines[0].split()[0] == "method"
    assert max(map(len, lines)) <= 110
    assert "\x1b" not in str(found)
    html = found._repr_html_()
    assert "<table" in html
    assert "<html" not in html, "a notebook's cell takes a fragment"
    assert found.verdict.sentence.split(",")[0] in html


def test_data_print_well(here: Path) -> None:
    data = headstart.read("reviews.csv")
    assert "train" in str(data)
    assert "reviews.csv" in repr(data)
    assert " object at 0x" not in str(data) + repr(data)
    assert "<table" in data._repr_html_()


def test_a_backbone_prints_well(bert: Path) -> None:
    backbone = headstart.load(bert)
    assert len(repr(backbone)) < 2000
    assert "encoder.layer.2" in str(backbone)


def test_read_gives_splits_and_a_record(here: Path) -> None:
    data = headstart.read("reviews.csv", text="text", label="label", seed=3)
    assert (data.task.kind, data.task.labels) == ("single_label", ("no", "yes"))
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    assert data.record.seed == 3
    assert headstart.read("reviews.csv", seed=3).record.fingerprint == data.record.fingerprint
    assert headstart.read("reviews.csv", seed=4).record.fingerprint != data.record.fingerprint


def test_the_embedded_digits() -> None:
    data = headstart.read()
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 50, 1697)
    assert data.task.labels == tuple("0123456789")


def test_what_was_read_and_loaded_is_taken(bert: Path, here: Path) -> None:
    data, backbone = headstart.read("reviews.csv"), headstart.load(bert)
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    found = headstart.compare(data, backbone, out="run", **FAST)
    assert all(torch.equal(value, before[name]) for name, value in backbone.module.state_dict().items())
    assert found.data.fingerprint == data.record.fingerprint
    again = headstart.compare("reviews.csv", bert, out="other", **FAST)
    assert [row.value for row in found.rows] == [row.value for row in again.rows]
    assert found.configuration == again.configuration, "it is found again by the names it was made of"
    assert headstart.improve("run", propose=True).method in {row.method for row in found.rows}


def test_examples_that_python_hands_over_are_asked_for_again(bert: Path, here: Path) -> None:
    table = datasets.load_dataset("csv", data_files="reviews.csv", split="train")
    found = headstart.compare(headstart.read(table), bert, out="run", **FAST)
    assert found.configuration["from_python"] == ["data"]
    assert command(found.configuration) == "", "no command line says it"
    with pytest.raises(ArtifactError, match="examples that Python handed over.*data=…"):
        headstart.improve("run", propose=True)
    again = headstart.read(table)
    assert headstart.improve("run", propose=True, data=again).method in {row.method for row in found.rows}


def test_fit_is_one_method(bert: Path, here: Path) -> None:
    found = headstart.fit("reviews.csv", bert, method="lora", settings={"rank": 2}, epochs=1, trials=1, out="run")
    assert [row.method for row in found.rows] == ["lora"]
    assert found.rows[0].configuration["rank"] == 2
    assert found.seeds == (0,)


def test_a_prompt_begins_as_the_names_of_the_classes(here: Path, bert: Any) -> None:
    found = headstart.fit(
        "reviews.csv", bert, method="prompt", settings={"start": "classes", "tokens": 2}, epochs=1, trials=1, out="run"
    )
    assert found.rows[0].configuration["text"] == "no yes"
    assert headstart.predict("run", ["a good film"])[0].label in ("no", "yes")


def test_predict(result: Any) -> None:
    _, folder = result
    one = headstart.predict(folder, "a good film")
    many = headstart.predict(str(folder), ["a good film", "a bad film"])
    assert len(one) == 1
    assert one[0].label == many[0].label
    for found in many:
        assert list(found.probabilities) == ["no", "yes"]
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.label == max(found.probabilities, key=lambda name: found.probabilities[name])
        assert found.label in str(found)
    assert headstart.predict(folder, []) == []
    with pytest.raises(DataError, match="reads texts"):
        headstart.predict(folder, [7])
    with pytest.raises(ConfigurationError, match="the run's folder"):
        headstart.predict(result[0], ["a good film"])
    assert {"compare", "predict", "Adapters"} <= set(dir(headstart))


def test_a_module_of_ones_own(here: Path) -> None:
    """The network of a tutorial: fitted, saved without it, and given again to predict."""

    def network(seed: int = 0) -> PlainNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return PlainNet()

    photos = images(here / "photos")
    options = {"image_size": 16}
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = headstart.fit(photos, module, method="lora", epochs=2, trials=1, out="run", **options)
    assert found.model.loader == "module"
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert json.loads((here / "run" / "configuration.json").read_text())["model"] == "PlainNet"
    file = photos / "red" / "1.png"
    with pytest.raises(ArtifactError, match="give the same module"):
        headstart.predict("run", [file])
    backbone = headstart.load(network(), image_size=16)
    by_path, by_bytes, by_image = headstart.predict("run", [file, file.read_bytes(), Image.open(file)], model=backbone)
    assert by_path == by_bytes == by_image
    with pytest.raises(ArtifactError, match="is not the one"):
        headstart.predict("run", [file], model=headstart.load(network(1), image_size=16))


def test_a_module_given_as_it_is(here: Path) -> None:
    """`predict(model=module)` needs no more than `fit(data, module)` did."""
    photos = images(here / "photos")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = PlainNet()
    headstart.fit(photos, module, method="probe", trials=1, out="run", image_size=16)
    found = headstart.predict("run", [photos / "red" / "1.png"], model=module)
    assert found[0].label in ("blue", "red")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sedes": 3}, "unknown option 'sedes'.*Did you mean 'seeds'"),
        ({"method": ["probe"]}, "Did you mean 'methods'"),
        ({"methods": ["lroa"]}, "Did you mean 'lora'"),
        ({"methods": ["scalar_mix"]}, "Did you mean 'mix'"),
        ({"methods": []}, "no method"),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": "many"}, "seeds is 'many'"),
        ({"trials": 1.5}, "trials is 1.5"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_tokens": "many"}, "batch_tokens is 'many'"),
        ({"word_dropout": 1.0}, "word_dropout is 1.0"),
        ({"clip": 0}, "clip is 0"),
        ({"augment": "lite"}, "Did you mean 'light'"),
        ({"augment": "mixup"}, "augment=mixup is for images"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"device": "gpu"}, "unknown device"),
        ({"precision": "fp8"}, "fp8"),
        ({"kind": "clusters"}, "clusters"),
        ({"settings": {"rnk": 4}}, "Did you mean 'rank'"),
        ({"settings": {"lora.rank": 0}}, "at least 1"),
        ({"pooling": "max"}, "max"),
        ({"workers": -1}, "workers"),
    ],
)
def test_options_are_checked_before_anything_is_written(
    bert: Path, here: Path, options: dict[str, Any], message: str
) -> None:
    before = tree(here)
    with pytest.raises(HeadstartError, match=message):
        headstart.compare("reviews.csv", bert, out="run", **{**FAST, **options})
    assert tree(here) == before
    assert not (here / "run").exists()


def test_methods_may_be_one_text(bert: Path, here: Path) -> None:
    found = headstart.compare("reviews.csv", bert, out="run", methods="probe, majority", seeds=1, trials=1)
    assert [row.method for row in found.rows] == ["probe", "majority"]


def test_things_that_are_no_data(bert: Path, here: Path) -> None:
    for thing in (7, np.zeros((3, 3)), ["a text"]):
        with pytest.raises(DataError, match="can't read examples"):
            headstart.compare(thing, bert, out="run", **FAST)
    assert not (here / "run").exists()


def test_a_data_frame_is_refused_with_the_way_to_save_it() -> None:
    with pytest.raises(DataError, match=r"from a DataFrame\. Save it with \.to_csv\("):
        headstart.read(pandas.DataFrame({"text": ["a"], "label": ["b"]}))


def test_texts_without_a_model_start_from_the_built_in_one(here: Path) -> None:
    found = headstart.compare("reviews.csv", out="run", methods="probe", seeds=1, trials=1)
    assert found.model.source == "builtin/gist"
    assert headstart.predict("run", ["a good film"])


def test_find_rate_leaves_the_model_as_it_was(bert: Path, here: Path) -> None:
    from headstart import api

    backbone = headstart.load(bert)
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    found = api.find_rate("reviews.csv", backbone, method="lora", steps=20)
    assert len(found.learning_rates) == len(found.losses)
    assert all(torch.equal(value, before[name]) for name, value in backbone.module.state_dict().items())
    with pytest.raises(ConfigurationError, match="'stps'"):
        api.find_rate("reviews.csv", backbone, stps=20)


def test_a_data_set_in_memory(bert: Path, here: Path) -> None:
    import datasets

    rows = [{"text": text, "label": int(good)} for text, good in sentences(60)]
    found = headstart.compare(datasets.Dataset.from_list(rows), bert, out="run", **FAST)
    assert found.row("probe").status == "ok"
    assert json.loads((here / "run" / "configuration.json").read_text())["data"] == "Dataset"


def test_a_method_whose_training_breaks_is_told_in_its_row(
    bert: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.comparison.trials import trial

    plain = trial.prepared

    def broken(setting: Any, method: Any, *arguments: Any, **options: Any) -> Any:
        if type(method).__name__ == "Lora":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore follows.")
        return plain(setting, method, *arguments, **options)

    monkeypatch.setattr(trial, "prepared", broken)
    found = headstart.compare("reviews.csv", bert, out="run", **FAST)
    assert found.row("lora").status == "failed: CUDA out of memory. Tried to allocate 2 GiB."
    assert found.row("probe").status == "ok"
    assert found.verdict.method == "probe"


def test_a_setting_of_the_user_is_not_tuned(bert: Path, here: Path) -> None:
    options = {**FAST, "methods": ["probe"], "trials": 3}
    found = headstart.compare("reviews.csv", bert, out="run", settings={"penalty": 7}, **options)
    assert found.row("probe").configuration["penalty"] == 7
    assert {trial.configuration["penalty"] for trial in found.row("probe").trials} == {7}


# ------------------------------------------------------------------------------------------------------------ predict
class Frame(dict):
    """As much of a DataFrame as matters: iterating over it gives the names of its columns."""

    columns = ("text", "label")


def test_what_predict_can_not_read_is_refused(result: Any, tmp_path: Path) -> None:
    _, folder = result
    file = tmp_path / "new.csv"
    file.write_text("text,id\na good film,1\na bad film,2\n")
    for wrong, says in (
        (Frame(text=["a good film"]), r"not a Frame.*list\(table\['text'\]\)"),
        ({"text": ["a"]}, "not a dict"),
        ({"a good film"}, "a set has no order"),
        ([None], "input 0 is one without text"),
        (["a", " "], "input 1 is one without text"),
        ([("a", "b")], "input 0 is one with more than one text"),
        (np.array([["a", "b"]]), "input 0 is one with more than one text"),
        ([float("nan")], "input 0 is one without text"),
        ([b"a"], "input 0 holds a bytes; this model reads texts"),
        (["a film", str(file)], "input 1, .*names a file"),
        ([file], "input 0 is a path"),
        (tmp_path / "none.csv", "there is no file"),
        (7, "a int was given"),
    ):
        with pytest.raises(DataError, match=says):
            headstart.predict(folder, wrong)
    alone = headstart.predict(folder, ["a good film", "a bad film"])
    assert headstart.predict(folder, str(file)) == headstart.predict(folder, file) == alone
    assert len(headstart.predict(folder, (text for text in ["soup \ud83d", "tea"]))) == 2
    with pytest.raises(ConfigurationError, match="Did you mean 'precision'"):
        headstart.predict(folder, ["a"], precison="fp32")


def test_the_model_stays_warm_until_something_changes(result: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from headstart.artifacts import predictor
    from headstart.core.disk.history import entry

    _, folder = result
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    made: list[object] = []
    first = predictor.Predictor.__init__
    monkeypatch.setattr(
        predictor.Predictor, "__init__", lambda self, *a, **k: (made.append(a), first(self, *a, **k))[1]
    )
    before = headstart.predict(run, ["a good film"])
    assert headstart.predict(run, ["a good film"]) == before
    assert len(made) == 1
    (run / "model" / "artifact.json").touch()
    assert headstart.predict(run, ["a good film"]) == before
    assert len(made) == 2
    headstart.predict(run, ["a good film"], precision="fp32")
    assert len(made) == 3
    assert headstart.predict(entry(str(folder)).number, ["a good film"]) == before
