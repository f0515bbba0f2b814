"""Prompt tuning against PEFT, and its starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backbones.tiny import batch_of, save, tiny
from contract.settings import method_of
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load
from headstart.core.errors import MethodError
from headstart.methods.plan import Model
from headstart.methods.prompts.prompt import VirtualTokens, frequent_words


def model_of(backbone: Backbone) -> Model:
    return Model(backbone.module, nn.Linear(backbone.dimension, 2))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_hidden_states_are_peft_s(family: str, tmp_path: Path) -> None:
    """With padding on the right, which the mask hides from every real token."""
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModel

    folder = save(family, tmp_path / "m")
    backbone, p = load(str(folder), max_length=48), 5
    batch = batch_of(backbone)
    batch.pop("token_type_ids", None)
    theirs = get_peft_model(
        AutoModel.from_pretrained(folder, attn_implementation="eager"),
        PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=p),
    ).eval()
    rows = theirs.prompt_encoder["default"].embedding.weight  # [p, D]
    plan, model = (
        method_of("prompt", tokens=p).attach(backbone, nn.Linear(32, 2)),
        model_of(backbone),
    )
    with plan.applied(model), torch.no_grad():
        model.eval()
        backbone.module.prompt.embeddings.copy_(rows)
        extra = {"use_cache": False} if backbone.kind == "decoder" else {}
        ours = backbone.module(**batch, **extra).last_hidden_state
        expected = theirs(**batch).last_hidden_state[:, p:]
    real = batch["attention_mask"].bool()
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours[real], expected[real], rtol=1e-4, atol=1e-5)


def test_the_features_are_those_of_the_text_s_own_places() -> None:
    backbone = tiny("bert")
    plan, model = (
        method_of("prompt", tokens=3).attach(backbone, nn.Linear(32, 2)),
        model_of(backbone),
    )
    batch = batch_of(backbone)
    with plan.applied(model), torch.no_grad():
        model.eval()
        hidden = backbone.module(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        assert hidden.shape[1] == mask.shape[1]
        torch.testing.assert_close(backbone.features(batch), (hidden * mask).sum(1) / mask.sum(1))


def test_starts() -> None:
    backbone = tiny("bert")
    module, model = backbone.module, model_of(backbone)
    table = module.get_input_embeddings().weight
    ids = backbone.preparation.tokenizer("good film", add_special_tokens=False)["input_ids"]

    def rows(**settings: object) -> torch.Tensor:
        torch.manual_seed(0)
        with method_of("prompt", tokens=5, **settings).attach(backbone, nn.Linear(32, 2)).applied(model):
            return module.prompt.embeddings.detach().clone()

    torch.testing.assert_close(rows(start="text", text="good film"), table[(3 * ids)[:5]].detach())
    known = {tuple(row.tolist()) for row in table}
    assert all(tuple(row.tolist()) in known for row in rows())
    assert not any(tuple(row.tolist()) in known for row in rows(start="random"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tokens": 0}, "at least 1"),
        ({"start": "text"}, "needs the text"),
        ({"start": "text", "text": "  "}, "needs"),
        ({"start": "classes"}, "classes with names"),
    ],
)
def test_mistakes(settings: dict[str, object], says: str) -> None:
    with pytest.raises(MethodError, match=says):
        method_of("prompt", **settings).attach(tiny("bert"), nn.Linear(32, 2))


def test_virtual_tokens_begin_as_words_that_occur_in_texts() -> None:
    """Not as special tokens, nor as the [unused…] rows that BERT's vocabulary begins with."""
    backbone = tiny("bert")
    tokenizer = backbone.preparation.tokenizer
    tokenizer.add_tokens(["[unused1]", "<extra_id_7>", "<0x0A>"])
    vocabulary = tokenizer.get_vocab()
    rows = frequent_words(backbone)
    left_out = {word for word, row in vocabulary.items() if row not in set(rows)}
    assert left_out == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", "<extra_id_7>", "<0x0A>"}
    assert list(rows) == sorted(rows)
    table = backbone.module.get_input_embeddings()
    torch.manual_seed(0)
    virtual = VirtualTokens(200, "vocabulary", None, rows[:3], backbone.module)
    drawn = {int((table.weight == row).all(1).nonzero()[0]) for row in virtual.embeddings.detach()}
    assert drawn == set(rows[:3])
