"""Pretraining word vectors on running text, and the folder they are written to."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.backbones.loaders.vector_backbone import write_folder
from headstart.backbones.networks.word_vectors import WordVectors
from headstart.backbones.tokenizers.words import counted, words_of
from headstart.core.disk.files import replacing_folder, write_json
from headstart.core.environment import environment
from headstart.core.errors import ConfigurationError, DataError
from headstart.core.progress import Progress
from headstart.data.audit.findings import Findings
from headstart.data.corpus.cooccurrence import Cooccurrence, count
from headstart.data.corpus.corpus import Corpus, together
from headstart.data.corpus.packed import pack, packed_ids
from headstart.engine.state.checkpoint import Checkpoint
from headstart.pretraining.jobs import glove, word2vec
from headstart.pretraining.objectives.glove import Glove
from headstart.pretraining.objectives.vectors import VectorObjective
from headstart.pretraining.objectives.word2vec import Word2Vec
from headstart.pretraining.pretraining import REPORT, TOLD, UNFINISHED, Request, ended, is_done, report, shown


@dataclass(frozen=True)
class Stream:
    """The corpus as word ids, and the words, most frequent first."""

    ids: np.ndarray
    words: list[str]
    counts: list[int]
    size: dict[str, Any]
    "counts of paragraphs, words, and words with a vector; findings of reading"


def run(objective: Word2Vec | Glove, request: Request) -> list[str]:
    """Trains on the corpus, writes a folder of word vectors, and returns a summary.

    The packed corpus, the counts, and each pass of GloVe are saved for resuming; gensim saves nothing, so that its
    training starts again after an interruption. `pretrained.json` is the report.
    """
    _check(objective, request)
    threads = objective.threads or torch.get_num_threads()
    corpus, work, progress = Corpus(tuple(request.sources), request.text), request.out / UNFINISHED, request.progress
    settings = {name: getattr(objective, name) for name in ("lowercase", "minimum_count", "vocabulary")}
    told = {"sources": corpus.stamp(progress), "text": corpus.text, **settings}
    work.mkdir(parents=True, exist_ok=True)
    stream = _stream(objective, corpus, work, told, progress)
    trained: dict[str, Any]
    if isinstance(objective, Glove):
        matrix, trained = _glove(objective, stream, work, told, threads, request)
    else:
        matrix, trained = _word2vec(objective, stream, work, told, threads, request)
    done = report(
        objective, request, {"corpus": {"sources": list(corpus.sources), **stream.size}},
        ("cost", trained["costs"][-1]) if "costs" in trained else ("", None),
        threads=threads, words=len(stream.words), **trained, environment=environment("cpu", "fp32").to_json(),
    )  # fmt: skip
    with replacing_folder(request.out) as temporary:
        vectors = WordVectors(stream.words, matrix)
        write_folder(temporary, vectors, objective.unknown, seed=request.seed, half=request.half)
        write_json(temporary / REPORT, done)
    size = stream.size
    lines = [
        *ended(done),
        f"{size['paragraphs']:,} paragraphs, {size['words']:,} words; {len(stream.words):,} different ones, "
        f"{size['kept'] / size['words']:.1%} of the text, got a vector in {trained['seconds']:.0f} s",
    ]
    if costs := trained.get("costs"):
        lines.append(f"cost of an entry {costs[0]:.4f} -> {costs[-1]:.4f}, {trained['entries']:,} entries")
    return lines


def _check(objective: VectorObjective, request: Request) -> None:
    name = objective.name
    if importlib.util.find_spec(objective.needs) is None:
        raise ConfigurationError(
            f"{name} needs {objective.needs}, which is not installed: pip install 'headstart[vectors]'."
        )
    if request.base is not None:
        raise ConfigurationError(
            f"{name} can't go on from {request.base}: its vocabulary and counts are those of the corpus. Leave out "
            "--from and give all the text there is; to go on with a task's labels, use --model."
        )


def _glove(
    objective: Glove, stream: Stream, work: Path, told: dict[str, Any], threads: int, request: Request
) -> tuple[np.ndarray, dict[str, Any]]:
    start = time.perf_counter()
    wanted = {**told, "window": objective.window, "seed": request.seed}
    if not is_done(work / "counts", wanted):
        request.progress.stage("count co-occurrences", len(stream.ids))
        with replacing_folder(work / "counts") as temporary:
            count(stream.ids, len(stream.words), objective.window, temporary / "entries", objective.memory,
                  request.seed, request.progress)  # fmt: skip
            write_json(temporary / TOLD, wanted)
    found = Cooccurrence(work / "counts" / "entries")
    counted = time.perf_counter() - start
    if not len(found):
        raise DataError(f"no two words with a vector occur together in {', '.join(request.sources)}. Give more text.")
    request.progress.stage("pretrain glove", len(found) * objective.epochs)
    checkpoint = Checkpoint(work / "checkpoint.safetensors")
    trained = glove.train(
        found, len(stream.words), objective, threads, request.seed, json.dumps(wanted), checkpoint, request.progress
    )
    return trained.vectors, {
        "entries": len(found), "costs": trained.costs, "counting_seconds": counted, "seconds": trained.seconds,
        "status": trained.status,
    }  # fmt: skip


def _word2vec(
    objective: Word2Vec, stream: Stream, work: Path, told: dict[str, Any], threads: int, request: Request
) -> tuple[np.ndarray, dict[str, Any]]:
    begun = {**told, **asdict(objective), "objective": objective.name, "seed": request.seed}
    if is_done(work / "begun", begun):
        request.progress.say("the training that was interrupted starts again: word2vec has no checkpoints")
    (work / "begun").mkdir(exist_ok=True)
    write_json(work / "begun" / TOLD, begun)
    request.progress.stage(f"pretrain {objective.name}", len(stream.ids) * objective.epochs)
    start = time.perf_counter()
    matrix = word2vec.train(stream.ids, stream.words, stream.counts, objective, threads, request.seed, request.progress)
    return matrix, {"seconds": time.perf_counter() - start, "status": "ok"}


def _stream(objective: VectorObjective, corpus: Corpus, work: Path, told: dict[str, Any], progress: Progress) -> Stream:
    """Writes the corpus as ids of the words with a vector, or reads an existing one."""
    place = work / "words"
    if not is_done(place, told):
        findings = Findings()
        progress.stage("count words")

        def watched() -> Iterator[str]:
            for text in corpus.paragraphs(findings):
                progress.advance()
                yield text

        counts, total = counted(watched(), objective.lowercase)
        noted = shown(findings, progress)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: objective.vocabulary]
        kept = {word: seen for word, seen in ordered if seen >= objective.minimum_count}
        if not counts:
            raise DataError(f"{', '.join(corpus.sources)} holds no text.")
        if not kept:
            raise DataError(
                f"{', '.join(corpus.sources)} has no word that occurs {objective.minimum_count} times. Give more text, "
                "or a smaller minimum_count."
            )
        size: dict[str, Any] = {"paragraphs": 0, "words": total, "kept": sum(kept.values()), "findings": noted}
        del counts
        rows = {word: row for row, word in enumerate(kept)}

        def encoded() -> Iterator[list[list[int]]]:
            for texts in together(corpus.paragraphs()):
                found = ([rows[word] for word in words_of(text, objective.lowercase) if word in rows] for text in texts)
                progress.advance(len(texts))
                if kept_ids := [ids for ids in found if ids]:
                    size["paragraphs"] += len(kept_ids)
                    yield kept_ids

        progress.stage("write the corpus as ids")
        with replacing_folder(place) as temporary:
            pack(temporary / "ids", encoded(), len(kept), len(kept) + 1)
            write_json(temporary / "words.json", {"counts": list(kept.items()), "size": size})
            write_json(temporary / TOLD, told)
    found = json.loads((place / "words.json").read_text(encoding="utf-8"))
    words, seen = zip(*found["counts"])
    return Stream(packed_ids(place / "ids"), list(words), list(seen), found["size"])
