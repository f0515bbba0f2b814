"""What only a real process shows: signals, pipes, closed and full output, the start-up time, limits of the system."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backbones.tiny import WORDS
from cli.calling import FAST, PROBE, Call, call, record, reviews, tree, values
from cli.test_stopping import whole

COMMAND = (sys.executable, "-c", "from headstart.cli.main import main; main()")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    settings.update(options)
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **settings)


def finish(*arguments: object, **options: Any) -> Call:
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=120)
    return Call(process.returncode, out or "", err or "")


def test_help_is_instant() -> None:
    """Processor time, which other work on the machine does not change; the best of three."""
    best = 9.0
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = finish("--help").expect(0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "compare" in done.out
    assert best < 0.5


def test_help_of_a_verb_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom headstart.cli.main import main\n"
        "for verb in ('compare', 'fit', 'predict', 'inspect', 'export', 'find-rate', 'methods', 'pretrain'):\n"
        "    main([verb, '--help'])\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout.count("Usage: headstart ") == 8


def test_a_pipe_gets_no_colours_and_no_bars(here: Path, lora_run: Call) -> None:
    done = finish("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run").expect(0)
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err
    assert done.err.splitlines()[-1].split()[0] == "probe"
    done = finish("export", lora_run.folder, "-o", "exported").expect(0)
    assert done.err == ""
    written, *precision = done.out.splitlines()
    assert written.startswith("exported written and checked")
    assert len(precision) <= 1, "where the model was tested in bf16, what fp32 changes"


@POSIX
def test_a_reader_that_goes_away(text_run: Call, here: Path) -> None:
    """`headstart predict … | head -1`: no message, no code that stops a script."""
    reviews(here / "many.csv", 4000)
    process = start("predict", text_run.folder, "many.csv")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("text,label,prediction,confidence,error")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


@POSIX
def test_a_run_goes_on_when_nobody_reads_its_progress(here: Path) -> None:
    """`headstart compare … 2>&1 | head -1` has the whole record."""
    process = start("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", stderr=subprocess.STDOUT)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) == 0
    assert record(here / "run")["status"] == "complete"


@POSIX
def test_output_that_is_closed_or_full(text_run: Call) -> None:
    """Little output, which the interpreter would write when it ends, past every handler."""
    with open("/dev/full", "w") as full:
        done = finish("predict", text_run.folder, "a film", stdout=full)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "the output can't be written: No space left on device" in done.err
    process = start("predict", text_run.folder, "a film")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == ("", 0)
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', *COMMAND, "methods"], capture_output=True, text=True, timeout=60
    )
    assert (closed.returncode, closed.stderr) == (0, "")


def test_an_encoding_that_lacks_letters(here: Path, text_run: Call) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = finish("predict", text_run.folder, "Café", env=environment).expect(0)
    assert done.out.splitlines()[1].startswith("Caf\\xe9,")


@POSIX
def test_a_limit_on_the_size_of_files(here: Path) -> None:
    """What a full quota does: a file of weights can't be written to its end."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    options = ("compare", "reviews.csv", "--model", "bert", *FAST, "--out", "run")
    done = finish(*options, "--quiet", preexec_fn=limit)
    done.refused("can't write", "File too large", "--resume continues")
    whole(here / "run")
    partial = record(here / "run")
    assert (partial["status"], [row["status"] for row in partial["rows"]]) == ("partial", ["ok", "not run"])
    call(*options, "--resume").expect(0)
    call(*options[:-1], "other").expect(0)
    assert values(record(here / "run")) == values(record(here / "other"))


@POSIX
@pytest.mark.parametrize("most", [2_000, 100_000])
def test_a_pretraining_on_a_full_disk_goes_on_where_it_stopped(here: Path, most: int) -> None:
    """The tokenizer is what can't be written to its end, or the weights."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    (here / "texts.txt").write_text("".join(f"the {word} is here and the {word} is there\n" for word in WORDS * 20))
    options = ("pretrain", "mlm", "texts.txt", "--out", "lm", "--set", "size=tiny", "--set", "vocabulary=400",
               "--set", "epochs=1", "--set", "tokenizer=bpe", "--quiet")  # fmt: skip
    finish(*options, preexec_fn=limit).refused("can't write", "File too large")
    assert not (here / "lm" / "pretrained.json").exists()
    assert not [file for file in here.rglob("*") if file.name.endswith(".tmp")]
    call(*options).expect(0)
    assert not (here / "lm" / "unfinished").exists()
    call("compare", "reviews.csv", "--model", "lm", *FAST, "--out", "run").expect(0)


LONG = ("compare", "reviews.csv", "--model", "bert", "--methods", "probe,full,lora", "--seeds", "2", "--trials", "2",
        "--epochs", "12", "--out", "run")  # fmt: skip


def interrupted(ready: Callable[[], bool]) -> Call:
    process = start(*LONG, start_new_session=True)
    while not ready() and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process of the command
    out, err = process.communicate(timeout=60)
    return Call(process.returncode, out, err)


def stopped_well(done: Call, here: Path) -> None:
    assert "Traceback" not in done.err, done.err
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1].startswith("headstart: stopped. All finished work is kept")
    whole(here / "run")


@POSIX
def test_a_real_control_c(here: Path) -> None:
    stopped_well(interrupted(lambda: any((here / "run" / "progress").glob("full/*/run.json"))), here)
    partial = record(here / "run")
    assert partial["status"] == "partial"
    assert partial["rows"][0]["status"] == "ok"
    kept = tree(here / "run")
    call(*LONG).refused("already holds a run")
    assert tree(here / "run") == kept
    call(*LONG, "--resume").expect(0)
    call(*LONG[:-1], "unstopped").expect(0)
    assert values(record(here / "run")) == values(record(here / "unstopped"))
    assert json.loads((here / "run/configuration.json").read_text())["epochs"] == 12


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0])
def test_control_c_after(here: Path, seconds: float) -> None:
    """While libraries are imported, data read, the model loaded, a method trained."""
    end = time.monotonic() + seconds
    done = interrupted(lambda: time.monotonic() > end)
    if done.code == 0:
        pytest.skip("the machine was through by then")
    stopped_well(done, here)
    call(*LONG, "--resume").expect(0)
    assert record(here / "run")["status"] == "complete"


@POSIX
def test_control_c_while_starting(here: Path) -> None:
    end = time.monotonic() + 0.7
    stopped_well(interrupted(lambda: time.monotonic() > end), here)
    assert not (here / "run").exists()


def test_a_script_may_end_with_an_adapter_in_use(lora_run, models: Path) -> None:
    """What is on the backbone comes off before the interpreter takes its modules away."""
    script = (
        "import headstart, sys\n"
        "bank = headstart.Adapters(headstart.load(sys.argv[1]))\n"
        "bank.add('one', sys.argv[2])\n"
        "bank.use('one')\n"
        "print(bank.predict(['a good film'])[0].label)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, models / "bert", lora_run.folder], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() in ("yes", "no")
