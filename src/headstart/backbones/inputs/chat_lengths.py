"""Conversations that are longer than the model reads: refused, left out, or their prompt cut at its start.

An answer and its stop token are never cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from headstart.backbones.inputs.chat import Rendered
from headstart.backbones.inputs.chat_template import Refused
from headstart.core.chat import Chat
from headstart.core.errors import DataError

TooLong = Literal["raise", "drop", "cut"]
SHOWN = 3


def fitted(found: Rendered | Refused, most: int, too_long: TooLong, begin: int | None) -> Rendered | Refused:
    """The conversation within `most` tokens, or the reason why it does not fit. begin: id of the begin token, kept."""
    if isinstance(found, Refused) or len(found.ids) <= most:
        return found
    over, kept = len(found.ids) - most, int(found.ids[0] == begin)
    if too_long != "cut":
        return Refused("long", f"it has {len(found.ids):,} tokens and the model reads {most:,}")
    if kept + over > found.first:
        return Refused("long", f"{len(found.ids) - found.first:,} tokens from its first answer on, of {most:,} read")
    return replace(found, ids=[*found.ids[:kept], *found.ids[kept + over :]], answers=found.answers[over:])


def begun(prompt: list[int], most: int, begin: int | None) -> list[int]:
    """The prompt of an answer within `most` tokens, cut at its start as in training."""
    over, kept = len(prompt) - most, int(prompt[:1] == [begin])
    return prompt if over <= 0 else [*prompt[:kept], *prompt[kept + over :]]


ADVICE = {
    "long": "raise the limit by --max-length where the model allows, leave them out by --too-long drop, or cut the "
    "start of their prompts by --too-long cut",
    "answer": "each conversation needs an answer of the assistant at its end",
}


def usable(found: Sequence[Rendered | Refused], chats: Sequence[Chat]) -> list[Rendered]:
    """All of them. Raises `DataError` with the number of those that are refused, the first ones and what to do."""
    refused = [(one, chat) for one, chat in zip(found, chats) if isinstance(one, Refused)]
    if refused:
        kinds = Counter(one.kind for one, _ in refused)
        told = "; ".join(f"{str(chat.messages[0].get('content'))[:40]!r}: {one}" for one, chat in refused[:SHOWN])
        advice = "".join(f" To go on, {ADVICE[kind]}." for kind in kinds if kind in ADVICE)
        raise DataError(f"{len(refused):,} of {len(found):,} conversations can't be used ({told}).{advice}")
    return [one for one in found if isinstance(one, Rendered)]
