"""`load` a pretrained model, `read` labelled examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.options import READ, only
from headstart.core.errors import ConfigurationError
from headstart.core.inputs import INPUT_KINDS

SHOWN, MOST_TOKENS = 3, 400
"conversations that a record holds token by token, and tokens of each"

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone
    from headstart.backbones.inputs.preparation import TextPreparation
    from headstart.core.records.data import TokensRecord
    from headstart.data.examples import Data, Examples


def load(source: Any = None, **options: Any) -> Backbone:
    """Loads a backbone: a hub name, a folder, `timm/…`, `torchvision/…`, `builtin/…`, or your own torch module.

    source: default is the built-in backbone for images.
    options: pooling, max_length, image_size, blocks, trust_remote_code, train_on, too_long; see
        `headstart.backbones.loaders.load`.
    """
    from headstart.backbones.loaders.load import load as load_backbone
    from headstart.backbones.loaders.packaged import DEFAULTS

    return load_backbone(DEFAULTS["image"] if source is None else source, **options)


def read(source: Any = None, **options: Any) -> Data:
    """Reads, audits and splits labelled examples of a file, a folder or a hub name.

    source: default is the embedded data set of handwritten digits.
    options: text, label, prompt, answer, messages, group, validation, test, kind, seed, class_weights, documents;
        see
        `headstart.data.read`.
    """
    if source is None:
        from headstart.data.embedded import digits

        return replace(digits(), origin={"data": None})
    from headstart.data.read import read as read_data

    named = isinstance(source, (str, Path))
    return replace(read_data(source, **options), origin={"data": source, **only(options, READ)} if named else None)


def backbone_for(model: Any, data: Data, options: Mapping[str, Any]) -> Backbone:
    """The given model, loaded; by default the built-in backbone for the data's modality."""
    if model is None:
        from headstart.backbones.loaders.packaged import DEFAULTS

        if data.task.own_head:
            raise ConfigurationError(
                "answers in words need a causal language model: give its folder or hub name with --model, such as "
                "HuggingFaceTB/SmolLM2-135M-Instruct."
            )
        model = DEFAULTS[data.task.modality]
    if data.task.own_head:
        options = {**options, "vocabulary": True}
    return model if hasattr(model, "ladder") else load(model, **options)


def read_by(backbone: Backbone, data: Data) -> Data:
    """The data with findings on how this model sees them: truncated texts, unknown words, assumed preprocessing."""
    from headstart.backbones.inputs.image_preparation import ImagePreparation
    from headstart.backbones.inputs.preparation import TextPreparation
    from headstart.data.audit.text_coverage import covered, noted

    preparation = backbone.preparation
    if isinstance(preparation, ImagePreparation) and preparation.assumed and data.task.input.is_image:
        return noted(data, "preparation", "warning", preparation.assumed)
    if data.task.input.is_image or not isinstance(preparation, TextPreparation):
        return data
    if INPUT_KINDS[data.task.modality].chat:
        return _with_tokens(data, preparation)
    data = _with_unseen_words(data, preparation)
    unknown = getattr(preparation.tokenizer, "unk_token_id", None)
    windows = INPUT_KINDS[data.task.modality].passage
    return covered(data, preparation.whole, preparation.max_length, preparation.special, unknown, windows=windows)


def _with_tokens(data: Data, preparation: TextPreparation) -> Data:
    """Of conversations: those that the model can be given, with findings on the others and on lengths in tokens."""
    from headstart.backbones.inputs.chat import Rendered
    from headstart.data.audit.chat_tokens import Seen, seen_as_tokens, spoken
    from headstart.data.audit.text_coverage import covered

    def look(chats: Sequence[Any]) -> Iterator[Seen]:
        whole = preparation.chat.rendered(chats)
        for one, fit in zip(whole, preparation.fit(whole)):
            refused, reason = ("", "") if isinstance(fit, Rendered) else (fit.kind, str(fit))
            if isinstance(one, Rendered):
                yield Seen(len(one.ids), int(one.answers.sum()), refused, reason, one.swallowed, one.spelled)
            else:
                yield Seen(refused=refused, reason=reason)

    _ = preparation.chat.stop_ids  # raises where no answer could end
    data = seen_as_tokens(data, look, preparation.max_length, preparation.too_long)
    unknown = getattr(preparation.tokenizer, "unk_token_id", None)
    data = covered(data, preparation.whole, None, preparation.special, unknown, text=spoken)
    return replace(data, record=replace(data.record, tokens=first_tokens(data.train, preparation, SHOWN)))


def first_tokens(examples: Examples, preparation: TextPreparation, count: int) -> tuple[TokensRecord, ...]:
    """The first conversations, token by token."""
    from headstart.backbones.inputs.answer_marks import ANSWERS
    from headstart.core.records.data import TokensRecord

    first = range(min(count, len(examples)))
    chats: list[Any] = examples.inputs(first)
    found = []
    for one, place in zip(preparation.encode(chats), examples.places(first)):
        tokens, trained = preparation.chat.pieces(one["input_ids"].tolist()), one[ANSWERS].tolist()
        if (over := len(tokens) - MOST_TOKENS) > 0:
            middle = slice(MOST_TOKENS // 4, MOST_TOKENS // 4 + over)
            tokens[middle], trained[middle] = [f"… {over:,} more tokens …"], [False]
        found.append(TokensRecord(place, tuple(tokens), tuple(trained)))
    return tuple(found)


def _with_unseen_words(data: Data, preparation: TextPreparation) -> Data:
    """Of texts in words: how many lie beyond what the model reads, in a finding for each split."""
    from headstart.backbones.inputs.word_marks import unseen
    from headstart.data.audit.text_coverage import noted

    for name in ("train", "validation", "test"):
        inputs = getattr(data, name).inputs() if INPUT_KINDS[data.task.modality].words else []
        if cut := unseen(preparation.encode(inputs)):
            message = (
                f"{cut:,} words of {name} lie beyond the {preparation.max_length:,} tokens that the model reads: none "
                "is learned from, and in answers they have no tag, which counts as wrong"
            )
            data = noted(data, "cut_words", "warning", message)
    return data


def seen_by(backbone: Backbone, data: Data) -> tuple[str, ...]:
    """Messages of the findings that `read_by` adds."""
    return tuple(one.message for one in read_by(backbone, data).record.findings if one not in data.record.findings)
