"""kill -9 at random moments: the same command comes to the same record, or says clearly why not; nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backbones.tiny import WORDS
from cli.calling import FAST, call, record, tree, values
from cli.test_stopping import whole

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

COMPARE = ("compare", "reviews.csv", "--model", "bert", *FAST, "--out", "run")
PRETRAIN = ("pretrain", "mlm", "texts.txt", "--set", "size=tiny", "--set", "vocabulary=400", "--set", "epochs=2",
            "--out", "lm")  # fmt: skip


def started(*arguments: object) -> int:
    """The command in a process of its own, forked from this one, which has imported everything."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(null, stream)
        done = call(*arguments)
        os._exit(done.code if isinstance(done.code, int) else 1)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(after: float, *arguments: object) -> bool:
    """Whether the command was still running when it was killed."""
    pid = started(*arguments)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    return ended(pid) == -signal.SIGKILL


def takes(*arguments: object) -> float:
    """Seconds of the command, whose last argument names what it makes, once all is imported."""
    call(*arguments).expect(0)
    begun = time.perf_counter()
    assert ended(started(*arguments[:-1], "timed")) == 0
    return time.perf_counter() - begun


def checks(here: Path) -> Any:
    """What the evaluation found, without what a clock decides."""
    found = json.loads((here / "run" / "evaluation.json").read_text())
    return [one for model in found["models"] for one in model["checks"] if one["kind"] != "cost"]


def rounds(moments: random.Random, seconds: float, most: int, resumed: Callable[[], bool], *command: object) -> int:
    """Kills the command up to `most` times at random moments of its whole run, each time going on; gives how often."""
    kills = 0
    for _ in range(most):
        if not killed(moments.uniform(0, 0.8 * seconds), *command, *(["--resume"] if resumed() else [])):
            break
        kills += 1
    return kills


def test_a_comparison(here: Path) -> None:
    seconds, moments, kills = takes(*COMPARE[:-1], "whole"), random.Random(0), 0
    expected = values(record(here / "whole"))
    for number in range(7):
        kills += rounds(moments, seconds, 4, (here / "run" / "configuration.json").exists, *COMPARE)
        for file in (here / "run").rglob("run.json"):
            json.loads(file.read_text())  # what is finished is whole
        call(*COMPARE, "--resume").expect(0)
        whole(here / "run")
        assert (record(here / "run")["status"], values(record(here / "run"))) == ("complete", expected)
        call("predict", "run", "a good film").expect(0)
        (here / "run").rename(here / f"run-{number}")
    assert kills >= 14, "the others came too late to kill anything"


def test_a_pretraining(here: Path) -> None:
    (here / "texts.txt").write_text("".join(f"the {word} is here and the {word} is there\n" for word in WORDS * 20))
    seconds, moments, kills = takes(*PRETRAIN[:-1], "whole"), random.Random(1), 0
    expected = tree(here / "whole")["model.safetensors"]
    for number in range(5):
        kills += rounds(moments, seconds, 3, lambda: False, *PRETRAIN)
        if not (here / "lm" / "pretrained.json").exists():
            call(*PRETRAIN).expect(0)
        assert not (here / "lm" / "unfinished").exists()
        assert tree(here / "lm")["model.safetensors"] == expected
        (here / "lm").rename(here / f"lm-{number}")
    assert kills >= 8


def test_an_evaluation(here: Path) -> None:
    """The earlier record stays until the new one takes its place; what the run holds is not touched."""
    call("fit", "reviews.csv", "--model", "bert", "--trials", "1", "--epochs", "1", "--out", "run").expect(0)
    command = ("evaluate", "run", "--quiet")
    first = call(*command).code
    begun = time.perf_counter()
    assert ended(started(*command)) == first
    seconds = time.perf_counter() - begun
    assert first in (0, 1, 3), "a gate's answer"
    expected = checks(here)
    run, moments = record(here / "run"), random.Random(2)
    kills = sum(killed(moments.uniform(0, seconds), *command) for _ in range(10))
    assert kills >= 5
    assert record(here / "run") == run
    assert checks(here) == expected
    assert ended(started(*command)) == first
    assert checks(here) == expected


def test_an_export(here: Path) -> None:
    call("fit", "reviews.csv", "--model", "bert", "--trials", "1", "--epochs", "1", "--out", "run").expect(0)
    seconds, moments, kills = takes("export", "run", "-o", "whole"), random.Random(3), 0
    for number in range(10):
        out = here / f"out-{number}"
        kills += killed(moments.uniform(0, seconds), "export", "run", "-o", out)
        if not out.exists():
            call("export", "run", "-o", out).expect(0)
        assert tree(out) == tree(here / "whole"), "there wholly, or not at all"
    assert kills >= 5


def test_two_processes_on_one_folder(here: Path) -> None:
    """One of them does the work; the other is refused; a kill of either leaves the run to the next."""
    seconds = takes(*COMPARE[:-1], "whole")
    expected, moments = values(record(here / "whole")), random.Random(4)
    for number in range(10):
        resume = ["--resume"] if number % 2 else []
        if resume:
            killed(seconds / 2, *COMPARE)
            resume = resume if (here / "run" / "configuration.json").exists() else []
        pids = [started(*COMPARE, *resume) for _ in range(2)]
        if number % 3 == 0:
            time.sleep(moments.uniform(0, seconds))
            os.kill(pids[0], signal.SIGKILL)
        codes = [ended(pid) for pid in pids]
        assert set(codes) <= {0, 2, -signal.SIGKILL}, codes
        call(*COMPARE, "--resume").expect(0)
        whole(here / "run")
        assert (record(here / "run")["status"], values(record(here / "run"))) == ("complete", expected)
        (here / "run").rename(here / f"run-{number}")
