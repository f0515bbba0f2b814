"""Prompting: class probabilities by likelihood, demonstrations, calibration; on a tiny Llama with random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backbones.tiny import causal, tiny
from contract.settings import FP32, LABELS, examples_of, method_of, save_adapted, setting_of
from headstart.artifacts.artifact import Artifact, reloaded
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load
from headstart.core.errors import MethodError
from headstart.engine.adapt import Adapted, adapted, attached
from headstart.engine.decoding.asked import Prompts, tokens_of
from headstart.engine.feed.feed import Feed
from headstart.methods.prompting import CONTENT_FREE
from headstart.methods.view import Demonstration, View, words_of

READABLE = 1500
WORDS = ("no", "nobody", "yes")
"the second begins like the first, token by token of bytes"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return causal("llama", tmp_path_factory.mktemp("models") / "llama", max_position_embeddings=READABLE)


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Iterator[Backbone]:
    loaded = load(str(folder))
    before = loaded.fingerprint
    yield loaded
    assert loaded.intact
    assert loaded.fingerprint == before


@pytest.fixture(scope="module")
def by_hand(folder: Path) -> Any:
    """log p of words after a prompt, by a whole forward of each."""
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def log_p(prompt: str, words: str) -> float:
        before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, words))
        with torch.no_grad():
            found = network(torch.tensor([before + after])).logits[0].log_softmax(-1)
        return sum(float(found[len(before) + at - 1, one]) for at, one in enumerate(after))

    return log_p


def done_by(backbone: Backbone, name: str, seed: int = 0, **settings: Any) -> Any:
    return adapted(setting_of(backbone), method_of(name, **settings), seed)


def predicted(done: Adapted) -> np.ndarray:
    return done.job.predict(done.job.validation)


def test_probabilities_are_those_of_whole_forwards(backbone: Backbone, by_hand: Any) -> None:
    """With demonstrations, and words of different length, of which one begins like another."""
    with done_by(
        backbone, "fewshot", demonstrations=3, labels=WORDS, calibrated=False, instruction="Is it {labels}?"
    ) as done:  # fmt: skip
        view, found = done.plan.view, predicted(done)
        shown = "".join(f"Text: {d.text}\nLabel: {WORDS[d.label]}\n\n" for d in view.demonstrations)
        for text, row in zip(done.job.validation.examples.inputs()[:3], found):
            prompt = f"Is it no, nobody or yes?\n\n{shown}Text: {text}\nLabel:"
            wanted = torch.tensor([by_hand(prompt, f" {word}") for word in WORDS]).softmax(-1)
            np.testing.assert_allclose(row, wanted.numpy(), rtol=1e-4, atol=1e-6)
        tokens = np.mean([len(prompt) for prompt in done.job.backbone.preparation.prompts(whole(done))])
        assert tokens_of(done.job.validation) == (
            pytest.approx(tokens),
            pytest.approx(np.mean([len(word) + 1 for word in WORDS])),
        )
    assert done.trained_parameters == 0


def whole(done: Adapted) -> dict[str, torch.Tensor]:
    return done.job.validation.batch(np.arange(len(done.job.validation)))


def test_calibration_divides_by_the_mean_over_inputs_without_content(backbone: Backbone, by_hand: Any) -> None:
    with done_by(backbone, "zeroshot", instruction="", labels=WORDS) as done:
        found, text = predicted(done)[0], done.job.validation.examples.inputs()[0]
        head = done.model.head
        prior = head.prior.clone()
        head.cool(2.0)
        cooled = predicted(done)[0]

    def chances(text: str) -> torch.Tensor:
        return torch.tensor([by_hand(f"Text: {text}\nLabel:", f" {word}") for word in WORDS]).softmax(-1)

    mean = torch.stack([chances(one) for one in CONTENT_FREE]).mean(0)
    torch.testing.assert_close(prior.exp(), mean, rtol=1e-4, atol=1e-6)
    wanted = chances(text) / mean
    np.testing.assert_allclose(found, (wanted / wanted.sum()).numpy(), rtol=1e-4)
    wanted = wanted.sqrt()
    np.testing.assert_allclose(cooled, (wanted / wanted.sum()).numpy(), rtol=1e-4)


def test_the_seed_draws_demonstrations_of_training_examples_alone(backbone: Backbone) -> None:
    def view(seed: int, **settings: Any) -> View:
        setting = setting_of(backbone)
        with attached(setting, method_of("fewshot", demonstrations=7, **settings), seed) as job:
            pairs = set(zip(setting.train.examples.inputs(), setting.train.examples.targets.tolist()))
            assert {(one.text, one.label) for one in job.plan.view.demonstrations} <= pairs
            return job.plan.view

    assert view(0) == view(0)
    assert view(0) != view(1)
    counts = np.bincount([one.label for one in view(0).demonstrations], minlength=3)
    assert sorted(counts) == [2, 2, 3]
    assert {one.label for one in view(0).demonstrations[:3]} != {0, 1, 2} or view(0) != view(2), "order is drawn too"
    drawn = view(0, choice="random").demonstrations
    assert len(set(drawn)) == 7
    assert drawn != view(1, choice="random").demonstrations


def test_nearest_demonstrations_share_words_with_the_question_and_the_nearest_is_last(backbone: Backbone) -> None:
    pool = [Demonstration("red cat", 0), Demonstration("blue dog play", 1), Demonstration("dog", 2)]
    view = View(words=WORDS, shown=2, choice="nearest", demonstrations=tuple(pool))
    prompts = Prompts(backbone.preparation, view, READABLE)  # type: ignore[arg-type]
    batch = prompts.collate(prompts.encode(["blue dog", "cat"]))
    one, other = (prompts.tokenizer.decode(ids) for ids in prompts.prompts(batch))
    assert one == "Text: dog\nLabel: yes\n\nText: blue dog play\nLabel: nobody\n\nText: blue dog\nLabel:"
    assert other.endswith("Text: red cat\nLabel: no\n\nText: cat\nLabel:")


def test_nothing_of_held_out_examples_gets_into_a_view(backbone: Backbone) -> None:
    """Other validation and test texts, and other labels of them, leave every prompt and probability as it is."""
    setting = setting_of(backbone)
    held = setting.validation.examples
    turned = type(held)(held.table, held.rows, held.ids, (held.targets + 1) % 3)
    others = examples_of([f"secret {n}" for n in range(5)], np.arange(5) % 3, 100)
    views, found = [], []
    for examples in (held, turned, others):
        import dataclasses

        changed = dataclasses.replace(setting, validation=Feed("validation", examples, backbone))
        for choice in ("balanced", "nearest"):
            with adapted(changed, method_of("fewshot", demonstrations=4, choice=choice), 0) as done:
                views.append(done.plan.view.to_json())
                found.append((predicted(done), done.model.head.prior.clone()))
    assert views[0:2] == views[2:4] == views[4:6]
    assert "secret" not in repr(views)
    np.testing.assert_array_equal(found[0][0], found[2][0])
    assert torch.equal(found[0][1], found[4][1])


def test_reloaded_and_predicted_alike(backbone: Backbone, tmp_path: Path) -> None:
    setting, method = setting_of(backbone), method_of("fewshot", demonstrations=4)
    with adapted(setting, method, 3) as done:
        done.model.head.cool(1.7)
        expected, view = predicted(done), done.plan.view
        save_adapted(tmp_path / "model", done, "fewshot", method, setting)
    assert Artifact.open(tmp_path / "model").view == view
    with reloaded(tmp_path / "model", backbone) as (_, _, plan):
        assert plan.view == view
    predictor = Predictor(tmp_path / "model", backbone=backbone, precision="fp32")
    found = predictor.scores(setting.validation.examples.inputs())
    predictor.close()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_a_long_prompt_loses_demonstrations_and_never_a_part_of_its_question(backbone: Backbone) -> None:
    shown = tuple(Demonstration(f"{letter * 300}", n) for n, letter in enumerate("abc"))
    view = View("Which?", words=WORDS, shown=3, demonstrations=shown)
    prompts = Prompts(backbone.preparation, view, READABLE)  # type: ignore[arg-type]
    texts = ["short", "x" * 600, "y" * 900, "z" * (READABLE - 60)]
    found = prompts.prompts(prompts.collate(prompts.encode(texts)))
    read = [prompts.tokenizer.decode(ids) for ids in found]
    assert [text.count("Text: ") - 1 for text in read] == [3, 2, 1, 0]
    assert all(f"Text: {text}\nLabel:" in one and one.startswith("Which?") for text, one in zip(texts, read))
    assert "c" * 300 in read[2], "the first are lost first"
    assert all(len(ids) + len(" nobody") - 1 <= READABLE for ids in found)
    assert prompts.notes[0].startswith("3 of 4 prompts were longer than the 1,500 tokens")
    with pytest.raises(MethodError, match=r"a question of 1\d{3} tokens .* more than the 1500"):
        prompts.encode(["q" * READABLE])


def test_prompts_with_and_without_all_demonstrations_score_as_alone(backbone: Backbone) -> None:
    from headstart.engine.decoding.asked import seen

    shown = tuple(Demonstration(letter * 400, n) for n, letter in enumerate("abc"))
    behind = seen(backbone, View(words=WORDS, shown=3, demonstrations=shown), FP32)
    batch = [behind.preparation.encode([text]) for text in ("short", "x" * 500, "dog")]  # type: ignore[attr-defined]
    with torch.no_grad():
        together = behind.features(behind.preparation.collate([one for each in batch for one in each]))
        apart = torch.cat([behind.features(behind.preparation.collate(each)) for each in batch])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


def test_what_all_prompts_begin_with_is_read_once_for_all_batches(backbone: Backbone) -> None:
    from headstart.engine.decoding.asked import seen

    behind = seen(backbone, View("Which?", words=WORDS, shown=1, demonstrations=(Demonstration("a" * 200, 0),)), FP32)
    read, texts = [], ["dog", "red cat", "blue"]
    with contextlib.closing(watched(backbone, read)):
        one = [behind.features(behind.preparation.collate(behind.preparation.encode([text]))) for text in texts]  # type: ignore[attr-defined]
    assert sum(tokens > 200 for tokens in read) == 1
    whole = seen(backbone, View("Which?", words=WORDS, shown=1, demonstrations=(Demonstration("a" * 200, 0),)), FP32)
    together = whole.features(whole.preparation.collate(whole.preparation.encode(texts)))  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.cat(one), together, rtol=1e-4, atol=1e-4)


class watched:
    """Notes the number of tokens of each pass through a backbone until it is closed."""

    def __init__(self, backbone: Backbone, read: list[int]) -> None:
        table: Any = backbone.module.get_input_embeddings()  # type: ignore[operator]
        self._handle = table.register_forward_hook(lambda module, given, made: read.append(given[0].shape[1]))

    def close(self) -> None:
        self._handle.remove()


def test_words_of_classes() -> None:
    assert words_of(["12_good-films", "bad films"]) == ("good films", "bad films")
    assert words_of(["1", "2"]) == ("1", "2")
    assert words_of(["a_b", "a b"]) == ("a_b", "a b"), "cleaned, both would be the same"
    assert words_of(["NUM", "LOC"], ("NUM=number",)) == ("number", "LOC")
    assert words_of(["NUM", "LOC"], ("number", "place")) == ("number", "place")
    for given, problem in (
        (("a",), "1 words for the 2 classes"), (("XY=z",), "names 'XY'"), (("a", "a"), "needs different words"),
        (("NUM=a", "b"), "NAME=words"),
    ):  # fmt: skip
        with pytest.raises(MethodError, match=problem):
            words_of(["NUM", "LOC"], given)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"layout": "Text: {}"}, "twice"),
        ({"instruction": "Is it {words}?"}, "only {labels}"),
        ({"demonstrations": -1}, "0 or more"),
    ],
)
def test_invalid_settings_say_what_is_allowed(backbone: Backbone, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(MethodError, match=problem), done_by(backbone, "fewshot", **settings):
        pass


@pytest.mark.parametrize("family", ["bert", "timm_resnet", "llama"])
def test_a_backbone_without_a_vocabulary_says_so(family: str) -> None:
    """`llama` is a body that was saved without its head."""
    plain = tiny(family)
    for name in ("zeroshot", "fewshot"):
        with pytest.raises(MethodError, match="no head over the vocabulary"), done_by(plain, name):
            pass


def test_a_task_with_several_labels_is_refused(backbone: Backbone) -> None:
    with (
        pytest.raises(MethodError, match="one class"),
        adapted(setting_of(backbone, "multi_label"), method_of("zeroshot"), 0),
    ):
        pass


def test_labels_default_to_the_names_of_the_classes(backbone: Backbone) -> None:
    with attached(setting_of(backbone), method_of("zeroshot"), 0) as job:
        assert job.plan.view.words == LABELS
        assert job.plan.view.beginning == "Classify each text as no, perhaps or yes."
