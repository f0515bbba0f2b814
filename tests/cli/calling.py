"""Calling the command in this process, and small data made on the spot."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backbones.tiny import WORDS
from headstart.cli.main import main

FAST = ("--methods", "probe,lora", "--seeds", "1", "--trials", "1", "--epochs", "1")
PROBE = ("--methods", "probe", "--seeds", "1", "--trials", "1")
ROW = (
    "method", "status", "metric", "value", "low", "high", "learning_rate", "trained_parameters", "trained_share",
    "peak_memory_bytes", "train_seconds", "latency_seconds", "artifact_bytes", "difference", "difference_low",
    "difference_high", "p_value",
)  # fmt: skip
"the fields of a row that the record promises"
COSTS = ("peak_memory_bytes", "train_seconds", "tuning_seconds", "latency_seconds", "seeds", "trials")


@dataclass(frozen=True)
class Call:
    code: int
    out: str
    err: str
    folder: Path = Path()

    @property
    def record(self) -> dict[str, Any]:
        return record(self.folder)

    def expect(self, code: int, folder: Path | None = None) -> Call:
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        return replace(self, folder=folder or self.folder)

    def refused(self, *words: str) -> str:
        """One message on standard error, code 2, nothing on standard output; gives the message."""
        assert (self.code, self.out) == (2, ""), f"exit code {self.code}\n{self.out}\n{self.err}"
        assert self.err.startswith("headstart: ")
        assert self.err.count("headstart: ") == 1
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        assert len(self.err) < 1200, "a message nobody reads"
        for word in words:
            assert word in self.err, self.err
        return self.err


def call(*arguments: object) -> Call:
    """`headstart ARGUMENTS` in this process; an exception that gets out is written as the interpreter would."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
    os.environ.clear()
    os.environ.update(before)
    return Call(code, out.getvalue(), err.getvalue())


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "comparison.json").read_text())
    return found


def values(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows without what a clock or the machine's memory decides."""
    rows = []
    for row in found["rows"]:
        kept = {name: value for name, value in row.items() if name not in COSTS}
        for name in ("seeds", "trials"):
            kept[name] = [{k: v for k, v in run.items() if "seconds" not in k} for run in row[name]]
        rows.append(kept)
    return rows


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write_csv(path: Path, rows: Iterable[Sequence[object]], header: Sequence[str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def sentences(count: int, seed: int = 0) -> list[tuple[str, bool]]:
    """Sentences that say good or bad things, in turn."""
    rng = random.Random(seed)
    told = []
    for at in range(count):
        words = [rng.choice(WORDS) for _ in range(6)] + rng.sample(
            ["good", "great", "love"] if at % 2 else ["bad", "awful", "hate"], 2
        )
        told.append((" ".join(words), bool(at % 2)))
    return told


def reviews(path: Path, count: int = 60, seed: int = 0) -> Path:
    return write_csv(path, [(text, "yes" if good else "no") for text, good in sentences(count, seed)])


def images(folder: Path, count: int = 40) -> Path:
    """A folder of reddish and bluish noise."""
    rng = np.random.default_rng(0)
    for at in range(count):
        name = ("blue", "red")[at % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 130, (24, 24, 3), dtype=np.uint8)
        pixels[..., 0 if name == "red" else 2] += 120
        Image.fromarray(pixels).save(folder / name / f"{at}.png")
    return folder
