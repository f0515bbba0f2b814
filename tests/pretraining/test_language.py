"""The job over running text: its rows are the tokenizer's, its losses transformers', however a step is cut."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backbones.tiny import bytelevel, wordpiece
from headstart.backbones.loaders import recurrent
from headstart.backbones.networks.language import new
from headstart.backbones.tokenizers.lexicon import Lexicon
from headstart.backbones.tokenizers.tokenizer import frame, train_tokenizer, word_begins
from headstart.backbones.tokenizers.words import words_of
from headstart.data.corpus.packed import Packed, Pieces, pack
from headstart.engine.budget import Budget
from headstart.engine.fit import fit
from headstart.engine.job import share_of
from headstart.engine.machine.precision import compute
from headstart.engine.runtime import Runtime
from headstart.pretraining.jobs.language import Framing, LanguageModelling
from headstart.pretraining.objectives.awd import AwdLanguageModel
from headstart.pretraining.objectives.clm import CausalLanguageModel
from headstart.pretraining.objectives.declutr import Contrast
from headstart.pretraining.objectives.elmo import BidirectionalLanguageModel
from headstart.pretraining.objectives.mlm import MaskedLanguageModel

TEXTS = [
    "the cat was very good", "a bad film", "hello world , this is the story of one bird and two dogs", "red", "spam",
    "you love the blue book and we hate the green one", "never quite the end",
]  # fmt: skip


@pytest.fixture
def tokenizer() -> Any:
    return wordpiece()


def job(folder: Path, tokenizer: Any, objective: Any, length: int = 32, copies: int = 20) -> LanguageModelling:
    texts = TEXTS * copies
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    before, after = ([], []) if objective.joined else frame(tokenizer)
    separator = tokenizer.eos_token_id if objective.joined else tokenizer.sep_token_id
    pack(folder / "tokens", [ids], separator, len(tokenizer))
    framing = Framing(before, after, tokenizer.pad_token_id or 0, tokenizer.mask_token_id or 0, word_begins(tokenizer))
    network = new(objective.kind, "tiny", tokenizer, 64, 0.0, objective.next_sentence, 0)
    packed = Packed(folder / "tokens", length, objective.joined)
    return LanguageModelling(network.module, packed, framing, objective, compute("cpu", "fp32"), 0, "")


def steps(one: LanguageModelling, count: int = 3) -> list[Any]:
    found = []
    for micros in one.steps(0, 0):
        found.append(micros)
        if len(found) == count:
            break
    return found


def test_rows_are_what_the_tokenizer_makes(tokenizer: Any) -> None:
    before, after = frame(tokenizer)
    framing = Framing(before, after, tokenizer.pad_token_id, 0, word_begins(tokenizer))
    bare = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS[:4]]
    stream = np.array([i for ids in bare for i in ids])
    lengths = np.array([len(ids) for ids in bare])
    starts = np.cumsum(lengths) - lengths
    ids, types, text, ends = framing.rows(stream, [Pieces(starts, lengths)])
    wanted = tokenizer(TEXTS[:4], padding=True)
    assert ids.tolist() == wanted["input_ids"]
    assert (np.arange(ids.shape[1]) < ends[:, None]).astype(int).tolist() == wanted["attention_mask"]
    assert text.sum() == len(stream)
    turned = np.array([2, 0, 3, 1])
    ids, types, _, _ = framing.rows(stream, [Pieces(starts, lengths), Pieces(starts[turned], lengths[turned])])
    wanted = tokenizer(TEXTS[:4], [TEXTS[i] for i in turned], padding=True)
    assert ids.tolist() == wanted["input_ids"]
    assert types.tolist() == wanted["token_type_ids"]


def test_the_masked_loss_is_transformers(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, MaskedLanguageModel(batch_tokens=128))
    one.module.eval()
    for (micro,) in steps(one):
        wanted = one.network(
            input_ids=micro.batch["input_ids"], attention_mask=micro.batch.get("attention_mask"), labels=micro.targets
        ).loss
        assert share_of(one.losses(micro, 0.0)).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_causal_loss_is_transformers(tmp_path: Path) -> None:
    one = job(tmp_path, bytelevel(), CausalLanguageModel(batch_tokens=128))
    one.module.eval()
    for (micro,) in steps(one):
        wanted = one.network(input_ids=micro.batch["input_ids"], labels=micro.batch["input_ids"]).loss
        assert share_of(one.losses(micro, 0.0)).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_next_sentence_loss_is_transformers(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, MaskedLanguageModel(batch_tokens=256, next_sentence=True), length=13)
    one.module.eval()
    for (micro,) in steps(one):
        batch = {k: v for k, v in micro.batch.items() if k not in ("follows", "share")}
        wanted = one.network(**batch, labels=micro.targets, next_sentence_label=1 - micro.batch["follows"]).loss
        assert share_of(one.losses(micro, 0.0)).item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("objective", [MaskedLanguageModel(batch_tokens=256), CausalLanguageModel(batch_tokens=256)])
def test_the_loss_curve_is_that_of_transformers_under_plain_adamw(tmp_path: Path, objective: Any) -> None:
    """transformers' whole forward and loss, PyTorch's AdamW, rate and clipping written out; all gradients dense."""
    one = job(tmp_path, bytelevel() if objective.joined else wordpiece(), objective)
    twin = copy.deepcopy(one.network).train()
    trace = fit(one, Budget(3), Runtime(one.compute))
    total = 3 * one.steps_an_epoch()
    assert total == len(trace.losses) > 10
    parameters = list(twin.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": objective.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer, wanted = torch.optim.AdamW(groups, lr=0.0), []
    for step, (micro,) in enumerate(micros for epoch in range(3) for micros in one.steps(epoch, 0)):
        passed = (step + 0.5) / total
        rising = passed / objective.warmup
        rate = objective.learning_rate * min(rising, (1 - passed) / (1 - objective.warmup))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = {name: micro.batch[name] for name in ("input_ids", "attention_mask") if name in micro.batch}
        scores = twin(**inputs).logits
        loss = F.cross_entropy(scores.flatten(0, 1), micro.targets.flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        wanted.append(loss.item())
    assert wanted[-1] < wanted[0] - 0.5
    np.testing.assert_allclose(trace.losses, wanted, rtol=1e-3)


def recurrent_job(folder: Path, objective: Any) -> LanguageModelling:
    words = sorted({word for text in TEXTS for word in words_of(text)})
    lexicon = Lexicon(words, open=False)
    pack(folder / "tokens", [lexicon(TEXTS * 20)["input_ids"]], lexicon.eos_token_id, len(lexicon))
    framing = Framing([], [], 0, 0, np.ones(len(lexicon), dtype=bool))
    network = recurrent.new(objective.network, "tiny", lexicon, objective.dropout, 0)
    packed = Packed(folder / "tokens", 16, joined=True)
    return LanguageModelling(network.module, packed, framing, objective, compute("cpu", "fp32"), 0, "")


def test_the_loss_of_ulmfits_model_is_written_out(tmp_path: Path) -> None:
    """Cross entropy of the following words, and in training what the activations cost."""
    objective = AwdLanguageModel(dropout=0.0, batch_tokens=64, alpha=2.0, beta=3.0)
    one = recurrent_job(tmp_path, objective)
    (micro,) = steps(one)[0]
    ids = micro.batch["input_ids"]
    hidden = one.network.body(ids)[0].detach()
    scores = hidden @ one.network.head.weight.T + one.network.head.bias
    entropy = F.cross_entropy(scores[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    changes = (hidden[:, 1:] - hidden[:, :-1]).square().mean()
    one.module.eval()
    assert share_of(one.losses(micro, 0.0)).item() == pytest.approx(entropy.item(), rel=1e-4)
    one.module.train()
    found = share_of(one.losses(micro, 0.0)).item()
    assert found == pytest.approx((entropy + 2 * hidden.square().mean() + 3 * changes).item(), rel=1e-4)


def test_the_loss_of_elmo_is_the_mean_over_both_directions(tmp_path: Path) -> None:
    one = recurrent_job(tmp_path, BidirectionalLanguageModel(batch_tokens=64))
    (micro,) = steps(one)[0]
    ids = micro.batch["input_ids"]
    left, right = one.network.body(ids)[0].detach().chunk(2, -1)
    following = one.network.head(left[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()
    preceding = one.network.head(right[:, 1:]).flatten(0, 1), ids[:, :-1].flatten()
    wanted = (F.cross_entropy(*following) + F.cross_entropy(*preceding)) / 2
    assert share_of(one.losses(micro, 0.0)).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_the_next_sentence_is_the_next_one(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, MaskedLanguageModel(batch_tokens=4096, next_sentence=True), length=30)
    pieces = one.packed.paragraphs(np.arange(100))
    (first, second), follows = one._pairs(pieces, np.random.default_rng(0), held=False)
    assert 25 < follows.sum() < 75
    after = one.packed.paragraphs(np.arange(1, 101)).starts
    assert (second.starts == after)[follows == 1].all()
    assert (second.starts == after)[follows == 0].mean() < 0.1
    assert (first.starts == pieces.starts).all()


def test_both_parts_make_up_the_piece(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, Contrast(batch_tokens=4096))
    pieces = one.packed.paragraphs(np.arange(60))
    parts = one._halves(pieces, np.random.default_rng(0))
    for i, (start, length) in enumerate(zip(pieces.starts, pieces.lengths)):
        first, second = (slice(parts.starts[k], parts.starts[k] + parts.lengths[k]) for k in (2 * i, 2 * i + 1))
        if length == 1:
            assert first == second == slice(start, start + 1)
        else:
            assert (first.start, second.stop) == (start, start + length)
            assert first.stop == second.start
            assert length / 4 - 1 <= parts.lengths[2 * i] <= 3 * length / 4 + 1


@pytest.mark.parametrize("objective", [MaskedLanguageModel, CausalLanguageModel])
def test_a_step_that_is_cut_has_the_same_loss_and_gradient(tmp_path: Path, objective: Any) -> None:
    one = job(tmp_path, wordpiece() if objective is MaskedLanguageModel else bytelevel(), objective(batch_tokens=256))
    one.module.eval()
    (micro,) = steps(one, 1)[0]

    def gradient(parts: int) -> tuple[float, torch.Tensor]:
        one.module.zero_grad()
        pieces = micro.split(parts)
        losses = [share_of(one.losses(piece, 0.0)) for piece in pieces]
        sum(losses).backward()
        return sum(losses).item(), torch.cat([p.grad.flatten() for p in one.module.parameters() if p.grad is not None])

    whole, cut = gradient(1), gradient(3)
    assert whole[0] == pytest.approx(cut[0], rel=1e-5)
    assert torch.allclose(whole[1], cut[1], atol=1e-6)


def test_steps_from_the_middle_are_those_of_the_whole_epoch(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, MaskedLanguageModel(batch_tokens=128))
    whole = [micros[0] for micros in one.steps(1, 0)]
    rest = [micros[0] for micros in one.steps(1, 4)]
    assert len(whole) == one.steps_an_epoch()
    assert len(rest) == len(whole) - 4
    for a, b in zip(whole[4:], rest):
        assert (a.targets == b.targets).all()
        assert (a.batch["input_ids"] == b.batch["input_ids"]).all()


def test_the_held_out_loss_is_repeatable_and_over_tokens(tmp_path: Path, tokenizer: Any) -> None:
    one = job(tmp_path, tokenizer, MaskedLanguageModel(batch_tokens=128), copies=200)
    assert one.held_out_loss() == one.held_out_loss()
    assert one.held_out_loss() == pytest.approx(np.log(len(tokenizer)), rel=0.1)  # untrained: all tokens alike


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_tokenizer_that_is_trained(kind: str) -> None:
    texts = ["The unbelievable story of believable stories"] * 30 + TEXTS * 5
    tokenizer = train_tokenizer(texts, kind, 400, True, kind == "wordpiece", 64)
    assert len(tokenizer) <= 400
    ids = tokenizer("the story", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids).strip() == "the story"
    begins = word_begins(tokenizer)
    words = tokenizer(" unbelievable storiez", add_special_tokens=False)["input_ids"]
    assert begins[words].sum() == 2
    assert begins[words[0]]
    if kind == "wordpiece":
        assert frame(tokenizer) == ([tokenizer.cls_token_id], [tokenizer.sep_token_id])
        assert tokenizer("x")["input_ids"][0] == tokenizer.cls_token_id
    else:
        assert frame(tokenizer) == ([], [])
        assert tokenizer.decode(tokenizer("naïve 日本 🙂")["input_ids"]) == "naïve 日本 🙂"


def test_the_same_text_gives_the_same_wordpieces() -> None:
    """Of many words that occur as often, which the library's trainer takes as a hash has them."""
    rng = np.random.default_rng(0)
    texts = [" ".join("".join(rng.choice(list("abcdefgh"), 5)) for _ in range(6)) for _ in range(200)]
    one, *others = (train_tokenizer(texts, "wordpiece", 380, True, True, 64).get_vocab() for _ in range(5))
    assert [one[token] for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == list(range(5))
    assert len(one) == 380
    assert all(other == one for other in others)
    tokenizer = train_tokenizer(texts, "wordpiece", 380, True, True, 64)
    assert tokenizer.tokenize("##a") == ["[UNK]", "[UNK]", "a"], "a mark of a piece is no special token of a text"


def test_headings_do_not_make_a_tokenizer_of_bytes_a_wordpiece_one() -> None:
    texts = ["## The story of a dog", "## Another heading", "#### Deeper still"] * 40 + TEXTS * 5
    tokenizer = train_tokenizer(texts, "bpe", 400, True, True, 64)
    assert any(token.startswith("##") for token in tokenizer.get_vocab())
    begins = word_begins(tokenizer)
    words = tokenizer(" unbelievable storiez", add_special_tokens=False)["input_ids"]
    assert begins[words].sum() == 2


def test_errors_in_the_preparing_thread_are_raised() -> None:
    from headstart.engine.feed.ahead import ahead

    def make(i: int) -> int:
        if i == 3:
            raise ValueError("three")
        return i * i

    found = ahead(make, range(6))
    assert [next(found) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(ValueError, match="three"):
        next(found)
    assert list(ahead(make, [])) == []


def test_pairs_keep_all_their_negatives(tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little goes through the model at once elsewhere, a pair is told from all others of its step."""
    from headstart.pretraining.jobs import language

    one = job(tmp_path, tokenizer, Contrast(batch_tokens=512))
    monkeypatch.setitem(language.AT_ONCE, "cpu", 64)
    for micros in steps(one):
        (micro,) = micros
        assert micro.batch["pair"].tolist() == [i // 2 for i in range(len(micro.positions))]
        assert len(micro.split(4)) == 1
