"""Small question answering sets in SQuAD's format, in words that the tiny tokenizers know."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from backbones.tiny import WORDS

COLOURS = ("red", "green", "blue")
Asked = tuple[str, str, list[str]]
"question, passage, accepted answers"


def article(number: int, asked: Iterable[Asked]) -> dict[str, Any]:
    paragraphs = [
        {
            "context": passage,
            "qas": [
                {
                    "id": f"{number}-{at}",
                    "question": question,
                    "is_impossible": not answers,
                    "answers": [{"text": one, "answer_start": passage.index(one)} for one in answers],
                }
            ],
        }
        for at, (question, passage, answers) in enumerate(asked)
    ]
    return {"title": f"article {number}", "paragraphs": paragraphs}


def write(file: Path, asked: Iterable[Asked]) -> Path:
    """Two questions an article."""
    every = list(asked)
    articles = [article(at, every[at : at + 2]) for at in range(0, len(every), 2)]
    file.write_text(json.dumps({"version": "1", "data": articles}, ensure_ascii=False), encoding="utf-8")
    return file


def questions(count: int, seed: int, length: int = 12, unanswerable: float = 0.0) -> list[Asked]:
    """The answer is the colour and the word behind it: the passage alone tells it. Without a colour there is none."""
    random = np.random.default_rng(seed)
    plain = [word for word in WORDS if word not in COLOURS and len(word) > 1]
    found: list[Asked] = []
    for _ in range(count):
        words = list(map(str, random.choice(plain, length)))
        colour, at = str(random.choice(COLOURS)), int(random.integers(1, length - 2))
        held = random.random() >= unanswerable
        words[at : at + 1] = [colour] if held else []
        answers = [" ".join(words[at : at + 2])] if held else []
        found.append((f"{random.choice(plain)} {random.choice(plain)} ?", " ".join(words) + ".", answers))
    return found


def folder(place: Path, unanswerable: float = 0.0, length: int = 12) -> Path:
    place.mkdir(exist_ok=True)
    for seed, (name, count) in enumerate((("train", 64), ("validation", 20), ("test", 24))):
        write(place / f"{name}.json", questions(count, seed, length, unanswerable))
    return place
