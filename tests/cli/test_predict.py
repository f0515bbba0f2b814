"""`predict`, `export`, `inspect`, `methods` and `find-rate`."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from cli.calling import Call, call, images, reviews, tree


def test_csv(text_run: Call, tmp_path: Path) -> None:
    file = reviews(tmp_path / "new.csv", 8, seed=5)
    run = text_run.folder
    done = call("predict", run, "a good film", file, "--probabilities", "-o", tmp_path / "out.csv").expect(0)
    assert (done.out, done.err) == ("", f"9 predictions in {tmp_path / 'out.csv'}\n")
    with (tmp_path / "out.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert rows[0]["input"] == "a good film"
    assert len(rows) == 9
    ours = ["prediction", "confidence", "p_no", "p_yes", "error"]
    assert list(rows[0]) == ["input", "text", "label", *ours]  # the file's columns are kept
    assert [row["label"] for row in rows[1:]] == [row["label"] for row in csv.DictReader(file.open())]
    for row in rows:
        chances = {name: float(row[f"p_{name}"]) for name in ("no", "yes")}
        assert sum(chances.values()) == pytest.approx(1, abs=2e-6)
        assert row["prediction"] == max(chances, key=lambda name: chances[name])
        assert float(row["confidence"]) == max(chances.values())


def test_json_lines(text_run: Call, tmp_path: Path) -> None:
    inputs = ("ein Café — “quoted”, with a comma", "line\nbreak")
    call("predict", text_run.folder, *inputs, "--probabilities", "-o", tmp_path / "out.jsonl").expect(0)
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["input"] for row in told] == list(inputs)
    for row in told:
        assert set(row) == {"input", "prediction", "confidence", "p_no", "p_yes", "error"}
        assert row["p_no"] + row["p_yes"] == pytest.approx(1)
    printed = call("predict", text_run.folder, *inputs, "--json").expect(0)
    assert [json.loads(line)["prediction"] for line in printed.out.splitlines()] == [row["prediction"] for row in told]
    assert printed.err == ""


def test_csv_on_standard_output(text_run: Call) -> None:
    done = call("predict", text_run.folder, "one", "two, three").expect(0)
    rows = list(csv.reader(done.out.splitlines()))
    assert [row[0] for row in rows] == ["input", "one", "two, three"]
    assert done.err == ""


def test_images(image_run: Call, tmp_path: Path) -> None:
    folder = images(tmp_path / "photos", 6)
    done = call("predict", image_run.folder, folder, folder / "red" / "1.png").expect(0)
    rows = list(csv.DictReader(done.out.splitlines()))
    assert [Path(row["input"]).name for row in rows] == ["0.png", "2.png", "4.png", "1.png", "3.png", "5.png", "1.png"]
    assert rows[3]["confidence"] == rows[6]["confidence"]


def test_predicting_changes_nothing(text_run: Call) -> None:
    before = tree(text_run.folder)
    call("predict", text_run.folder, "a").expect(0)
    assert tree(text_run.folder) == before


def test_a_long_text(text_run: Call) -> None:
    done = call("predict", text_run.folder, "word " * 20_000, "--json").expect(0)
    assert json.loads(done.out)["input"].startswith("word word")


def test_export_loads_in_the_library(lora_run: Call, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import headstart

    done = call("export", lora_run.folder, "-o", tmp_path / "exported").expect(0)
    assert "AutoModelForSequenceClassification" in done.out
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert model.config.id2label == {0: "no", 1: "yes"}
    texts = ["a good film", "never bad"]
    with torch.no_grad():
        chances = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.softmax(-1).numpy()
    told = headstart.predict(lora_run.folder, texts, precision="fp32")
    expected = [[row.probabilities[name] for name in ("no", "yes")] for row in told]
    assert np.allclose(chances, expected, atol=1e-5)
    card = ModelCard((tmp_path / "exported" / "README.md").read_text(encoding="utf-8"))
    assert card.data.library_name == "transformers"
    assert "## How good it is" in card.text
    (code,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    with contextlib.chdir(tmp_path / "exported"), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert {one["label"] for one in ast.literal_eval(printed.getvalue())[0]} == {"no", "yes"}
    before = tree(tmp_path / "exported")
    call("export", lora_run.folder, "-o", tmp_path / "exported").refused("is not empty")
    assert tree(tmp_path / "exported") == before


def test_export_of_images(here: Path) -> None:
    import timm

    images(here / "photos")
    call("fit", "photos", "--model", "resnet", "--trials", "1", "--epochs", "1", "--out", "run").expect(0)
    done = call("export", "run", "-o", "exported").expect(0)
    assert "timm.create_model" in done.out
    model = timm.create_model("local-dir:exported", pretrained=True)
    assert model.num_classes == 2
    card = ModelCard(Path("exported/README.md").read_text(encoding="utf-8"))
    assert card.data.library_name == "timm"
    assert "timm.create_model" in card.text
    Image.new("RGB", (40, 30)).save("exported/a.jpg")
    (code,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    with contextlib.chdir("exported"), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert "blue" in printed.getvalue()


def test_the_card_of_an_export_says_what_its_code_leaves_out(here: Path) -> None:
    """Pillow makes pictures of 12 bits black, and no library scales them."""
    rng = np.random.default_rng(0)
    for at in range(24):
        place = here / "photos" / ("dark", "light")[at % 2] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, (1_500, 4_000)[at % 2], (24, 24), dtype=np.uint16)).save(place)
    once = ("--method", "full", "--trials", "1", "--epochs", "1")
    call("fit", "photos", "--model", "resnet", *once, "--out", "run").expect(0)
    done = call("export", "run", "-o", "exported").expect(0)
    said = "Before it, scale integer grey levels v of more than 8 bits to 255 (v - 0) / (4095), as in training."
    assert said in done.out
    assert f"```\n\n{said}\n" in Path("exported/README.md").read_text(encoding="utf-8")


def test_inspect(models: Path) -> None:
    done = call("inspect", models / "bert", "--method", "lora", "--set", "rank=4").expect(0)
    assert "encoder.layer.2" in done.out
    assert done.out.count("adapter") >= 3
    assert "cut" in done.out
    assert "cut" not in call("inspect", models / "resnet").expect(0).out
    call("inspect", models / "bert", "--random").expect(0)
    call("inspect", models / "bert", "--method", "lroa").refused("Did you mean 'lora'?")
    call("inspect", models / "bert", "--method", "lora", "--set", "rnk=4").refused("Did you mean 'rank'?")
    call("inspect", models / "nothing").refused("there is no folder")


def test_methods() -> None:
    done = call("methods").expect(0)
    assert {line.split()[0] for line in done.out.splitlines() if line} >= {
        "probe", "full", "freeze", "unfreeze", "discriminative", "ulmfit", "lpft", "lora", "scratch", "majority",
    }  # fmt: skip
    assert "works on" in done.out
    assert "rank=8" in call("methods", "lora").expect(0).out
    told = call("methods", "mlm").expect(0).out
    assert "vocabulary=16384" in told
    assert "--set size=VALUE" in told
    call("methods", "frezee").refused("Did you mean 'freeze'?")
    call("methods", "declute").refused("Did you mean 'declutr'?")


def test_find_rate(here: Path) -> None:
    done = call("find-rate", "reviews.csv", "--model", "bert", "--steps", "20", "-o", "rate.svg").expect(0)
    assert "rate.svg" in done.out
    assert (here / "rate.svg").read_text().rstrip().endswith("</svg>")
    call("find-rate", "reviews.csv", "--model", "bert", "--method", "probe").refused("no learning rate")
    call("find-rate", "reviews.csv", "--model", "bert", "--steps", "20", "-o", "bert/config.json/x.svg").refused(
        "write"
    )
    assert sorted(p.name for p in here.iterdir()) == ["bert", "rate.svg", "resnet", "reviews.csv"]


def test_an_input_is_not_written_over(here: Path, text_run: Call) -> None:
    before = (here / "reviews.csv").read_bytes()
    call("predict", text_run.folder, "reviews.csv", "-o", "./reviews.csv").refused("is one of the inputs")
    assert (here / "reviews.csv").read_bytes() == before


def test_another_method_whose_model_was_kept(here: Path) -> None:
    arguments = ("--methods", "probe,lora", "--seeds", "1", "--trials", "1", "--epochs", "1", "--keep", "--out", "run")
    call("compare", "reviews.csv", "--model", "bert", *arguments).expect(0)
    text = "a film that I like"
    for method in ("probe", "lora"):
        got = call("predict", "run", "--method", method, text).expect(0).out
        assert got == call("predict", f"run/models/{method}/seed0", text).expect(0).out
    assert call("predict", "run", "--method", "probe", text).out != call("predict", "run", "--method", "lora", text).out
    call("predict", "run", "--method", "full", text).refused("'full'", "keeps", "lora", "probe", "--keep")


def test_the_temperature_that_fits_validation_is_in_the_weights(text_run: Call) -> None:
    import torch

    import headstart
    from headstart.artifacts.predictor import Predictor
    from headstart.engine.losses.temperature import temperature

    predictor = Predictor(text_run.folder)
    held = headstart.read(text_run.folder.parent / "reviews.csv").validation
    told = predictor.artifact.temperature
    assert told != 1
    trained = told * predictor.logits(held.inputs())
    task = predictor.artifact.task
    assert temperature(trained, torch.from_numpy(held.targets), task) == pytest.approx(told, rel=0.02)
    predictor.close()


def test_a_probe_that_no_library_can_hold_says_so_and_the_one_that_can_is_exported(here: Path) -> None:
    fit = ("fit", "reviews.csv", "--model", "bert", "--method", "probe", "--trials", "1", "--out")
    call(*fit, "all", "--set", "reads=all").expect(0)
    told = call("export", "all", "-o", "exported").refused(
        "reads the features of every rung", "--method probe --set reads=top"
    )
    assert "Nothing was written" in told
    assert "Export   not possible" in call(*fit, "again", "--set", "reads=all").expect(0).out
    done = call(*fit, "top", "--set", "reads=top").expect(0)
    assert "Export" not in done.out
    call("export", "top", "-o", "exported").expect(0)


def test_what_the_user_sets_is_not_tuned(here: Path) -> None:
    options = (
        "--model",
        "bert",
        "--methods",
        "centroid,centroid@top",
        "--set",
        "centroid@top.reads=top",
        "--seeds",
        "1",
    )
    rows = call("compare", "reviews.csv", *options, "--out", "run").expect(0, here / "run").record["rows"]
    assert [len(row["trials"]) for row in rows] == [2, 1]
    assert rows[1]["configuration"]["reads"] == "top"
    alone = sum(trial["seconds"] for trial in rows[0]["trials"])
    assert 0 < rows[0]["tuning_seconds"] < alone, "the features were read once for all trials"
