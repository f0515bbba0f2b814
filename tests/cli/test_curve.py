"""`headstart curve`: from a file to a table, a plot and a record; taken up where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.calling import Call, call, reviews

FEW = ("--model", "bert", "--methods", "probe,majority", "--draws", "2", "--quiet")


def curve(*more: object) -> Call:
    return call("curve", "reviews.csv", *FEW, *more)


def test_a_table_a_plot_and_a_record(here: Path) -> None:
    reviews(here / "reviews.csv", 200)
    done = curve("--sizes", "4,8,16,32", "--target", "0.9", "--out", "c").expect(0)
    assert {path.name for path in (here / "c").iterdir()} == {
        "configuration.json", "curve.json", "curve.svg", "readings",
    }  # fmt: skip
    found = json.loads((here / "c" / "curve.json").read_text())
    assert found["sizes"] == [4, 8, 16, 32]
    assert {(one["method"], one["size"]) for one in found["readings"]} == {
        (name, size) for name in ("probe", "majority") for size in (4, 8, 16, 32)
    }
    probe = [one for one in found["readings"] if one["method"] == "probe"]
    assert [one["examples"] for one in probe] == [8, 16, 32, 64]
    assert all(one["draws"] == 2 and one["low"] <= one["value"] <= one["high"] for one in probe)
    assert probe[-1]["value"] > 0.9
    head = next(line for line in done.out.splitlines() if "labels a class" in line)
    assert head.split()[-2:] == ["probe", "majority"]
    assert "90.0 takes" in done.out
    assert done.out.rstrip().endswith("Record  c/curve.json")
    assert [law["method"] for law in found["laws"]] == ["probe"], "a control has no law"
    folders = [one["folder"] for one in json.loads(call("runs", "--json").out) if str(here) in one["folder"]]
    assert folders == [str(here / "c")], "what a curve trains is no run of its own"
    assert "</svg>" in (here / "c" / "curve.svg").read_text()


def test_what_was_finished_is_taken_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.comparison import curve as module

    asked = ("--sizes", "4,8", "--target", "0.9", "--out")
    whole = curve(*asked, "whole").expect(0).out
    assert "need 3 sizes; there are 2" in whole, "for a law"
    real, calls = module._one, []

    def stops(*arguments: object) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(arguments)
        real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_one", stops)
        assert curve(*asked, "c").code == 130
    curve(*asked, "c").refused("--resume")
    monkeypatch.setattr(module, "_one", lambda *arguments: (calls.append(arguments), real(*arguments)))
    assert curve(*asked, "c", "--resume").expect(0).out == whole.replace("whole/", "c/")
    assert len(calls) == 4, "two were there, two were left"


def test_a_draw_of_the_same_examples_is_another_training(here: Path) -> None:
    """With all labels every draw holds the same examples: what differs is the seed, or nothing would."""
    from safetensors.numpy import load_file

    reviews(here / "reviews.csv", 60)
    few = ("--model", "bert", "--methods", "full,probe", "--draws", "2", "--epochs", "1", "--quiet")
    call("curve", "reviews.csv", *few, "--sizes", "1000", "--out", "x").refused("1 to ")
    most = int(call("curve", "reviews.csv", *few, "--sizes", "1000", "--out", "x").err.split("1 to ")[1].split()[0])
    call("curve", "reviews.csv", *few, "--sizes", most, "--out", "c").expect(0)
    told = [
        [load_file(here / "c" / "readings" / f"{most}-{draw}" / f"{name}.safetensors") for draw in (0, 1)]
        for name in ("full", "probe")
    ]
    for (one, other), differs in zip(told, (True, False)):
        assert one["ids"].tolist() == other["ids"].tolist()
        assert (one["scores"] != other["scores"]).any() == differs


def test_a_finished_curve_is_of_its_own_data_and_model(here: Path) -> None:
    from backbones.tiny import save

    done = curve("--sizes", "4,8", "--out", "c").expect(0)
    before, data = ((here / name).read_bytes() for name in ("c/curve.json", "reviews.csv"))
    assert curve("--sizes", "4,8", "--out", "c", "--resume").expect(0).out == done.out
    (here / "reviews.csv").write_bytes(data + b"a new one,1\n")
    curve("--sizes", "4,8", "--out", "c", "--resume").refused("the data changed", "another --out")
    (here / "reviews.csv").write_bytes(data)
    (here / "bert").unlink()
    save("bert", here / "bert", seed=1)
    curve("--sizes", "4,8", "--out", "c", "--resume").refused("the model changed", "another --out")
    assert (here / "c" / "curve.json").read_bytes() == before


def test_mistakes_are_one_message(here: Path) -> None:
    curve("--sizes", "4,ten").refused("--sizes", "10,30,100")
    curve("--sizes", "4,4000", "--out", "c").refused("4000", "labels")
    curve("--sizes", "4,8", "--target", "95", "--out", "c").refused("95 % is 0.95")
    curve("--budget", "10m", "--out", "c").refused("--budget")
    curve("--metric", "acuracy", "--out", "c").refused("accuracy")
    assert not (here / "c").exists()
