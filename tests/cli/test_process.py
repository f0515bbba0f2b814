"""What only a real process shows: signals, pipes, closed and full output, the start-up time, limits of the system."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backbones.tiny import WORDS
from cli.calling import FAST, PROBE, Call, call, record, reviews, tree, values
from cli.test_stopping import whole
from processes import COMMAND, Nursery, Started

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")


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


def test_a_pipe_gets_no_bars(lora_run: Call, here: Path) -> None:
    """Nor those of other libraries, which decide when they are imported: in a process that imports them itself."""
    asked = [sys.executable, "-c", COMMAND, "export", str(lora_run.folder), "-o", "exported"]
    done = subprocess.run(asked, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    written, *precision = done.stdout.splitlines()
    assert written.startswith("exported written and checked")
    assert len(precision) <= 1, "where the model was tested in bf16, what fp32 changes"


@POSIX
def test_a_reader_that_goes_away(text_run: Call, here: Path, processes: Nursery) -> None:
    """`headstart predict … | head -1`: no message, no code that stops a script."""
    reviews(here / "many.csv", 4000)
    process = processes.start("predict", text_run.folder, "many.csv")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("text,label,prediction,confidence,error")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


@POSIX
def test_a_run_goes_on_when_nobody_reads_its_progress(here: Path, processes: Nursery) -> None:
    """`headstart compare … 2>&1 | head -1` has the whole record."""
    process = processes.start("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", joined=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) == 0
    assert record(here / "run")["status"] == "complete"


@POSIX
def test_output_that_is_closed_or_full(text_run: Call, processes: Nursery) -> None:
    """Little output, which the interpreter would write when it ends, past every handler."""
    with open("/dev/full", "w") as full:
        done = Call(*processes.run("predict", text_run.folder, "a film", out=full))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "the output can't be written: No space left on device" in done.err
    process = processes.start("predict", text_run.folder, "a film")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert process.ended() == (0, "", "")
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" runs --all >&-', sys.executable, COMMAND], capture_output=True, text=True
    )
    assert (closed.returncode, closed.stderr) == (0, "")


def test_an_encoding_that_lacks_letters(here: Path, text_run: Call, processes: Nursery) -> None:
    done = Call(*processes.run("predict", text_run.folder, "Café", PYTHONIOENCODING="ascii")).expect(0)
    assert done.out.splitlines()[1].startswith("Caf\\xe9,")


@contextlib.contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """What a full quota does: a larger file can't be written to its end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@POSIX
def test_a_limit_on_the_size_of_files(here: Path) -> None:
    options = ("compare", "reviews.csv", "--model", "bert", *FAST, "--out", "run")
    with files_of_at_most(20_000):
        done = call(*options, "--quiet")
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
    (here / "texts.txt").write_text("".join(f"the {word} is here and the {word} is there\n" for word in WORDS * 20))
    options = ("pretrain", "mlm", "texts.txt", "--out", "lm", "--set", "size=tiny", "--set", "vocabulary=400",
               "--set", "epochs=1", "--set", "tokenizer=bpe", "--quiet")  # fmt: skip
    with files_of_at_most(most):
        call(*options).refused("can't write", "File too large")
    assert not (here / "lm" / "pretrained.json").exists()
    assert not [file for file in here.rglob("*") if file.name.endswith(".tmp")]
    call(*options).expect(0)
    assert not (here / "lm" / "unfinished").exists()
    call("compare", "reviews.csv", "--model", "lm", *PROBE, "--out", "run").expect(0)


LONG = ("compare", "reviews.csv", "--model", "bert", "--methods", "probe,full", "--seeds", "2", "--trials", "2",
        "--epochs", "6", "--precision", "fp32", "--out", "run")  # fmt: skip


def interrupted(process: Started) -> Call:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process of the command
    return Call(*process.ended())


def stopped_well(done: Call, here: Path) -> None:
    assert "Traceback" not in done.err, done.err
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1].startswith("headstart: stopped. All finished work is kept")
    whole(here / "run")


@POSIX
def test_a_real_control_c(here: Path, processes: Nursery) -> None:
    asked = (*LONG[:-2], "--seeds", "1", "--out")
    process = processes.start(*asked, "run")
    while process.poll(0.01) is None and not any((here / "run" / "progress").glob("full/*/run.json")):
        pass
    stopped_well(interrupted(process), here)
    partial = record(here / "run")
    assert partial["status"] == "partial"
    assert [row["status"] for row in partial["rows"]] == ["ok", "not run"]
    kept = tree(here / "run")
    call(*asked, "run").refused("already holds a run")
    assert tree(here / "run") == kept
    call(*asked, "run", "--resume").expect(0)
    call(*asked, "unstopped").expect(0)
    assert values(record(here / "run")) == values(record(here / "unstopped"))
    assert json.loads((here / "run/configuration.json").read_text())["epochs"] == 6


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0])
def test_control_c_after(here: Path, processes: Nursery, seconds: float) -> None:
    """While libraries are imported, data read, the model loaded, a method trained."""
    process = processes.start(*LONG)
    process.poll(seconds)
    done = interrupted(process)
    if done.code == 0:
        pytest.skip("the machine was through by then")
    stopped_well(done, here)
    call(*LONG, "--resume").expect(0)
    assert record(here / "run")["status"] == "complete"


@POSIX
def test_control_c_while_starting(here: Path) -> None:
    """In a process that imports everything itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    time.sleep(0.7)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    stopped_well(Call(process.returncode, out, err), here)
    assert not (here / "run").exists()


def test_a_script_may_end_with_an_adapter_in_use(lora_run, models: Path, processes: Nursery) -> None:
    """What is on the backbone comes off before the interpreter takes its modules away."""
    script = (
        "import headstart, sys\n"
        "bank = headstart.Adapters(headstart.load(sys.argv[1]))\n"
        "bank.add('one', sys.argv[2])\n"
        "bank.use('one')\n"
        "print(bank.predict(['a good film'])[0].label)\n"
    )
    done = Call(*processes.run(models / "bert", lora_run.folder, script=script)).expect(0)
    assert "Exception ignored" not in done.err
    assert "Traceback" not in done.err
    assert done.out.strip() in ("yes", "no")
