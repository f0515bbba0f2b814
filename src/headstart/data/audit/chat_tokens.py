"""Conversations as tokens before training: how long, how much of them is trained, and what the model can't be given.

Rows that its chat template refuses are left out and counted; longer ones are an error unless the user chose otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.core.chat import Chat
from headstart.core.errors import DataError
from headstart.core.records.data import SplitRecord
from headstart.data.audit.findings import SHOWN, Findings
from headstart.data.audit.text_coverage import with_findings
from headstart.data.examples import Data, Examples

AT_ONCE = 1_024
"conversations rendered at once"


@dataclass(frozen=True)
class Seen:
    """One conversation as the model sees it.

    length, trained: numbers of tokens, 0 if it can't be rendered. refused: kind of the reason why it can't be used,
    else empty; `long` if it does not fit. swallowed: roles of messages that the template leaves out. spelled: special
    tokens within messages.
    """

    length: int = 0
    trained: int = 0
    refused: str = ""
    reason: str = ""
    swallowed: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()


Look = Callable[[Sequence[Any]], Iterable[Seen]]

WORDS = {
    "template": "that the model's chat template refuses",
    "unstable": "that the model's chat template renders in more than one way",
    "stop": "with an answer that ends without a stop token",
    "boundary": "whose answer begins within a token",
    "answer": "without an answer of the assistant at the end",
}


def seen_as_tokens(data: Data, look: Look, limit: int, too_long: str) -> Data:
    """The data without rows that the model can't be given, with findings on them and on all lengths.

    look: renders conversations. limit: tokens that the model reads. too_long: `raise`, `drop` or `cut`.
    Raises `DataError` for longer conversations unless they are dropped or fit once cut, and if a split becomes empty.
    """
    findings, splits, found = Findings(), [], []
    parts: dict[str, Examples] = {}
    for split in data.record.splits:
        examples: Examples = getattr(data, split.name)
        seen = list(_seen(examples, look))
        kept = np.array([not one.refused for one in seen], dtype=bool)
        parts[split.name] = examples if kept.all() else examples.take(np.flatnonzero(kept))
        splits.append(_smaller(split, len(seen) - int(kept.sum())))
        found += [(one, place) for one, place in zip(seen, examples.places(range(len(examples))))]
    _note_refused(found, limit, too_long, findings)
    if empty := [name for name, examples in parts.items() if not len(examples)]:
        raise DataError(f"no conversation of {empty[0]} can be used. {findings.errors()}")
    _note_lengths([one for one, _ in found if one.length and not one.refused], limit, findings)
    for role in dict.fromkeys(role for one, _ in found for role in one.swallowed):
        places = [place for one, place in found if role in one.swallowed]
        message = f"{{rows}} with a {role} message that the chat template leaves out: the model never sees it"
        findings.add("swallowed", "warning", message, places)
    if spelled := [place for one, place in found if one.spelled]:
        signs = ", ".join(dict.fromkeys(sign for one, _ in found for sign in one.spelled))
        message = (
            f"{{rows}} whose messages spell out special tokens ({signs}): for the model a turn ends or begins there"
        )
        findings.add("special_tokens", "warning", message, spelled)
    record = replace(data.record, splits=tuple(splits), rows_used=sum(one.size for one in splits))
    train, validation, test = (parts.get(name, getattr(data, name)) for name in ("train", "validation", "test"))
    return with_findings(replace(data, train=train, validation=validation, test=test, record=record), findings)


def spoken(chat: Chat) -> str:
    """The contents of a conversation, without roles: to judge whether the vocabulary fits its language."""
    return "\n".join(str(message.get("content") or "") for message in chat.messages)


def _seen(examples: Examples, look: Look) -> Iterator[Seen]:
    for start in range(0, len(examples), AT_ONCE):
        yield from look(examples.inputs(np.arange(start, min(start + AT_ONCE, len(examples)))))


def _smaller(record: SplitRecord, lost: int) -> SplitRecord:
    return replace(record, size=record.size - lost, left_out=record.left_out + lost)


def _note_refused(found: Sequence[tuple[Seen, str]], limit: int, too_long: str, findings: Findings) -> None:
    long = sorted(((one.length, place) for one, place in found if one.refused == "long"), reverse=True)
    cut = sum(one.length > limit and not one.refused for one, _ in found)
    told = f"the longest has {long[0][0]:,}: {', '.join(place for _, place in long[:SHOWN])}" if long else ""
    if long and too_long == "drop":
        message = f"{{rows}} longer than the {limit:,} tokens that the model reads, left out ({told})"
        findings.add("long", "error", message, [place for _, place in long])
    elif long:
        advice = (
            "their answers alone are too long, and answers are never cut. Raise --max-length, or leave them out by "
            "--too-long drop" if too_long == "cut" else
            "raise the limit by --max-length where the model allows, leave them out by --too-long drop, or cut the "
            "start of their prompts by --too-long cut"
        )  # fmt: skip
        raise DataError(
            f"{len(long):,} of {len(found):,} conversations are longer than the {limit:,} tokens that the model reads "
            f"({told}): {advice}."
        )
    if cut:
        message = f"{{rows}} longer than the {limit:,} tokens that the model reads: the start of the prompt is cut"
        findings.add("long", "warning", message, [p for one, p in found if one.length > limit and not one.refused])
    for kind, words in WORDS.items():
        rows = [(one.reason, place) for one, place in found if one.refused == kind]
        for reason in dict.fromkeys(reason for reason, _ in rows[:1]):
            findings.add(kind, "error", f"{{rows}} {words}, left out: {reason}", [place for _, place in rows])


def _note_lengths(seen: Sequence[Seen], limit: int, findings: Findings) -> None:
    if not seen:
        return
    lengths = np.array([one.length for one in seen])
    share = sum(one.trained for one in seen) / lengths.sum()
    message = (
        f"conversations have {np.median(lengths):,.0f} tokens at the median and {lengths.max():,} at most, of "
        f"{limit:,} that are read; {share:.0%} of all tokens are trained"
    )
    findings.add("tokens", "note", message, count=len(seen))
