"""Small byte-level tokenizers with the special tokens and the chat template of a family of models (`templates/`)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"
FAMILIES: dict[str, tuple[str | None, str, tuple[str, ...]]] = {
    # begin token, end token, further special tokens
    "chatml": ("<|im_start|>", "<|im_end|>", ("<|endoftext|>",)),
    "llama3": (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "qwen3": (None, "<|im_end|>", ("<|im_start|>", "<|endoftext|>")),
    "gemma3": ("<bos>", "<eos>", ("<start_of_turn>", "<end_of_turn>")),
    "mistral": ("<s>", "</s>", ("[INST]", "[/INST]")),
}
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)


@functools.cache
def chatting(family: str | None, template: str | None = None, begin: str | None = None) -> Any:
    """The tokenizer of a family; None is one of a base model, with an end token alone. `begin` of it is written before
    every text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    first, end, more = FAMILIES[family] if family else (begin, "<|endoftext|>", ())
    special = [token for token in (first, end, *more) if token]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if family == "llama3":  # its own rule keeps line breaks together
        split = pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated")
        raw.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    raw.decoder = decoders.ByteLevel()
    texts = ["What is the capital of France?\n\nParis\n\n\nThe capital is Paris. user assistant system"] * 3
    raw.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ))  # fmt: skip
    if first and family != "chatml":  # as SmolLM2, which has a begin token and never writes it by itself
        raw.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, raw.token_to_id(first))]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=first, eos_token=end, additional_special_tokens=list(more)
    )
    if family:
        template = (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")
    made.chat_template = template
    return made


def marking() -> Any:
    """A tokenizer of letters that puts a blank before every text, as Llama 2's does."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    alphabet = [*map(chr, range(33, 127)), "▁", "\n"]
    raw.train_from_iterator([], trainers.BpeTrainer(
        vocab_size=200, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    ))  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>")
