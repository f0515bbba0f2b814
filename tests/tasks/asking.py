"""Questions with answers as data, and a tiny causal language model that can learn them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backbones.chatting import chatting
from backbones.tiny import causal
from headstart.core.chat import Chat
from headstart.core.records.data import DataRecord, SplitRecord
from headstart.data.examples import Data, Examples
from headstart.data.ingest.store import HOLDS
from headstart.tasks.task import Task

PAIRS = (
    ("red?", "blue"), ("who?", "Ian"), ("when?", "1993"), ("how many?", "three"), ("cat?", "dog"), ("sky?", "grey"),
    ("x?", "y z"), ("end?", "begin"),
)  # fmt: skip


def examples(chats: Sequence[Chat], first: int = 0, clusters: Sequence[int] | None = None) -> Examples:
    import pyarrow as pa

    columns = {
        "input": pa.array(chats, pa.large_string()),
        "place": [f"faq:{first + i + 1}" for i in range(len(chats))],
    }
    table = pa.table(columns).replace_schema_metadata({HOLDS: b"chat"})
    rows = np.arange(len(chats))
    groups = None if clusters is None else np.array(clusters)
    return Examples(table, rows, rows + first, np.zeros(len(chats), dtype=np.int64), clusters=groups)


def data_of(train: Sequence[Chat], validation: Sequence[Chat] = (), test: Sequence[Chat] = ()) -> Data:
    """Splits that are left out hold the training examples again."""
    parts = [examples(part or train, 1000 * at) for at, part in enumerate((train, validation, test))]
    splits = tuple(
        SplitRecord(name, len(part), "given", {}, 0) for name, part in zip(("train", "validation", "test"), parts)
    )
    size = sum(map(len, parts))
    record = DataRecord("faq", "f", {"text": "question", "label": "answer"}, 0, splits, size, size, (), ())
    return Data(Task("generation", "chat"), parts[0], parts[1], parts[2], record)


def pairs(count: int = len(PAIRS)) -> Data:
    return data_of([Chat.asked(question, answer) for question, answer in PAIRS[:count]])


def model(folder: str | Path, name: str = "llama", family: str | None = None, **changes: Any) -> Path:
    """A decoder with two blocks. family: of the tokenizer; None for a base model, whose pad token is its end token."""
    tokenizer = chatting(family)
    sizes = (
        {"n_layer": 2, "n_positions": 128}
        if name == "gpt2"
        else {"num_hidden_layers": 2, "max_position_embeddings": 128}
    )
    ids = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    return causal(name, folder, tokenizer=tokenizer, vocab_size=len(tokenizer), **{**sizes, **ids, **changes})
