"""What is trained against trl's SFTTrainer, another implementation, on the same chats; skipped where trl is absent.

One difference is meant (docs/language-models.md): trl also trains the line break that a template writes after a stop
token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.backbones.chatting import chatting

from headstart.backbones.inputs.chat import Rendered, Rendering
from headstart.backbones.inputs.chat_template import DATE
from headstart.core.chat import Chat

trl = pytest.importorskip("trl", reason="trl is not installed")

TURNS = (
    [("user", "What is it?"), ("assistant", "Paris")],
    [("system", "Be brief."), ("user", "What is it?"), ("assistant", "The capital\nof France.")],
    [("user", "What?"), ("assistant", "Paris"), ("user", "And?"), ("assistant", "Rome, of course")],
)


def trained_by_trl(tokenizer: Any, chats: list[Chat], folder: Path, every: bool) -> list[tuple[list[int], list[bool]]]:
    """Ids and trained tokens of each chat, as the trainer prepares them.

    every: answers of all turns (`assistant_only_loss`), else the last (`completion_only_loss`).
    """
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    rows = [
        {"messages": chat.messages} if every else {"prompt": chat.prompt, "completion": chat.messages[-1:]}
        for chat in chats
    ]
    trainer = trl.SFTTrainer(
        LlamaForCausalLM(config),
        trl.SFTConfig(
            str(folder),
            assistant_only_loss=every,
            completion_only_loss=not every,
            max_length=None,
            report_to="none",
            use_cpu=True,
            bf16=False,
            dataset_num_proc=None,
        ),
        train_dataset=Dataset.from_list([{**row, "chat_template_kwargs": {"date_string": DATE}} for row in rows]),
        processing_class=tokenizer,
    )
    return [(row["input_ids"], [one != -100 for one in row["labels"]]) for row in trainer.train_dataset]


@pytest.mark.parametrize(
    ("family", "every"),
    [("chatml", False), ("llama3", False), ("qwen3", False), ("gemma3", False), ("mistral", False), ("gemma3", True)],
)
def test_the_same_tokens_are_trained(family: str, every: bool, tmp_path: Path) -> None:
    tokenizer = chatting(family)
    tokenizer.pad_token = tokenizer.eos_token
    rendering = Rendering(tokenizer, trained="all" if every else "last")
    chats = [Chat.of({"role": role, "content": text} for role, text in turns) for turns in TURNS]
    ours = rendering.rendered(chats)
    usable = [(chat, one) for chat, one in zip(chats, ours) if isinstance(one, Rendered)]
    assert len(usable) == len(chats) - (family == "mistral"), "Mistral's system turn is refused"
    theirs = trained_by_trl(tokenizer, [chat for chat, _ in usable], tmp_path, every)
    for (_, one), (ids, trained) in zip(usable, theirs):
        assert one.ids == ids
        extra = np.array(trained) & ~one.answers
        assert not (one.answers & ~np.array(trained)).any()
        assert all(tokenizer.decode([i]) == "\n" for i, on in zip(ids, extra) if on)
