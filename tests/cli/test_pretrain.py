"""`pretrain`: tiny backbones from images and texts, and what it must never write over."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from backbones.tiny import WORDS
from cli.calling import PROBE, call, images, record, tree
from headstart.backbones.loaders.load import load
from headstart.backbones.networks.language import SIZES
from headstart.engine.state.checkpoint import Checkpoint

FURTHER = ("--set", "epochs=2", "--set", "batch_tokens=1024")
"for a network that is there"
LANGUAGE = ("--set", "size=tiny", "--set", "vocabulary=400", *FURTHER)
TINY = ("--set", "architecture=resnet10t", "--set", "channels=8,8,8,8", "--set", "image_size=24", "--set", "epochs=1")
WIDTH = 64


@pytest.fixture(autouse=True)
def _even_tinier(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the time: what is tried here is the same at every size."""
    monkeypatch.setitem(SIZES, "tiny", (1, WIDTH))


def test_a_backbone_that_compare_takes(here: Path) -> None:
    images(here / "photos", 60)
    done = call("pretrain", "classify", "photos", "--out", "backbone", *TINY, "--quiet").expect(0)
    assert "--model backbone" in done.out
    assert {p.name for p in (here / "backbone").iterdir()} == {"config.json", "model.safetensors", "pretrained.json"}
    call("compare", "photos", "--model", "backbone", *PROBE, "--out", "run").expect(0)
    assert record(here / "run")["model"]["source"] == "backbone"
    before = tree(here / "backbone")
    again = call("pretrain", "classify", "photos", "--out", "backbone", *TINY)
    again.refused("already holds a pretrained backbone")
    assert tree(here / "backbone") == before


def test_what_goes_on_from_a_backbone_is_of_its_architecture(here: Path) -> None:
    images(here / "photos", 60)
    few = ("--set", "epochs=1", "--quiet")
    call("pretrain", "classify", "photos", "--from", "resnet", "--out", "further", *few).expect(0)
    told, was = (json.loads((here / name / "config.json").read_text()) for name in ("further", "resnet"))
    assert told == was
    written = json.loads((here / "further" / "pretrained.json").read_text())["configuration"]
    assert written["architecture"] == was["architecture"]
    call("compare", "photos", "--model", "further", *PROBE, "--out", "run").expect(0)
    call("pretrain", "classify", "photos", "--from", "bert", "--out", "other", *few).refused("no timm architecture")


def test_what_timm_and_the_package_hold_can_be_gone_on_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's own weights are out of reach here: the network is the same without them."""
    from headstart.pretraining.artifacts import labelled as pretrained_labelled

    images(here / "photos", 40)
    few = ("--set", "epochs=1", "--set", "image_size=64", "--quiet")
    plain = pretrained_labelled.load

    def bare(source: Any, **options: Any) -> Any:
        return plain(source, **options, weights=not str(source).startswith("timm/"))

    monkeypatch.setattr(pretrained_labelled, "load", bare)
    slowly = ("--set", "epochs=1", "--set", "learning_rate=1e-6", "--set", "augment=none", "--quiet")
    call("pretrain", "classify", "photos", "--from", "builtin/glance", "--out", "near", *slowly).expect(0)
    was, now = load("builtin/glance").module, load(here / "near").module
    for name, value in was.named_parameters():
        assert torch.allclose(now.get_parameter(name), value, atol=1e-3), "it begins with the weights of the base"
    source = "timm/test_resnet.r160_in1k"
    call("pretrain", "classify", "photos", "--from", source, "--out", "timm", *few).expect(0)
    assert json.loads((here / "timm" / "config.json").read_text())["architecture"] == "test_resnet"
    for out, base in (("near", "builtin/glance"), ("timm", source)):
        assert json.loads((here / out / "pretrained.json").read_text())["base"] == base
    call("compare", "photos", "--model", "timm", *PROBE, "--out", "run").expect(0)
    for source, words in (("builtin/gist", "no timm architecture"), ("nowhere", "timm/… or builtin/…")):
        call("pretrain", "classify", "photos", "--from", source, "--out", "no", *few).refused(words)


def test_the_built_in_text_encoder_can_be_gone_on_from(here: Path) -> None:
    corpus(here / "texts.txt", 100)
    slowly = (*FURTHER, "--set", "epochs=1", "--set", "learning_rate=1e-6", "--quiet")
    call("pretrain", "mlm", "texts.txt", "--from", "builtin/gist", "--out", "further", *slowly).expect(0)
    assert json.loads((here / "further" / "pretrained.json").read_text())["base"] == "builtin/gist"
    was, now = load("builtin/gist"), load(here / "further")
    assert now.module.config.to_dict()["hidden_size"] == was.module.config.to_dict()["hidden_size"]
    assert (now.pooling, len(now.preparation.tokenizer)) == (was.pooling, len(was.preparation.tokenizer))
    texts = ["a good film", "what a waste of an evening"]
    one, other = (b.features(b.preparation.collate(b.preparation.encode(texts))).detach() for b in (was, now))
    assert torch.nn.functional.cosine_similarity(one, other).min() > 0.95, "it begins with the weights of the base"
    call("pretrain", "mlm", "texts.txt", "--from", "builtin/glance", "--out", "no").refused(
        "builtin/gist is a text encoder"
    )
    long = ("pretrain", "mlm", "texts.txt", "--from", "builtin/gist", "--set", "length=9999", "--out", "no")
    assert "/tmp" not in call(*long, "--set", "batch_tokens=9999").refused("builtin/gist")


