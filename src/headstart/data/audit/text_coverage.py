"""Text coverage before training: the share of the texts that a model reads, and unknown words.

Tokens per word reveal a foreign language: MiniLM's English vocabulary needs 1.4 on English tweets, 2.1 on French, 4.6
on Arabic ones. Words are separated by blanks; in scripts without blanks, each sign counts as a word.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headstart.core.records.data import Finding
from headstart.data.audit.findings import SHOWN, Findings, Severity
from headstart.data.examples import Data, Input

LOOKED_AT = 4_000
"maximum number of texts that are checked; the shares of more texts are estimated from these"
TOKENS_A_WORD = 1.9
"tokens per word above which the vocabulary does not fit a text"
FEWEST_WORDS = 4
"minimum number of words of a text for its tokens per word to count"
FOREIGN, UNKNOWN, CUT = 0.25, 0.02, 0.01
"shares of foreign texts, unknown tokens and cut texts from which there is a warning"

_SIGN = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"Thai, Lao, Burmese, Khmer, kana and Chinese characters"

Encode = Callable[[list[Any]], Sequence[Sequence[int]]]


def covered(
    data: Data, encode: Encode, limit: int | None, special: int, unknown: int | None,
    text: Callable[[Any], Any] = lambda given: given, windows: bool = False,
) -> Data:  # fmt: skip
    """The data with findings on truncated texts, and on texts that do not fit the vocabulary.

    encode: gives token ids of whole texts, with special tokens. limit: tokens that the model reads; None if
    longer texts are reported elsewhere. text: the words of an input. special: number of
    special tokens per example. unknown: id of the unknown token, or None. windows: longer texts are read in several.
    """
    inputs, places, count = _some(data)
    texts = list(map(text, inputs))
    ids = encode(texts)
    lengths = np.array([len(each) for each in ids])
    unknowns = np.array([sum(one == unknown for one in each) for each in ids])
    words = np.array([_words(text) for text in texts])
    about = "" if len(texts) == count else "about "
    findings = Findings()
    if windows and limit is not None:
        _note_windows(lengths, limit, count, about, findings)
    elif limit is not None:
        _note_cut(lengths, limit, places, count, about, findings)
    _note_foreign(np.maximum(lengths - special, 0), words, places, about, findings)
    _note_unknown(unknowns, np.maximum(lengths - special, 1), places, about, findings)
    return with_findings(data, findings)


def noted(data: Data, kind: str, severity: Severity, message: str) -> Data:
    """The data with one more finding, without places."""
    findings = Findings()
    findings.add(kind, severity, message)
    return with_findings(data, findings)


def with_findings(data: Data, findings: Findings) -> Data:
    """The data with these findings too."""
    record = dataclasses.replace(data.record, findings=_sorted((*data.record.findings, *findings.records())))
    return dataclasses.replace(data, record=record)


def _some(data: Data) -> tuple[list[Input], list[str], int]:
    """A sample of texts from all splits, their places, and the total number."""
    parts = [part for part in (data.train, data.validation, data.test) if len(part)]
    count = sum(map(len, parts))
    texts: list[Input] = []
    places: list[str] = []
    for part in parts:
        share = min(len(part), max(1, LOOKED_AT * len(part) // count))
        chosen = np.unique(np.linspace(0, len(part) - 1, share).astype(np.int64))
        texts += part.inputs(chosen)
        places += part.places(chosen)
    return texts, places, count


def _words(text: Input) -> int:
    parts = text if isinstance(text, tuple) else (text,)
    return sum(len(_SIGN.sub(" w ", part).split()) for part in parts if isinstance(part, str))


def _note_cut(lengths: np.ndarray, limit: int, places: list[str], count: int, about: str, findings: Findings) -> None:
    cut = np.flatnonzero(lengths > limit)
    if not len(cut):
        return
    lost = (lengths[cut] - limit).sum() / lengths.sum()
    rows = round(len(cut) * count / len(lengths))
    message = (
        f"{about}{{rows}} longer than the {limit:,} tokens that the model reads; the rest is cut, {about}{lost:.0%} "
        f"of all tokens (the longest has {lengths.max():,}); --max-length raises it where the model allows"
    )
    longest = cut[np.argsort(-lengths[cut], kind="stable")][:SHOWN]
    severe = len(cut) >= CUT * len(lengths)
    findings.add("cut", "warning" if severe else "note", message, [places[at] for at in longest], rows)


def _note_windows(lengths: np.ndarray, limit: int, count: int, about: str, findings: Findings) -> None:
    if many := round((lengths > limit).sum() * count / len(lengths)):
        message = f"{about}{{rows}} longer than {limit:,} tokens: read in several windows, which overlap"
        findings.add("windows", "note", message, count=many)


def _note_foreign(tokens: np.ndarray, words: np.ndarray, places: list[str], about: str, findings: Findings) -> None:
    looked = np.flatnonzero(words >= FEWEST_WORDS)
    if not len(looked):
        return
    ratio = tokens[looked] / words[looked]
    foreign = looked[ratio > TOKENS_A_WORD]
    if len(foreign) >= FOREIGN * len(looked):
        mean = tokens[foreign].sum() / words[foreign].sum()
        message = (
            f"{about}{len(foreign) / len(looked):.0%} of the texts take {mean:.1f} tokens per word: the model's "
            "vocabulary hardly fits them, for instance because of another language. Try a multilingual model"
        )
        worst = foreign[np.argsort(-ratio[ratio > TOKENS_A_WORD], kind="stable")][:SHOWN]
        findings.add("vocabulary", "warning", message, [places[at] for at in worst], len(foreign))


def _note_unknown(unknowns: np.ndarray, tokens: np.ndarray, places: list[str], about: str, findings: Findings) -> None:
    share = unknowns.sum() / tokens.sum()
    if share >= UNKNOWN:
        message = f"{about}{share:.0%} of the tokens are unknown to the model: it sees one sign for all of them"
        worst = np.argsort(-unknowns / tokens, kind="stable")[:SHOWN]
        findings.add("vocabulary", "warning", message, [places[at] for at in worst], int((unknowns > 0).sum()))


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    order = {"error": 0, "warning": 1}
    return tuple(sorted(findings, key=lambda finding: order.get(finding.severity, 2)))
