"""Bad input: one message, exit code 2, nothing lost and nothing left behind. Details of reading are tests/data's."""

from __future__ import annotations

import csv
import json
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.calling import PROBE, Call, call, images, record, reviews, sentences, tree, write_csv

BERT = ("--model", "bert")


Settled = Callable[[], None]


@pytest.fixture
def settled(here: Path) -> Iterator[Settled]:
    """Called when the test's files are in place; at its end they, and no others, have to be there unchanged."""
    seen: list[object] = []

    def now() -> list[object]:
        return [tree(here), sorted(here.rglob("*"))]

    yield lambda: seen.extend(now())
    assert seen == now()


def compare(*arguments: object) -> Call:
    return call("compare", *arguments)


def test_a_missing_file(here: Path, settled: Settled) -> None:
    settled()
    compare("review.csv", *BERT).refused("no file or folder review.csv", "Did you mean reviews.csv?")
    compare("elsewhere/reviews.csv", *BERT).refused("folder elsewhere does not exist")
    call("fit", "nothing.csv", *BERT).refused("no file or folder nothing.csv")
    call("find-rate", "nothing.csv", *BERT).refused("no file or folder nothing.csv")
    compare("reviews.csv", *BERT, "--test", "nothing.csv").refused("no file or folder nothing.csv")
    compare("x" * 300, *BERT).refused("File name too long")
    compare("reviews.csv", *BERT, "--out", "x" * 300).refused("File name too long")


def test_a_wrong_column(here: Path, settled: Settled) -> None:
    settled()
    compare("reviews.csv", *BERT, "--label", "lable").refused("no column 'lable'", "Did you mean 'label'?")
    compare("reviews.csv", *BERT, "--text", "body").refused("no column 'body'", "Columns: text, label")
    compare("reviews.csv", *BERT, "--group", "user").refused("no column 'user'")


def test_names_are_no_paths_and_files_ask_for_no_code(here: Path, settled: Settled) -> None:
    (here / "asks.json").write_text('{"trust_remote_code": true, "model": "bert"}')
    settled()
    call("compare", "reviews.csv", *BERT, "--methods", "probe@../../../esc").refused("after the @ comes a label")
    compare("reviews.csv", "--config", "asks.json").refused("give --trust-remote-code again")


def test_one_class_only(here: Path, settled: Settled) -> None:
    write_csv(here / "one.csv", [(text, "same") for text, _ in sentences(40)])
    settled()
    compare("one.csv", *BERT).refused("one", "same")


def test_labels_of_different_types(here: Path, settled: Settled) -> None:
    labels = ["good", 1, ["a", "b"], 2.5]
    rows = [json.dumps({"text": text, "label": labels[at % 4]}) for at, (text, _) in enumerate(sentences(40))]
    (here / "mixed.jsonl").write_text("\n".join(rows))
    settled()
    compare("mixed.jsonl", *BERT).refused("label")


def test_labels_that_are_no_number(here: Path, settled: Settled) -> None:
    rows = [(text, "nan") for text, _ in sentences(40)]
    write_csv(here / "nan.csv", rows, ("text", "score"))
    settled()
    compare("nan.csv", *BERT, "--label", "score", "--kind", "regression").refused(
        "40 rows without a label", "nan.csv:2"
    )


def test_some_labels_that_are_no_number_are_left_out(here: Path) -> None:
    rows = [(text, "nan" if at % 10 == 0 else at / 7) for at, (text, _) in enumerate(sentences(60))]
    write_csv(here / "nan.csv", rows, ("text", "score"))
    compare("nan.csv", *BERT, *PROBE, "--label", "score", "--kind", "regression", "--out", "run").expect(0)
    found = record(here / "run")["data"]
    assert (found["rows_read"], found["rows_used"]) == (60, 54)
    assert any("nan.csv:2" in finding["examples"] for finding in found["findings"])


def test_an_empty_file_and_an_empty_split(here: Path, settled: Settled) -> None:
    (here / "empty.csv").write_text("")
    write_csv(here / "header.csv", [])
    folder = here / "splits"
    folder.mkdir()
    reviews(folder / "train.csv")
    write_csv(folder / "validation.csv", [])
    settled()
    compare("empty.csv", *BERT).refused("empty.csv")
    compare("header.csv", *BERT).refused("header.csv")
    compare("splits", *BERT).refused("validation.csv")
    compare("reviews.csv", *BERT, "--test", "header.csv").refused("header.csv")


def test_a_cell_of_twenty_megabytes(here: Path) -> None:
    told = reviews(here / "long.csv")
    with told.open("a") as file:
        file.write("word " * 4_000_000 + ",yes\n")
    compare("long.csv", *BERT, *PROBE, "--out", "run").expect(0)
    found = record(here / "run")["data"]
    assert (found["rows_read"], found["rows_used"]) == (61, 60)
    assert (here / "run" / "report.html").stat().st_size < 2_000_000


