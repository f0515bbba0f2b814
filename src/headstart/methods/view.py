"""View: the prompt around an input of a language model, as data: instruction, demonstrations, words of the classes.

A view begins open, as a method's settings, and is `completed` by the names of the classes and training examples drawn
under a seed. A complete view is all that a prediction needs: it is saved with the artifact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.chat import ASSISTANT, USER
from headstart.core.errors import MethodError
from headstart.core.records.record import Record
from headstart.core.seeds import derive

CHOICES = ("balanced", "random", "nearest")
BETWEEN = "\n\n"
"what stands between instruction, demonstrations and question"
POOL = 2000
"maximum number of training examples from which `nearest` chooses; of more, so many are drawn"

Texts = Sequence[str | tuple[str, str]]


@dataclass(frozen=True)
class Demonstration(Record):
    text: str
    label: int
    "number of its class"


@dataclass(frozen=True)
class View(Record):
    instruction: str = ""
    "begins the prompt; `{labels}` becomes the words of all classes"
    layout: str = "Text: {}\nLabel: {}"
    "form of a demonstration: the places of its text and of its label's words; a question ends where the label would"
    words: tuple[str, ...] = ()
    "words of each class, in the order of the scores; before completion as the user gave them"
    shown: int = 0
    "demonstrations before each question"
    chat: bool = False
    "asked through the tokenizer's chat template: demonstrations are earlier turns"
    choice: str = "balanced"
    "how demonstrations are chosen: balanced by class, random, or nearest to each question by their words"
    demonstrations: tuple[Demonstration, ...] = ()
    "drawn training examples in their order; for nearest, all among which a question finds its own"

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise MethodError(f"choice is {self.choice!r}, but has to be one of {', '.join(CHOICES)}.")
        if self.shown < 0:
            raise MethodError(f"demonstrations is {self.shown}, but has to be 0 or more.")
        if self.layout.count("{}") != 2 or re.search(r"\{\w+\}", self.layout):
            raise MethodError(
                f"layout is {self.layout!r}, but needs {{}} twice, for a text and for its label: 'Text: {{}}\\nLabel: "
                "{}'."
            )
        if rest := re.search(r"\{(?!labels\})\w*\}", self.instruction):
            raise MethodError(f"instruction holds {rest[0]}, but only {{labels}} has a meaning there.")

    def completed(self, labels: Sequence[str], texts: Callable[[], Texts], targets: np.ndarray, seed: int) -> View:
        """With the words of these classes, and demonstrations of training examples drawn under this seed.

        texts: reads the training examples' inputs. targets: [n] their classes.
        """
        words = words_of(labels, self.words)
        if not self.shown:
            return replace(self, words=words)
        rng = np.random.default_rng(derive(seed, "demonstrations"))
        if self.choice == "nearest":
            places = rng.permutation(len(targets))[:POOL]
        elif self.choice == "random":
            places = rng.permutation(len(targets))[: self.shown]
        else:
            places = _balanced(targets, self.shown, rng)
        inputs = texts()
        drawn = (Demonstration(joined(inputs[i]), int(targets[i])) for i in places)
        return replace(self, words=words, demonstrations=tuple(drawn))

    @property
    def beginning(self) -> str:
        """The instruction with the words of the classes."""
        return self.instruction.replace("{labels}", listed(self.words))

    def turn(self, one: Demonstration) -> str:
        return self.question(one.text) + self.answer(one.label)

    def question(self, text: str) -> str:
        before, between, _ = self.layout.split("{}")
        return before + text + between.rstrip()

    def answer(self, label: int) -> str:
        """The words of a class, with the blank that divides them from the question in plain text."""
        between, after = self.layout.split("{}")[1:]
        return between[len(between.rstrip()) :] + self.words[label] + after

    def messages(self, text: str, demonstrations: Sequence[Demonstration]) -> list[dict[str, str]]:
        """The turns of a chat: the instruction begins the first, because some templates refuse a system's turn."""
        found = [
            {"role": role, "content": content}
            for one in demonstrations
            for role, content in ((USER, self.question(one.text)), (ASSISTANT, self.answer(one.label).strip()))
        ]
        found.append({"role": USER, "content": self.question(text)})
        if self.beginning:
            found[0]["content"] = self.beginning + BETWEEN + found[0]["content"]
        return found

    def shared(self, demonstrations: Sequence[Demonstration]) -> str:
        """What stands before a question."""
        parts = [self.beginning, *map(self.turn, demonstrations)]
        return "".join(part + BETWEEN for part in parts if part)


def joined(given: str | tuple[str, str]) -> str:
    """An input as one text; a pair has a line for each."""
    return given if isinstance(given, str) else "\n".join(given)


def listed(words: Sequence[str]) -> str:
    """`good`, `good or bad`, `good, bad or neither`."""
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def words_of(labels: Sequence[str], given: Sequence[str] = ()) -> tuple[str, ...]:
    """The words of each class: its name, or as given, all in the order of the classes or `NAME=words` for some.

    Raises `MethodError` for a number that differs from that of the classes, an unknown name, and words of two classes.
    """
    named = dict(one.split("=", 1) for one in given if "=" in one)
    if given and len(named) < len(given) and (named or len(given) != len(labels)):
        raise MethodError(
            f"labels gives {len(given)} words for the {len(labels)} classes {', '.join(labels)}; give one for each in "
            "this order, or NAME=words for some of them."
        )
    if strange := [name for name in named if name not in labels]:
        raise MethodError(f"labels names {strange[0]!r}, but the classes are {', '.join(labels)}.")
    found = tuple(cleaned(labels)) if named or not given else tuple(given)
    found = tuple(named.get(name, words) for name, words in zip(labels, found))
    if len(set(found)) < len(found) or not all(found):
        raise MethodError(f"each class needs different words, but they are {', '.join(map(repr, found))}: set labels.")
    return found


def cleaned(labels: Sequence[str]) -> list[str]:
    """Names of classes as words: `12_good-films` becomes `good films`; all unchanged if two would be the same."""
    found = []
    for name in labels:
        words = re.sub(r"[_\s]+", " ", re.sub(r"(?<=\w)[-_](?=\w)", " ", name)).strip()
        found.append(re.sub(r"^\d+[\s.:)]+(?=\D)", "", words) or name)
    return found if len(set(found)) == len(set(labels)) else list(labels)


def _balanced(targets: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Places of as equal numbers of each class as possible, in random order."""
    places = rng.permutation(len(targets))
    turn = np.zeros(len(places), dtype=np.int64)  # how many of its class come before
    for label in np.unique(targets):
        own = targets[places] == label
        turn[own] = np.arange(own.sum())
    return rng.permutation(places[np.argsort(turn, kind="stable")[:count]])
