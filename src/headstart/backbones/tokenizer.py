"""Tokenizers trained on a corpus, in transformers' form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
END = "<|endoftext|>"
TRAINABLE = ("wordpiece", "bpe")


def train_tokenizer(texts: Iterable[str], kind: str, vocabulary: int, lowercase: bool, pairs: bool, length: int) -> Any:
    """A `PreTrainedTokenizerFast` of at most so many tokens.

    pairs: put [CLS] a [SEP] b [SEP] around texts, as encoders expect; otherwise only an end token exists.
    WordPiece's trainer numbers tokens as they come; here they are in the order of the alphabet, so that the same text
    gives the same ids. Where it breaks a tie for the last of them, two trainings can still differ in a rare token.
    lowercase: drop case and accents (WordPiece only). length: most tokens that the model reads.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = list(SPECIAL) if pairs else [END, "[UNK]"] if kind == "wordpiece" else [END]
    options: dict[str, Any] = {"vocab_size": vocabulary, "special_tokens": special, "show_progress": False}
    if kind == "wordpiece":
        raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # type: ignore[call-arg]
        raw.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        raw.decoder = decoders.WordPiece()
        trainer: Any = trainers.WordPieceTrainer(**options, limit_alphabet=max(100, vocabulary // 8))
    else:
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(**options, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator(texts, trainer)
    if kind == "wordpiece":
        tokens = [*special, *sorted(raw.get_vocab().keys() - set(special))]
        raw.model = models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]")  # type: ignore[call-arg]
    if not pairs:
        unknown = {"unk_token": "[UNK]"} if kind == "wordpiece" else {}
        return PreTrainedTokenizerFast(
            tokenizer_object=raw, model_max_length=length, eos_token=END, bos_token=END, pad_token=END, **unknown
        )
    marks = [(mark, raw.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, model_max_length=length, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def word_begins(tokenizer: Any) -> np.ndarray:
    """[V] True for tokens that begin a word: those without the mark of a continued one; special tokens begin too.

    WordPiece marks what goes on (`##ing`), byte-level BPE and SentencePiece what begins (`Ġthe`, `▁the`).
    """
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    goes_on = [token.startswith("##") for token in tokens]
    begins = [token.startswith(("Ġ", "▁")) for token in tokens]
    if sum(goes_on) > sum(begins):  # the more frequent: Ġ is a letter too, and ## begins a heading
        begins = [not more for more in goes_on]
    return np.array([begin or i in special for i, begin in enumerate(begins)])


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and behind a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
    return full[:at], full[at + len(bare) :]