def bomb(side: int = 60_000) -> bytes:
    """A PNG of a few bytes that says it holds side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_bomb_and_a_cut_image_among_others(here: Path) -> None:
    folder = images(here / "photos")
    (folder / "red" / "bomb.png").write_bytes(bomb())
    (folder / "blue" / "cut.jpg").write_bytes(jpeg()[:400])
    (folder / "blue" / "page.png").write_text("<html>not found</html>")
    compare("photos", "--model", "resnet", *PROBE, "--out", "run").expect(0)
    found = record(here / "run")["data"]
    assert (found["rows_read"], found["rows_used"]) == (43, 40)
    told = " ".join(place for finding in found["findings"] for place in finding["examples"])
    assert {name for name in ("bomb.png", "cut.jpg", "page.png") if name in told} == {"bomb.png", "cut.jpg", "page.png"}


def test_images_that_are_all_bad(here: Path, settled: Settled) -> None:
    for name in ("red", "blue"):
        (here / "bad" / name).mkdir(parents=True)
        for at in range(5):
            (here / "bad" / name / f"{at}.png").write_bytes(bomb() if at % 2 else b"")
    settled()
    compare("bad", "--model", "resnet").refused("no row", "usable")


def jpeg() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize(
    "content", [bomb(), bomb(12_000), jpeg()[:400], b"", b"<html>"], ids=["bomb", "fuse", "cut", "empty", "page"]
)
def test_predict_on_a_bad_image(image_run: Call, tmp_path: Path, content: bytes) -> None:
    images(tmp_path / "photos", 4)
    (tmp_path / "photos" / "bad.png").write_bytes(content)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        done = call("predict", image_run.folder, tmp_path / "photos", "-o", tmp_path / "out.csv").expect(4)
    assert not [str(warning.message) for warning in warned if "exceeds limit" in str(warning.message)]
    assert done.err.splitlines()[-1].startswith("1 row could not be used")
    with (tmp_path / "out.csv").open() as opened:
        bad, *others = csv.DictReader(opened)
    assert "bad.png" in bad["error"]
    assert " object at 0x" not in bad["error"]
    assert len(others) == 4
    assert all(row["prediction"] and not row["error"] for row in others)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "probe,lroa"), ("unknown method 'lroa'", "Did you mean 'lora'?")),
        (("--methods", ""), ("no method was named",)),
        (("--methods", "probe,probe"), ("'probe' is named twice",)),
        (("--sedes", "3"), ("--sedes", "--seeds", "headstart compare --help")),
        (("--seeds", "many"), ("--seeds", "many")),
        (("--epochs", "0"), ("--epochs", "0")),
        (("--word-dropout", "1"), ("--word-dropout",)),
        (("--augment", "lite"), ("'light'",)),
        (("--kind", "clusters"), ("single_label", "regression")),
        (("--metric", "accuracyy"), ("Did you mean 'accuracy'?",)),
        (("--metric", "rmse"), ("rmse", "accuracy")),
        (("--device", "gpu"), ("unknown device 'gpu'", "cpu")),
        (("--device", "mps"), ("mps", "--device cpu")),
        (("--set", "rank"), ("NAME=VALUE",)),
        (("--set", "rnk=4"), ("'rnk'", "Did you mean 'rank'?")),
        (("--set", "lora.rank=four"), ("rank", "'four'")),
        (("--set", "lora.rank=0"), ("rank is 0", "at least 1")),
        (("--set", "full.weight_decay=0"), ("'full.weight_decay'", "probe, lora")),
        (("--set", "lroa.rank=4"), ("Did you mean 'lora'?",)),
        (("--set", "lora.targets=nothing"), ("'nothing'", "attention")),
        (("more.csv",), ("more.csv", "headstart compare --help")),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else "",
)
def test_options(here: Path, settled: Settled, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    settled()
    compare("reviews.csv", *BERT, "--methods", "probe,lora", *arguments, "--out", "run").refused(*words)
    assert not (here / "run").exists(), "the folder would stand in the way of the corrected command"


def test_verbs() -> None:
    call("compar").refused("unknown verb 'compar'", "Did you mean 'compare'?")
    call("find_rate", "x").refused("Did you mean 'find-rate'?")
    call("fit").refused("DATA", "headstart fit --help")
    call("predict", "run").refused("INPUTS", "headstart predict --help")
    done = call()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: headstart ")


def test_models(here: Path, settled: Settled) -> None:
    (here / "hollow").mkdir()
    (here / "hollow" / "config.json").write_text('{"model_type": "bert"}')
    (here / "broken").mkdir()
    (here / "broken" / "config.json").write_text("{")
    settled()
    compare("reviews.csv", "--model", "./missing").refused("no folder ./missing")
    compare("reviews.csv", "--model", "hollow").refused("hollow")
    compare("reviews.csv", "--model", "broken").refused("broken", "config.json")
    compare("reviews.csv", "--model", "reviews.csv").refused("is a file")
    compare("reviews.csv", "--model", "resnet").refused("data are texts", "reads images")
    compare("reviews.csv", "--model", "someone/some-model").refused("hf download", "--local-dir")
    compare("reviews.csv", "--model", "timm/resnet5000").refused("resnet5000", "Did you mean 'resnet50'?")
    compare("reviews.csv", "--model", "builtin/nothing").refused("nothing")


def test_a_model_whose_weights_were_cut_short(here: Path, settled: Settled) -> None:
    folder = here / "cut"
    folder.mkdir()
    for file in (here / "bert").iterdir():
        (folder / file.name).write_bytes(file.read_bytes()[: 5000 if file.suffix == ".safetensors" else None])
    settled()
    compare("reviews.csv", "--model", "cut").refused("cut")


def test_a_data_set_on_the_hub_without_a_network(here: Path, settled: Settled) -> None:
    settled()
    compare("someone/some-data", *BERT).refused("someone/some-data")


def test_configurations(here: Path, settled: Settled) -> None:
    (here / "list.json").write_text("[]")
    (here / "other.json").write_text('{"methds": ["probe"], "data": "reviews.csv"}')
    settled()
    compare("--config", "nothing.json").refused("nothing.json")
    compare("--config", "reviews.csv").refused("reviews.csv", "no JSON")
    compare("--config", "list.json").refused("no configuration")
    compare("--config", "other.json").refused("'methds'", "Did you mean 'methods'?")


def test_an_error_leaves_standard_output_to_json(here: Path, settled: Settled) -> None:
    settled()
    compare("nothing.csv", *BERT, "--json").refused("nothing.csv")


class TestPredict:
    def test_runs_that_are_none(self, tmp_path: Path) -> None:
        call("predict", tmp_path / "nothing", "a").refused("there is no folder")
        call("predict", tmp_path, "a").refused("no trained model")

    @pytest.fixture
    def run(self, text_run: Call, tmp_path: Path) -> Path:
        """A copy that may be spoiled."""
        import shutil

        return Path(shutil.copytree(text_run.folder, tmp_path / "run"))

    def test_a_weights_file_cut_short(self, run: Path) -> None:
        weights = run / "model" / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-20])
        call("predict", run, "a").refused("weights.safetensors", "cut short or changed")
        weights.unlink()
        call("predict", run, "a").refused("weights.safetensors")

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": "headstart.artifact/99"}', "\x00"])
    def test_a_record_that_is_broken(self, run: Path, content: str) -> None:
        (run / "model" / "artifact.json").write_text(content)
        call("predict", run, "a").refused("rtifact")

    def test_a_base_that_has_gone_or_changed(self, run: Path) -> None:
        place = run / "model" / "artifact.json"
        told = json.loads(place.read_text())
        place.write_text(json.dumps({**told, "base": {**told["base"], "reload": str(run / "gone"), "source": "gone"}}))
        call("predict", run, "a").refused("gone")
        found = call("predict", run, "a", "--model", told["base"]["reload"])  # it says where the base lies now
        assert (found.code, found.out.splitlines()[0]) == (0, "input,prediction,confidence,error")
        place.write_text(json.dumps({**told, "base": {**told["base"], "fingerprint": "0" * 32}}))
        call("predict", run, "a").refused("is not the one this artifact was trained on")

    def test_inputs(self, text_run: Call, image_run: Call, here: Path) -> None:
        write_csv(here / "other.csv", [(1, 2)], ("a", "b"))
        (here / "letter.txt").write_text("a good film")
        call("predict", text_run.folder, "nothing.csv").refused("no file nothing.csv")
        call("predict", text_run.folder, "letter.txt").refused("letter.txt is a file")
        call("predict", text_run.folder, "bert").refused("bert is a folder")
        call("predict", text_run.folder, "nothing.png").refused("no file nothing.png")
        call("predict", text_run.folder, "fine", "").refused("an empty text")
        call("predict", text_run.folder, "reviews.csv", "--text", "body").refused("'body'")
        call("predict", text_run.folder, "caf\udce9").refused("not UTF-8")
        call("predict", image_run.folder, "nothing.png").refused("no file or folder nothing.png")
        call("predict", image_run.folder, "bert").refused("bert", "no images")
        call("predict", image_run.folder, "reviews.csv").refused("reviews.csv")

    def test_outputs(self, text_run: Call, here: Path) -> None:
        (here / "kept.csv").write_text("mine")
        call("predict", text_run.folder, "a", "-o", "out.txt").refused("ends in .csv")
        call("predict", text_run.folder, "nothing.csv", "-o", "kept.csv", "--overwrite").refused("nothing.csv")
        call("predict", text_run.folder, "a", "-o", "reviews.csv/out.csv").refused("can't write")
        call("predict", text_run.folder, "a", "-o", "bert/../nowhere.csv/").expect(0)
        assert (here / "kept.csv").read_text() == "mine"

    def test_export(self, lora_run: Call, here: Path) -> None:
        call("export", here, "-o", "exported").refused("no trained model")
        call("export", lora_run.folder, "-o", "reviews.csv").refused("exists")
        call("export", lora_run.folder, "-o", "reviews.csv/x").refused("write")
        call("export", lora_run.folder).refused("--out", "headstart export --help")
        assert sorted(p.name for p in here.iterdir()) == ["bert", "resnet", "reviews.csv"]