def test_folders_that_are_no_language_model_are_told_as_what_they_are(here: Path) -> None:
    corpus(here / "texts.txt")
    call("pretrain", "skipgram", "texts.txt", "--out", "vectors", "--quiet").expect(0)
    (here / "empty").mkdir()
    asked = ("pretrain", "mlm", "texts.txt", "--out", "no", "--from")
    call(*asked, "vectors").refused("not in transformers' format (word_vectors)")
    call(*asked, "empty").refused("empty has no config.json (it holds nothing)")


def test_a_folder_of_ones_own_may_be_named_like_a_built_in_one(here: Path) -> None:
    corpus(here / "texts.txt")
    call("pretrain", "mlm", "texts.txt", *LANGUAGE, "--quiet", "--out", "builtin/gist").expect(0)
    call("pretrain", "mlm", "texts.txt", *FURTHER, "--from", "builtin/gist", "--quiet", "--out", "more").expect(0)
    own, other = (load(here / name).module.config.hidden_size for name in ("builtin/gist", "more"))
    assert own == other == WIDTH


VIT = ("--set", "architecture=test_vit", "--set", "patch_size=8", "--set", "depth=1", "--set", "epochs=1", "--quiet")


def test_a_vision_transformer_and_its_positions_at_another_resolution(here: Path) -> None:
    import timm
    from timm.layers import resample_abs_pos_embed

    images(here / "photos", 60)
    images(here / "others", 40)
    asked = ("--set", "image_size=24", "--set", "ema=0.9", "--set", "augment=mixup")
    call("pretrain", "classify", "photos", "others", "--out", "vit", *VIT, *asked).expect(0)
    told = json.loads((here / "vit" / "pretrained.json").read_text())
    assert [source["source"] for source in told["sources"]] == ["photos", "others"]
    assert all(0 <= source["accuracy"] <= 1 for source in told["sources"])
    assert told["averaged"] is True
    settings = told["configuration"]
    assert (settings["channels"], settings["patch_size"], settings["learning_rate"]) == ([], 8, 1e-3)
    config = json.loads((here / "vit" / "config.json").read_text())
    assert config["pretrained_cfg"]["first_conv"] == "patch_embed.proj", "timm's own, not a ResNet's"
    assert config["pretrained_cfg"]["classifier"] == "head"
    network = timm.create_model("local-dir:vit", pretrained=True)
    assert (network.patch_embed.img_size, network.pos_embed.shape[1]) == ((24, 24), 9 + network.num_prefix_tokens)

    none = ("--set", "epochs=1", "--set", "learning_rate=1e-30", "--set", "augment=none", "--quiet")
    call("pretrain", "classify", "photos", "--from", "vit", "--out", "larger", "--set", "image_size=32", *none).expect(
        0
    )
    larger = timm.create_model("local-dir:larger", pretrained=True)
    expected = resample_abs_pos_embed(network.pos_embed, [4, 4], num_prefix_tokens=network.num_prefix_tokens)
    assert torch.allclose(larger.pos_embed, expected, atol=1e-6)
    call("pretrain", "classify", "photos", "--from", "vit", "--out", "same", *none).expect(0)
    assert json.loads((here / "same" / "config.json").read_text()) == config

    full = ("--methods", "full", "--seeds", "1", "--trials", "1", "--epochs", "1")
    call("compare", "photos", "--model", "vit", *full, "--image-size", "40", "--out", "run").expect(0)
    photo = next((here / "photos").rglob("*.png"))
    assert call("predict", "run", photo).expect(0).out


def test_half_the_bytes_are_what_was_judged(here: Path) -> None:
    from safetensors.torch import load_file

    images(here / "photos", 60)
    call("pretrain", "classify", "photos", "--out", "vit", *VIT, "--set", "image_size=24", "--half").expect(0)
    kinds = {value.dtype for value in load_file(here / "vit" / "model.safetensors").values()}
    assert kinds == {torch.bfloat16}


