"""Answers of a causal language model to conversations, by greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.chat_lengths import begun
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.core.chat import Chat
from headstart.core.errors import DataError, ModelError
from headstart.engine.decoding.decoder import MOST_TOKENS, Decoder
from headstart.engine.decoding.network import Network, opened
from headstart.engine.decoding.request import Request
from headstart.engine.machine.precision import Compute


@dataclass(frozen=True)
class Answered:
    """text: without the stop token. stopped: True if the model ended it by itself. tokens_out: with the stop token."""

    text: str
    stopped: bool
    tokens_in: int
    tokens_out: int


def network_of(backbone: Backbone, head: nn.Module, compute: Compute) -> Network:
    """The backbone unchanged, inside the context in which a plan is applied, for `answered`; tried once."""
    preparation: Any = backbone.preparation
    return opened(backbone.module, head, preparation.tokenizer, compute)


def answered(network: Network, preparation: Any, chats: Sequence[Chat], most: int) -> list[Answered]:
    """The answer to each conversation's last question, of at most so many tokens.

    Raises `DataError` for a question that can't be rendered, or that leaves no room for an answer.
    """
    if not chats:
        return []
    prompts, rendering = prompts_of(preparation, chats, most), preparation.chat
    decoder = Decoder(network)
    requests = [
        Request(prompt, max_tokens=min(most, preparation.max_length - len(prompt)), stop_ids=rendering.stop_ids)
        for prompt in prompts
    ]
    return [
        Answered(rendering.answer_text(one.ids), one.ended == "stop", one.tokens_in, one.tokens_out)
        for one in decoder.answers(requests)
    ]


def streamed(
    network: Network, preparation: TextPreparation, chat: Chat, most: int, temperature: float = 0.0, top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:  # fmt: skip
    """The answer to a conversation's last question, in pieces as soon as they are certain; closing it ends the answer.

    Raises `DataError` as `answered` does.
    """
    (prompt,) = prompts_of(preparation, [chat], most)
    request = Request(
        prompt, max_tokens=min(most, preparation.max_length - len(prompt)), stop_ids=preparation.chat.stop_ids,
        temperature=temperature, top_p=top_p, seed=seed,
    )  # fmt: skip
    blanks, begins = "", True  # held back, because an answer has none at its ends
    for piece in Decoder(network, most_tokens=max(MOST_TOKENS, 2 * preparation.max_length)).stream([request]):
        text = piece.text.lstrip() if begins else blanks + piece.text
        if found := text.rstrip():
            yield found
            begins = False
        blanks = text[len(found) :]


def prompts_of(preparation: TextPreparation, chats: Sequence[Chat], most: int) -> list[list[int]]:
    """Token ids of the questions, each with the beginning of an answer. Raises `DataError`.

    With `too_long="cut"` longer ones are cut at the start, to leave room for `most` tokens (at most half of what the
    model reads).
    """
    try:
        prompts = preparation.chat.prompt_ids(chats)
    except ModelError as error:
        raise DataError(str(error)) from error
    if preparation.too_long == "cut":
        room = max(preparation.max_length - most, (preparation.max_length + 1) // 2)
        prompts = [begun(prompt, room, preparation.tokenizer.bos_token_id) for prompt in prompts]
    for prompt in prompts:
        if len(prompt) >= preparation.max_length:
            raise DataError(
                f"the question has {len(prompt):,} tokens, and the model reads {preparation.max_length:,} with the "
                "answer; shorten it, or load the model with a larger --max-length."
            )
    return prompts
