"""Training tokenizers in transformers' format, and checks of tokenizers against networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from headstart.core.errors import ModelError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
END = "<|endoftext|>"
TRAINABLE = ("wordpiece", "bpe")


def check_vocabulary(source: str, tokenizer: Any, rows: int) -> None:
    """Raises `ModelError` if the tokenizer has more tokens than the network's embedding has rows."""
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer of {source} has {len(tokenizer)} tokens, the model's embedding only {rows}; "
            "they do not belong together."
        )


def train_tokenizer(texts: Iterable[str], kind: str, vocabulary: int, lowercase: bool, pairs: bool, length: int) -> Any:
    """Trains a `PreTrainedTokenizerFast` with at most this many tokens; the same texts give the same result.

    texts: WordPiece reads them twice. pairs: add [CLS] a [SEP] b [SEP], as encoders expect; else there is only an end
    token. lowercase: remove case and accents (WordPiece only). length: maximum number of tokens of the model.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = list(SPECIAL) if pairs else [END, "[UNK]"] if kind == "wordpiece" else [END]
    if kind == "wordpiece":
        raw = _wordpiece(texts, special, vocabulary, lowercase)
    else:
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        raw.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ))  # fmt: skip
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


def _wordpiece(texts: Iterable[str], special: list[str], vocabulary: int, lowercase: bool) -> Any:
    """Trains WordPiece reproducibly.

    The trainer breaks ties by the numbers of letters, which depend on a hash. So a first pass collects the letters, and
    the second one gets them in order.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    def bare(tokens: Sequence[str] = ()) -> Any:
        raw = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))  # type: ignore[call-arg]
        raw.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        raw.decoder = decoders.WordPiece()
        return raw

    def learned(first: list[str], **options: Any) -> list[str]:
        raw = bare()
        raw.train_from_iterator(texts, trainers.WordPieceTrainer(special_tokens=first, show_progress=False, **options))
        return sorted(raw.get_vocab().keys() - set(special))

    pieces = learned(special, vocab_size=0, limit_alphabet=max(100, vocabulary // 8))
    letters = [piece for piece in pieces if len(piece) == 1]
    return bare([*special, *learned(
        [*special, *pieces], vocab_size=vocabulary, initial_alphabet=letters, limit_alphabet=len(letters)
    )])  # fmt: skip


def word_begins(tokenizer: Any) -> np.ndarray:
    """[V] True for tokens that start a word, including special tokens.

    WordPiece marks continuations (`##ing`), byte-level BPE and SentencePiece mark starts (`Ġthe`, `▁the`).
    """
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    goes_on = [token.startswith("##") for token in tokens]
    begins = [token.startswith(("Ġ", "▁")) for token in tokens]
    if sum(goes_on) > sum(begins):  # the more frequent one, because Ġ is also a letter and ## starts a heading
        begins = [not more for more in goes_on]
    return np.array([begin or i in special for i, begin in enumerate(begins)])


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Special tokens that the tokenizer puts before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
    return full[:at], full[at + len(bare) :]