def test_a_folder_that_reads_otherwise_is_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.engine.state.tensors import write_tensors
    from headstart.pretraining.artifacts import labelled as pretrained_labelled

    def broken(path: Path, state: dict[str, torch.Tensor], told: dict[str, str]) -> None:
        write_tensors(path, {**state, "norm.weight": state["norm.weight"] * 2}, told)

    images(here / "photos", 60)
    monkeypatch.setattr(pretrained_labelled, "write_tensors", broken)
    call("pretrain", "classify", "photos", "--out", "vit", *VIT, "--set", "image_size=24").refused("read again")
    assert not (here / "vit" / "pretrained.json").exists()


def test_what_is_there_is_not_written_over(here: Path) -> None:
    images(here / "photos")
    before = tree(here)
    call("pretrain", "classify", "photos", "--out", "photos", *TINY).refused("photos exists and holds other things")
    call("pretrain", "classify", "photos", "--out", ".", *TINY).refused("holds other things")
    call("pretrain", "classify", "photos", "--out", "bert", *TINY).refused("holds other things")
    call("pretrain", "classify", "photos", "--out", "reviews.csv", *TINY).refused("is a file")
    call("pretrain", "classify", "photos", "--out", "reviews.csv/x", *TINY).refused(
        "reviews.csv is a file", "another --out"
    )
    assert tree(here) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing/at/all",), ("nothing/at/all",)),
        (("reviews.csv",), ("reviews can't be used", "images")),
        (("photos", "--set", "epohs=3"), ("Did you mean 'epochs'?",)),
        (("photos", "--set", "epochs=0"), ("epochs is 0",)),
        (("photos", "--set", "image_size=0"), ("image_size is 0",)),
        (("photos", *VIT, "--set", "image_size=50"), ("image_size is 50", "48 or 56")),
        (("photos", "--set", "patch_size=8"), ("patch_size",)),
        (("photos", "--set", "learning_rate=0"), ("learning_rate is 0",)),
        (("photos", "--from", "./missing"), ("no folder ./missing",)),
        (("photos", "--from", "resnet", "--set", "channels=8,8,8,8"), ("channels: of a new network",)),
        (("photos", "--from", "resnet", "--set", "channels=24,48,96,192"), ("channels: of a new network",)),
        (("photos", "--set", "channels=8,8"), ("channels are 8, 8", "resnet18 has not 2 stages", "a number for each")),
        (("photos", "--set", "channels=8,8,8,8,8"), ("resnet18 has not 5 stages",)),
        (("photos", "--set", "architecture=dla34"), ("dla34 has not 4 stages", "channels=")),
        (("photos", "--set", "patch_size=8"), ("resnet18 has no patch_size", "leave it out")),
        (("photos", "--set", "epochs"), ("NAME=VALUE, such as epochs=12",)),
        (("photos", "--workers", "-1"), ("--workers",)),
        (("photos", "--text", "caption"), ("classify reads no column that --text could name",)),
    ],
)
def test_bad_input(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    images(here / "photos")
    call("pretrain", "classify", *arguments, "--out", "backbone").refused(*words)
    assert not any((here / "backbone").rglob("*"))


def test_an_architecture_that_is_unknown(here: Path) -> None:
    images(here / "photos")
    call("pretrain", "classify", "photos", "--out", "backbone", "--set", "architecture=resnt18").refused("resnt18")
    call("pretrain", "classify", "photos", "--out", "backbone", *TINY, "--quiet").expect(0)


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def corpus(path: Path, count: int = 600) -> Path:
    """Sentences of a few patterns, so that there is something to learn."""
    rng = random.Random(0)
    lines = [
        f"the {rng.choice(WORDS[10:20])} is {rng.choice(WORDS[20:30])} and {rng.choice(WORDS[30:40])} ."
        for _ in range(count)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("objective", ["mlm", "clm", "declutr"])
def test_a_language_model_that_its_library_and_compare_take(here: Path, objective: str) -> None:
    corpus(here / "texts.txt")
    done = call("pretrain", objective, "texts.txt", "--out", "lm", *LANGUAGE, "--set", "epochs=3", "--quiet").expect(0)
    assert "--model lm" in done.out
    told = json.loads((here / "lm" / "pretrained.json").read_text())
    assert told["held_out_loss"]["after"] < told["held_out_loss"]["before"] - 0.5
    assert not list((here / "lm").glob("unfinished"))
    assert {oct(file.stat().st_mode & 0o777) for file in (here / "lm").iterdir()} == {oct(0o666 & ~umask())}
    import transformers

    kind = "AutoModelForCausalLM" if objective == "clm" else "AutoModelForMaskedLM"
    _, info = getattr(transformers, kind).from_pretrained("lm", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    call("compare", "reviews.csv", "--model", "lm", *PROBE, "--out", "run").expect(0)
    assert record(here / "run")["model"]["source"] == "lm"


def test_what_was_written_is_what_was_trained(here: Path) -> None:
    """The folder's own network, read by transformers, fills in the words of the patterns."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    corpus(here / "texts.txt")
    more = ("--set", "epochs=8", "--set", "learning_rate=1e-2", "--quiet")
    call("pretrain", "mlm", "texts.txt", "--out", "lm", *LANGUAGE, *more).expect(0)
    tokenizer, network = AutoTokenizer.from_pretrained("lm"), AutoModelForMaskedLM.from_pretrained("lm").eval()
    inputs = tokenizer(
        "the [MASK] is [MASK] [MASK] [MASK] .".replace("[MASK] [MASK] .", "and [MASK] ."), return_tensors="pt"
    )
    with torch.no_grad():
        best = network(**inputs).logits[0].argmax(-1)
    words = tokenizer.convert_ids_to_tokens(best[inputs["input_ids"][0] == tokenizer.mask_token_id])
    assert words[0] in WORDS[10:20]
    assert words[1] in WORDS[20:30]
    assert words[2] in WORDS[30:40]


@pytest.mark.parametrize(("objective", "part"), [("mlm", "cls.predictions.bias"), ("awd", "body.embedding.weight")])
def test_a_language_model_that_reads_otherwise_is_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, objective: str, part: str
) -> None:
    """As where a head comes back random, without a word of the library's."""
    from safetensors.torch import load_file, save_file

    from headstart.backbones.loaders import recurrent
    from headstart.backbones.networks import language

    def broken(save: Any) -> Any:
        def saved(self: Any, folder: Path, tokenizer: Any, half: bool) -> None:
            save(self, folder, tokenizer, half)
            weights = load_file(folder / "model.safetensors")
            kept = {name: -value if name.startswith(part) else value for name, value in weights.items()}
            assert any(name.startswith(part) for name in kept), sorted(kept)
            save_file(kept, folder / "model.safetensors", {"format": "pt"})

        return saved

    corpus(here / "texts.txt")
    for kind in (language.LanguageNetwork, recurrent.RecurrentNetwork):
        monkeypatch.setattr(kind, "save", broken(kind.save))
    call("pretrain", objective, "texts.txt", "--out", "lm", *LANGUAGE, "--quiet").refused("after loading")
    assert not (here / "lm" / "pretrained.json").exists()


@pytest.mark.parametrize("objective", ["mlm", "elmo"])
def test_a_language_model_of_half_the_bytes(here: Path, objective: str) -> None:
    from safetensors.torch import load_file

    corpus(here / "texts.txt")
    call("pretrain", objective, "texts.txt", "--out", "lm", *LANGUAGE, "--half", "--quiet").expect(0)
    assert {value.dtype for value in load_file(here / "lm" / "model.safetensors").values()} == {torch.bfloat16}


def test_pretraining_goes_on_from_a_folder(here: Path) -> None:
    corpus(here / "texts.txt")
    call("pretrain", "mlm", "texts.txt", "--out", "first", *LANGUAGE, "--set", "epochs=3", "--quiet").expect(0)
    call("pretrain", "mlm", "texts.txt", "--out", "second", *FURTHER, "--from", "first", "--quiet").expect(0)
    first, second = (
        json.loads((here / n / "pretrained.json").read_text())["held_out_loss"] for n in ("first", "second")
    )
    assert second["before"] == pytest.approx(first["after"], abs=0.02)
    tokenizers = [(here / n / "tokenizer.json").read_bytes() for n in ("first", "second")]
    assert tokenizers[0] == tokenizers[1]
    # a bare encoder too, whose head over the vocabulary is new
    call("pretrain", "mlm", "texts.txt", "--out", "third", *FURTHER, "--set", "length=64", "--from", "bert").expect(0)
    call("compare", "reviews.csv", "--model", "third", *PROBE, "--out", "run").expect(0)


def test_another_model_under_the_same_name_is_not_gone_on_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    from backbones.tiny import save
    from headstart.pretraining.jobs.language import LanguageModelling

    corpus(here / "texts.txt")
    save("bert", here / "base")
    ask = ("pretrain", "mlm", "texts.txt", *FURTHER, "--set", "length=64", "--from", "base", "--quiet", "--out")
    steps = iter(range(10**6))
    loss = LanguageModelling.losses

    def stopping(self: LanguageModelling, *arguments: Any) -> torch.Tensor:
        if next(steps) == 4:
            raise KeyboardInterrupt
        return loss(self, *arguments)

    monkeypatch.setattr(Checkpoint, "due", property(lambda self: True))
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelling, "losses", stopping)
        assert call(*ask, "stopped").code == 130
    assert list((here / "stopped" / "unfinished").glob("checkpoint-*.safetensors"))
    shutil.rmtree(here / "base")
    save("bert", here / "base", seed=1)
    call(*ask, "stopped").expect(0)
    call(*ask, "fresh").expect(0)
    stopped, fresh = (load_file(here / name / "model.safetensors") for name in ("stopped", "fresh"))
    assert all(torch.equal(stopped[name], fresh[name]) for name in fresh)


def test_a_tokenizer_of_the_beginning_alone_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.pretraining.artifacts import language as pretrained_language

    size = corpus(here / "texts.txt").stat().st_size
    told = {}
    for characters in (size, size // 2):
        monkeypatch.setattr(pretrained_language, "SAMPLE", characters)
        done = call("pretrain", "mlm", "texts.txt", *LANGUAGE, "--out", f"lm{characters}").expect(0)
        told[characters] = f"first {characters:,} characters alone" in done.err
    assert told == {size: False, size // 2: True}


def test_what_it_was_worth_is_told(here: Path) -> None:
    corpus(here / "texts.txt")
    asked = ("pretrain", "mlm", "texts.txt", *FURTHER, "--quiet", "--worth", "reviews.csv", "--out")
    done = call(*asked, "lm", *LANGUAGE).expect(0)
    assert "from scratch" in done.out
    told = json.loads((here / "lm" / "pretrained.json").read_text())["worth"]
    assert told["validation"] == 9
    (scratch,) = told["against"]
    assert scratch["name"] == "from scratch"
    assert scratch["difference"] == pytest.approx(told["value"] - scratch["value"])
    call(*asked, "more", "--from", "lm").expect(0)
    base = json.loads((here / "more" / "pretrained.json").read_text())["worth"]["against"][1]
    assert base["name"] == "base"
    assert base["value"] == pytest.approx(told["value"]), "the same folder, the same probe"
    call(*asked[:-2], "missing.csv", "--out", "other").refused("missing.csv")
    images(here / "photos", 20)
    call("pretrain", "mlm", "texts.txt", *LANGUAGE, "--quiet", "--worth", "photos", "--out", "other").refused(
        "holds images", "reads texts"
    )
    assert not (here / "other").exists(), "a mistake is told before the training"


def test_what_is_a_new_networks_own_is_refused_for_one_to_go_on_from(here: Path) -> None:
    corpus(here / "texts.txt")
    call("pretrain", "mlm", "texts.txt", "--out", "first", *LANGUAGE, "--quiet").expect(0)
    asked = ("pretrain", "mlm", "texts.txt", "--out", "second", *FURTHER, "--from", "first", "--quiet")
    call(*asked, "--set", "size=small", "--set", "lowercase=false").refused("size, lowercase: of a new network")
    call(*asked, "--set", "size=mini").refused("size: of a new network")  # the default; the first is tiny
    call(*asked).expect(0)
    told = json.loads((here / "second" / "pretrained.json").read_text())["configuration"]
    assert told["length"] == 128
    assert not {"size", "vocabulary", "tokenizer", "lowercase"} & told.keys(), "they are the base's"
    call("pretrain", "elmo", "texts.txt", "--out", "lm", *LANGUAGE, "--set", "dropout=0.5").refused("has none")


def test_perplexity_is_asked_in_windows_that_the_model_reads(here: Path) -> None:
    corpus(here / "texts.txt")
    (here / "suite.toml").write_text('[[check]]\nkind = "perplexity"\ndata = "texts.txt"\ngate = "none"\n')
    told = {}
    for objective in ("mlm", "awd"):
        call("pretrain", objective, "texts.txt", "--out", objective, *LANGUAGE, "--quiet").expect(0)
        fast = ("--method", "full", "--trials", "1", "--epochs", "1", "--quiet")
        call("fit", "reviews.csv", "--model", objective, *fast, "--out", f"run-{objective}").expect(0)
        told[objective] = call("evaluate", f"run-{objective}", "--suite", "suite.toml", "--methods", "full", "--quiet")
    told["mlm"].expect(0)
    told["awd"].refused("no head over a vocabulary")


def test_what_taught_nothing_is_told(here: Path) -> None:
    corpus(here / "texts.txt")
    asked = ("pretrain", "mlm", "texts.txt", *LANGUAGE, "--quiet")
    assert "worse than before" in call(*asked, "--set", "learning_rate=30", "--out", "lm").expect(0).out
    assert "worse than before" not in call(*asked, "--out", "good").expect(0).out
    images(here / "photos", 60)
    asked = ("pretrain", "classify", "photos", *TINY, "--quiet")
    for rate, epochs, warned in (("1e-30", 2, True), ("3e-2", 6, False)):
        done = call(*asked, "--set", f"epochs={epochs}", "--set", f"learning_rate={rate}", "--out", rate).expect(0)
        (source,) = json.loads((here / rate / "pretrained.json").read_text())["sources"]
        assert source["largest_class"] == 0.5
        assert (source["accuracy"] <= 0.5) is ("no more than naming its largest class" in done.out) is warned
    call("pretrain", "skipgram", "texts.txt", "--set", "learning_rate=1.5", "--out", "vectors").refused("at most 1")


def test_what_diverges_is_no_success(here: Path) -> None:
    corpus(here / "texts.txt")
    done = call("pretrain", "mlm", "texts.txt", "--out", "lm", *LANGUAGE, "--set", "learning_rate=1e30", "--quiet")
    assert done.code == 1
    assert "diverged" in done.out
    assert "use it with" not in done.out
    assert "last good weights" in done.err
    images(here / "photos", 60)
    done = call("pretrain", "classify", "photos", "--out", "seen", *TINY, "--set", "learning_rate=1e30", "--quiet")
    assert done.code == 1
    assert "diverged: " in done.out


@pytest.mark.parametrize("objective", ["mlm", "skipgram"])
def test_what_reading_found_is_in_the_report(here: Path, objective: str) -> None:
    pytest.importorskip("gensim" if objective == "skipgram" else "torch")
    corpus(here / "texts.txt")
    with (here / "texts.txt").open("ab") as file:
        file.write("naïve\n".encode("latin-1"))
    how = LANGUAGE if objective == "mlm" else ("--set", "epochs=1", "--set", "threads=1")
    call("pretrain", objective, "texts.txt", "--out", "lm", *how).expect(0)
    (found,) = json.loads((here / "lm" / "pretrained.json").read_text())["corpus"]["findings"]
    assert (found["kind"], found["count"]) == ("encoding", 1)


def test_what_is_refused_leaves_nothing_behind(here: Path) -> None:
    (here / "empty.txt").write_text("")
    for source in ("missing.txt", "empty.txt"):
        call("pretrain", "mlm", source, "--out", "lm", *LANGUAGE, "--quiet").refused(source.partition(".")[0])
        assert not (here / "lm").exists()


def test_what_is_refused_late_leaves_what_was_learnt(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of training have a checkpoint: that stays, and is gone on from."""
    from headstart.core.errors import ModelError
    from headstart.pretraining.artifacts import language as language

    corpus(here / "texts.txt")
    ask = ("pretrain", "mlm", "texts.txt", "--out", "lm", *LANGUAGE)
    monkeypatch.setattr(Checkpoint, "due", property(lambda self: True))
    fit = language.fit

    def refused(*arguments: Any, **more: Any) -> None:
        fit(*arguments, **more)
        raise ModelError("it can't be read again.")

    with monkeypatch.context() as patch:
        patch.setattr(language, "fit", refused)
        call(*ask, "--quiet").refused("read again")
    assert list((here / "lm" / "unfinished").glob("checkpoint-*.safetensors"))
    written: list[Any] = []
    monkeypatch.setattr(Checkpoint, "write", lambda *arguments: written.append(arguments))
    call(*ask, "--quiet").expect(0)
    assert not written, "no step is trained again"


def test_a_causal_model_of_an_encoder_is_refused(here: Path) -> None:
    """Its loss would fall to nothing, since it sees what it is to predict."""
    corpus(here / "texts.txt")
    (here / "encoder.json").write_text(json.dumps({"model_type": "bert"}))
    ask = ("pretrain", "clm", "texts.txt", "--out", "lm", "--quiet")
    call(*ask, *FURTHER, "--from", "bert").refused("bert", "use mlm")
    call(*ask, *LANGUAGE[2:], "--set", "size=encoder.json").refused("encoder.json (bert)", "use mlm")
    decoder = {"model_type": "bert", "is_decoder": True, "hidden_size": 32, "num_hidden_layers": 1,
               "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip
    (here / "decoder.json").write_text(json.dumps(decoder))
    call(*ask, *LANGUAGE[2:], "--set", "size=decoder.json").expect(0)


def test_what_a_base_can_not_read_is_told_before_the_training(here: Path) -> None:
    from backbones.tiny import save

    corpus(here / "texts.txt")
    save("roberta", here / "roberta")
    ask = ("pretrain", "mlm", "texts.txt", "--out", "lm", "--quiet", *FURTHER, "--from")
    config = json.loads((here / "roberta" / "config.json").read_text())
    readable = config["max_position_embeddings"] - config["pad_token_id"] - 1  # counted from behind the padding's row
    call(*ask, "roberta", "--set", f"length={readable + 1}").refused("roberta", f"at most {readable} tokens")
    call(*ask, "roberta", "--set", f"length={readable}").expect(0)
    call(*ask, "roberta", "--set", "length=32", "--set", "next_sentence=true", "--out", "pairs").refused(
        "next_sentence", "roberta", "leave next_sentence out"
    )
    (here / "wide.json").write_text(json.dumps({"model_type": "bert", "hidden_size": "wide"}))
    call(*ask[:-1], "--set", "size=wide.json", "--out", "wide").refused("wide.json", "no transformers configuration")
    shutil.copytree("bert", "more", symlinks=False)
    tokenizer = json.loads((here / "more" / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words |= {f"extra{i}": len(words) + i for i in range(200)}
    (here / "more" / "tokenizer.json").write_text(json.dumps(tokenizer))
    call(*ask, "more", "--set", "length=64", "--out", "other").refused("do not belong together")


def test_how_a_base_is_pooled_is_kept(here: Path) -> None:
    from headstart.backbones.loaders.load import load

    corpus(here / "texts.txt")
    shutil.copytree("bert", "pooled")
    (here / "pooled" / "1_Pooling").mkdir()
    (here / "pooled" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    asked = ("pretrain", "mlm", "texts.txt", *FURTHER, "--set", "length=64", "--quiet", "--from")
    call(*asked, "pooled", "--out", "second").expect(0)
    assert load("pooled").pooling == load("second").pooling == "cls"


def test_a_corpus_that_can_not_judge_what_it_teaches(here: Path) -> None:
    asked = ("--out", "lm", *LANGUAGE, "--quiet")
    (here / "line.txt").write_text(" ".join(["a good film and a bad one"] * 2000))
    call("pretrain", "mlm", "line.txt", *asked).refused("only 1 paragraphs", "a line")
    (here / "same.txt").write_text("a good film and a bad one\n" * 300)
    call("pretrain", "mlm", "same.txt", *asked).refused("300 paragraphs", "all are the same text")
    long, short = (" ".join(["a good film"] * count) for count in (2000, 20))
    for at in range(20):  # whichever is held out to judge by
        (here / "two.txt").write_text(f"{long} {at}\n{short} {at}\n")
        done = call("pretrain", "mlm", "two.txt", *asked)
        if done.code:
            done.refused("those to judge by are 99% of the text", "one paragraph per line")
            return
        shutil.rmtree(here / "lm")
    raise AssertionError("the long one was never held out")


def test_a_decoder_has_no_head_for_masked_words(here: Path) -> None:
    from backbones.tiny import save

    save("gpt2", here / "gpt")
    corpus(here / "texts.txt")
    asked = ("pretrain", "mlm", "texts.txt", "--out", "lm", "--from", "gpt")
    call(*asked).refused("no head for masked words", "use clm")
    (here / "gpt2.json").write_text((here / "gpt" / "config.json").read_text())
    call(*asked[:5], "--set", "size=gpt2.json").refused("no head for masked words", "use clm")


@pytest.mark.parametrize("objective", ["awd", "elmo"])
def test_a_recurrent_language_model_that_compare_takes(here: Path, objective: str) -> None:
    corpus(here / "texts.txt")
    call("pretrain", objective, "texts.txt", "--out", "lm", *LANGUAGE, "--set", "epochs=5", "--quiet").expect(0)
    told = json.loads((here / "lm" / "pretrained.json").read_text())
    assert told["held_out_loss"]["after"] < told["held_out_loss"]["before"] - 0.2
    many = ("--out", "other", *LANGUAGE, "--set", "samples=1000", "--quiet")
    call("pretrain", objective, "texts.txt", *many).refused("samples: 1,000 of a vocabulary of", "leave samples out")
    methods = ("--methods", "probe,mix,ulmfit", "--seeds", "1", "--trials", "1", "--epochs", "1")
    call("compare", "reviews.csv", "--model", "lm", *methods, "--keep", "--out", "run").expect(0)
    found = record(here / "run")
    assert {row["status"] for row in found["rows"]} == {"ok"}
    call("predict", "run", "a film with wordsneverseen").expect(0)
    call("pretrain", objective, "texts.txt", "--out", "second", *FURTHER, "--from", "lm", "--quiet").expect(0)
    again = json.loads((here / "second" / "pretrained.json").read_text())
    assert again["held_out_loss"]["before"] == pytest.approx(told["held_out_loss"]["after"], abs=0.02)
    call("pretrain", objective, "texts.txt", "--out", "third", *FURTHER, "--from", "bert").refused("no folder of such")


def test_averaged_sgd_for_ulmfits_model(here: Path) -> None:
    corpus(here / "texts.txt")
    asked = ("pretrain", "awd", "texts.txt", "--out", "lm", *LANGUAGE, "--set", "optimizer=nt_asgd", "--quiet")
    call(*asked).refused("needs such as 10")
    call(*asked, "--set", "learning_rate=10", "--set", "patience=0").refused("at least 1 epoch")
    call(*asked, "--set", "learning_rate=10", "--set", "epochs=8", "--set", "patience=1").expect(0)
    told = json.loads((here / "lm" / "pretrained.json").read_text())
    assert told["held_out_loss"]["after"] < told["held_out_loss"]["before"] - 0.2


@pytest.mark.parametrize(
    ("objective", "at"),
    [
        *(pytest.param("mlm", at, marks=[] if at == 3 else pytest.mark.slow) for at in range(1, 7)),
        ("awd", 4),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("awd", 2), ("elmo", 2), ("elmo", 4))),
    ],
)  # fmt: skip
def test_an_interrupted_pretraining_comes_to_the_same_weights(
    here: Path, monkeypatch: pytest.MonkeyPatch, objective: str, at: int
) -> None:
    from safetensors.torch import load_file

    from headstart.engine.state import checkpoint as checkpoints

    corpus(here / "texts.txt")
    # the tokenizer whose trainer has no ties
    kind = () if objective == "elmo" else ("--set", "tokenizer=bpe")
    arguments = ("pretrain", objective, "texts.txt", *LANGUAGE, *kind, "--quiet", "--out")
    call(*arguments, "whole").expect(0)
    monkeypatch.setattr(checkpoints.Checkpoint, "due", property(lambda self: True))
    seen = 0
    replace = os.replace

    def counting(source: Any, target: Any) -> None:
        nonlocal seen
        replace(source, target)
        seen += 1
        if seen == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counting)
        assert call(*arguments, "stopped").code == 130
    call(*arguments, "stopped").expect(0)
    whole, stopped = (load_file(here / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


@pytest.mark.parametrize(
    ("asked", "write"),
    [
        ("elmo samples=8", 1), *((asked, 3) for asked in ("mlm", "mlm next_sentence=true", "declutr", "clm", "awd")),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("mlm", 1), ("elmo", 3))),
    ],
)  # fmt: skip
def test_an_interruption_between_steps_changes_no_weight(
    here: Path, monkeypatch: pytest.MonkeyPatch, asked: str, write: int
) -> None:
    """In the middle of the first epoch, and of the second: masks, dropouts and order are those of the whole run."""
    from safetensors.torch import load_file

    from headstart.engine.state import checkpoint as checkpoints

    objective, *settings = asked.split()
    corpus(here / "texts.txt", 200)
    arguments = ["pretrain", objective, "texts.txt", *LANGUAGE, "--set", "batch_tokens=1024", "--quiet", "--out"]
    arguments[-2:-2] = [part for setting in settings for part in ("--set", setting)]
    call(*arguments, "whole").expect(0)
    monkeypatch.setattr(checkpoints.Checkpoint, "due", property(lambda self: True))
    kept, steps = checkpoints.Checkpoint.write, []

    def stops(self: Any, states: Any, facts: Any) -> None:
        kept(self, states, facts)
        steps.append(facts["step"])
        if len(steps) == write:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoint, "write", stops)
        assert call(*arguments, "stopped").code == 130
    assert steps == list(range(1, write + 1))
    done = json.loads((here / "whole" / "pretrained.json").read_text())["steps"]
    assert steps[-1] < done, "there is something left to do"
    call(*arguments, "stopped").expect(0)
    whole, stopped = (load_file(here / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_tokenizer_that_was_replaced_is_not_gone_on_with(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in a folder of its own, under the same name."""
    from headstart.backbones.tokenizers.tokenizer import train_tokenizer
    from headstart.pretraining.jobs.language import LanguageModelling

    texts = corpus(here / "texts.txt", 300).read_text().splitlines()
    train_tokenizer(texts, "wordpiece", 300, True, True, 128).save_pretrained(here / "mine")
    arguments = ("pretrain", "mlm", "texts.txt", *FURTHER, "--set", "size=tiny", "--set", "tokenizer=mine", "--quiet")

    def stops(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelling, "losses", stops)
        assert call(*arguments, "--out", "begun").code == 130
    train_tokenizer(texts[:5], "wordpiece", 300, True, True, 128).save_pretrained(here / "mine")
    call(*arguments, "--out", "begun").expect(0)
    call(*arguments, "--out", "anew").expect(0)
    assert (here / "begun" / "model.safetensors").read_bytes() == (here / "anew" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.txt",), ("no file or folder missing.txt",)),
        (("photos",), ("holds no text",)),
        (("texts.txt", "--set", "size=huge"), ("size is 'huge'", "tiny, mini, small")),
        (("texts.txt", "--set", "size=reviews.csv"), ("no transformers configuration",)),
        (("texts.txt", "--set", "mask=1"), ("mask is 1.0",)),
        (("texts.txt", "--set", "length=3"), ("length is 3",)),
        (("texts.txt", "--label", "topic"), ("mlm reads no column that --label could name",)),
        (("texts.txt", "--text", "review"), ("no columns", "no 'review'", "Leave --text out")),
        (("texts.txt", "--set", "batch_tokens=100"), ("batch_tokens is 100", "of 128")),
        (("texts.txt", "--set", "vocabulary=10"), ("vocabulary is 10",)),
        (("texts.txt", "--set", "dropout=-1"), ("dropout is -1",)),
        (("texts.txt", "--set", "tokenizer=nowhere"), ("nowhere",)),
        (("texts.txt", "--from", "resnet"), ("resnet",)),
        (("few.txt",), ("too few",)),
    ],
)
def test_bad_input_for_language(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    images(here / "photos")
    corpus(here / "texts.txt")
    (here / "few.txt").write_text("one line\n")
    call("pretrain", "mlm", *arguments, "--out", "lm", *([] if "--set" in arguments else LANGUAGE)).refused(*words)
    assert not (here / "lm" / "pretrained.json").exists()
