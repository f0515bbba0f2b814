"""WordVectors: words with vectors; nearest neighbours, analogies, and the analogy benchmark.

Not gensim's KeyedVectors, because loading a backbone would then need gensim; the tests hold both to the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import ConfigurationError, DataError, suggestion

AT_ONCE = 512
"number of questions per batch"


@dataclass(frozen=True)
class Section:
    """Results for analogies of one kind. skipped: questions with a word without a vector."""

    name: str
    right: int
    asked: int
    skipped: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """words: distinct words, most frequent first. matrix: [V, D] float32, one row per word.

    repeated: number of ignored rows of a file, because their word came before.
    """

    words: list[str]
    matrix: np.ndarray
    repeated: int = 0

    @cached_property
    def rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> np.ndarray:
        """[V, D] the vectors scaled to length one; zero vectors stay zero."""
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        found: np.ndarray = self.matrix / np.where(lengths > 0, lengths, 1)
        return found

    def row(self, word: str) -> int:
        """Row of the word, else of its lower case. Raises `ConfigurationError` with similar words if there is none."""
        for form in (word, word.lower()):
            if form in self.rows:
                return self.rows[form]
        near = suggestion(word, self.words[:50_000])
        raise ConfigurationError(f"{word!r} has no vector among these {len(self.words):,} words.{near}")

    def nearest(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """Nearest neighbours: the words with the highest cosine similarity to this one, and the cosines."""
        row = self.row(word)
        return self._best(self.unit[row], [row], count)

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[tuple[str, float]]:
        """Analogy (3CosAdd), a is to b as c is to …: `argmax_x cos(x, b - a + c)` without the three words, and cosines.

        Source: Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word Representations", section 4.
        """
        rows = [self.row(word) for word in (a, b, c)]
        first, second, third = self.unit[rows]
        target = second - first + third
        return self._best(target / max(float(np.linalg.norm(target)), 1e-12), rows, count)

    def _best(self, target: np.ndarray, without: Sequence[int], count: int) -> list[tuple[str, float]]:
        scores = self.unit @ target  # [V]
        scores[list(without)] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(count, len(scores) - len(set(without)))]
        return [(self.words[row], float(scores[row])) for row in best]

    def benchmark(self, questions: str | Path, restrict: int | None = None) -> list[Section]:
        """Analogy benchmark by section, like `compute-accuracy` of word2vec, ignoring case.

        questions: a line `: name` starts a section, `a b c d` is a question. Questions with unknown words are skipped.
        restrict: use only the first N words.
        Raises `DataError` for a file without analogies.
        """
        known: dict[str, int] = {}
        for row, word in enumerate(self.words[:restrict]):
            known.setdefault(word.lower(), row)
        unit = self.unit[:restrict]
        forms = np.array([known[word.lower()] for word in self.words[:restrict]])
        "row of the first word that is equal in lower case"
        sections = []
        for name, lines in read_questions(questions):
            asked = np.array(
                [[known[word] for word in line] for line in lines if all(word in known for word in line)],
                dtype=np.int64,
            ).reshape(-1, 4)
            right = 0
            for at in range(0, len(asked), AT_ONCE):
                a, b, c, d = asked[at : at + AT_ONCE].T
                scores = (unit[b] - unit[a] + unit[c]) @ unit.T  # [n, V]
                for given in (a, b, c):
                    scores[np.arange(len(a)), given] = -np.inf
                answers = scores.argmax(1)
                right += int((forms[answers] == d).sum())
            sections.append(Section(name, right, len(asked), len(lines) - len(asked)))
        return sections


def read_questions(path: str | Path) -> list[tuple[str, list[list[str]]]]:
    """Sections with their questions, in lower case."""
    place = Path(path)
    if not place.is_file():
        raise DataError(f"there is no file {place}; give analogies such as word2vec's questions-words.txt.")
    sections: list[tuple[str, list[list[str]]]] = []
    for number, line in enumerate(place.read_bytes().split(b"\n"), 1):
        words = line.decode("utf-8", errors="replace").lower().split()
        if not words:
            continue
        if words[0].startswith(":"):
            sections.append((" ".join(words)[1:].strip(), []))
        elif len(words) != 4 or not sections:
            raise DataError(
                f"{place}, line {number}: {line[:60].decode('utf-8', errors='replace')!r} is no analogy. A section "
                "begins with `: name`; each of its lines has four words."
            )
        else:
            sections[-1][1].append(words)
    if not sections:
        raise DataError(
            f"{place} holds no analogies: a section begins with `: name`; each of its lines has four words."
        )
    return sections


def total(sections: Sequence[Section], name: str) -> Section:
    """The sum of all sections."""
    return Section(name, *(sum(getattr(one, field) for one in sections) for field in ("right", "asked", "skipped")))
