"""Whatever stops a run, at whatever moment: nothing is half-written, and --resume comes to the same results."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cli.calling import FAST, PROBE, Call, call, record, reviews, tree, values

OPTIONS = ("--model", "bert", *FAST, "--out", "run")


@pytest.fixture(scope="module")
def expected(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of the run that nothing stopped."""
    folder = tmp_path_factory.mktemp("unstopped")
    reviews(folder / "reviews.csv")
    (folder / "bert").symlink_to(models / "bert")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("compare", "reviews.csv", *OPTIONS).expect(0)
    return values(record(folder / "run"))


class Stop:
    """Raises at the n-th time that a file or folder takes its place, before or after it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException, after: bool = False) -> None:
        self.at, self.error, self.after, self.seen = at, error, after, 0
        self.replace = os.replace
        monkeypatch.setattr(os, "replace", self)

    def __call__(self, source: Any, target: Any) -> None:
        self.seen += 1
        stop = self.seen == self.at
        if self.after or not stop:
            self.replace(source, target)
        if stop:
            raise self.error


def whole(folder: Path) -> None:
    """Every file below the folder can be read: nothing is half-written, nothing temporary is left."""
    from safetensors.numpy import load_file

    for path in folder.rglob("*"):
        assert not path.name.startswith("."), f"{path} was left behind"
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            load_file(path)


WRITES = 23
"times that the run of these tests puts something into its place"
MODEL = 6
"the time at which the first trained model takes its place"


def test_how_often_this_run_writes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop(monkeypatch, 0, KeyboardInterrupt())
    call("compare", "reviews.csv", *OPTIONS).expect(0)
    assert stop.seen == WRITES, "set WRITES, so that the tests below stop at every one"


def any_finished(run: Path) -> str | None:
    """The method that a run's record recommends, or the first that it has finished."""
    if not (run / "comparison.json").exists():
        return None
    found = record(run)
    done = [row["method"] for row in found["rows"] if row["status"] == "ok"]
    return found["verdict"]["method"] or (done[0] if done else None)


def sample(*chosen: int) -> list[Any]:
    """All writes; the chosen ones in the default suite, the rest in the slow one."""
    return [pytest.param(at, marks=[] if at in chosen else pytest.mark.slow) for at in range(1, WRITES + 1)]


@pytest.mark.parametrize("at", sample(1, MODEL, MODEL + 1, 12, 17, WRITES))
def test_control_c_at_any_write(
    here: Path, monkeypatch: pytest.MonkeyPatch, expected: list[dict[str, Any]], at: int
) -> None:
    with monkeypatch.context() as patch:
        Stop(patch, at, KeyboardInterrupt(), after=at % 2 == 0)
        stopped = call("compare", "reviews.csv", *OPTIONS)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1].startswith("headstart: stopped.")
    assert "--resume" in stopped.err
    assert "Traceback" not in stopped.err
    whole(here / "run")
    if (here / "run" / "comparison.json").exists():
        assert record(here / "run")["status"] in ("partial", "complete")
        assert str(here / "run") in call("runs", "--json").expect(0).out
    if (here / "run" / "progress").is_dir() and not (here / "run" / "model").exists():
        told = call("predict", "run", "a film")
        if finished := any_finished(here / "run"):
            assert f"run was interrupted; these are predictions of {finished}" in told.expect(0).err
        else:
            told.refused("was interrupted", "--resume")
    call("compare", "reviews.csv", *OPTIONS, "--resume").expect(0)
    assert values(record(here / "run")) == expected
    assert record(here / "run")["status"] == "complete"
    assert not (here / "run" / "progress").exists()
    assert (here / "run" / "report.html").exists()
    assert (here / "run" / "model" / "README.md").exists()
    call("predict", "run", "a film").expect(0)


@pytest.mark.parametrize("at", sample(2, MODEL, MODEL + 1, 14, 20))
def test_a_disk_that_is_full_at_any_write(
    here: Path, monkeypatch: pytest.MonkeyPatch, expected: list[dict[str, Any]], at: int
) -> None:
    with monkeypatch.context() as patch:
        Stop(patch, at, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        told = call("compare", "reviews.csv", *OPTIONS, "--quiet").refused("No space left on device")
    whole(here / "run")
    resumable = (here / "run").exists()
    assert resumable == (at > MODEL), "a folder with nothing finished in it would stand in the way"
    assert ("--resume continues" in told) == resumable
    call("compare", "reviews.csv", *OPTIONS, *(["--resume"] if resumable else [])).expect(0)
    assert values(record(here / "run")) == expected
    call("predict", "run", "a film").expect(0)


def test_a_stop_while_progress_is_cleared_away(
    here: Path, monkeypatch: pytest.MonkeyPatch, expected: list[dict[str, Any]]
) -> None:
    with monkeypatch.context() as patch:
        remove = shutil.rmtree

        def interrupted(path: Any, *arguments: Any, **options: Any) -> None:
            if Path(path).name == "progress":
                next(iter(Path(path).rglob("run.json"))).unlink()
                raise KeyboardInterrupt
            remove(path, *arguments, **options)

        patch.setattr(shutil, "rmtree", interrupted)
        assert call("compare", "reviews.csv", *OPTIONS).code == 130
    done = call("compare", "reviews.csv", *OPTIONS, "--resume").expect(0)
    assert done.err == "", "nothing is left to train"
    assert values(record(here / "run")) == expected
    assert not (here / "run" / "progress").exists()
    assert (here / "run" / "report.html").exists()


def test_control_c_while_a_method_trains(
    here: Path, monkeypatch: pytest.MonkeyPatch, expected: list[dict[str, Any]]
) -> None:
    """Between any two steps; the second method's, so that a partial record has a finished row."""
    from headstart.cli.progress import Lines

    def advance(self: Lines, steps: int = 1, note: str = "") -> None:
        if "probe" in finished:
            raise KeyboardInterrupt

    finished: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "say", lambda self, message: finished.append(message.split()[0]))
        patch.setattr(Lines, "advance", advance)
        assert call("compare", "reviews.csv", *OPTIONS).code == 130
    partial = record(here / "run")
    assert (partial["status"], [row["status"] for row in partial["rows"]]) == ("partial", ["ok", "not run"])
    kept = tree(here / "run")
    assert "another --out" in call("compare", "reviews.csv", *OPTIONS).refused("already holds a run", "--resume")
    assert tree(here / "run") == kept
    call("compare", "reviews.csv", *OPTIONS, "--resume").expect(0)
    assert values(record(here / "run")) == expected


def test_the_default_folder_is_resumed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        Stop(patch, 4, KeyboardInterrupt())
        assert call("compare", "reviews.csv", "--model", "bert", *PROBE).code == 130
    call("compare", "reviews.csv", "--model", "bert", *PROBE, "--resume").expect(0)
    assert [p.name for p in (here / "runs").iterdir()] == ["reviews"]


def test_a_second_run_into_the_same_folder(here: Path) -> None:
    begun = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", "--resume").expect(0)
    assert "run does not exist: nothing is resumed" in begun.err
    before = tree(here / "run")
    call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run").refused("already holds a run", "--resume")
    call("compare", "reviews.csv", "--model", "bert", *FAST, "--out", "run").refused("already holds a run")
    call("compare", "reviews.csv", "--model", "bert", *FAST, "--out", "run", "--resume").refused("methods differ")
    assert tree(here / "run") == before
    again = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run", "--resume").expect(0)
    assert "probe" in again.out
    assert "nothing is resumed" not in again.err
    assert tree(here / "run") == before, "a run that is complete is told again, not repeated"


def test_two_runs_that_begin_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one reads its data, another takes the name that it was going to use."""
    from headstart.api import comparing

    original = comparing.read

    def slow(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(comparing, "read", original)
        call("compare", "reviews.csv", "--model", "bert", *PROBE).expect(0)
        return original(*arguments, **options)

    monkeypatch.setattr(comparing, "read", slow)
    call("compare", "reviews.csv", "--model", "bert", *PROBE).refused("another run has just begun")
    assert record(here / "runs" / "reviews")["status"] == "complete"


@pytest.mark.parametrize("what", ["data", "model"])
@pytest.mark.parametrize("ended", [False, True])
def test_inputs_that_changed_in_between(here: Path, monkeypatch: pytest.MonkeyPatch, what: str, ended: bool) -> None:
    from backbones.tiny import save

    with monkeypatch.context() as patch:
        if not ended:
            Stop(patch, 6, KeyboardInterrupt())
        assert call("compare", "reviews.csv", *OPTIONS).code == (0 if ended else 130)
    before = tree(here / "run")
    if what == "data":
        reviews(here / "reviews.csv", seed=1)
    else:
        (here / "bert").unlink()
        save("bert", here / "bert", seed=1)
    call("compare", "reviews.csv", *OPTIONS, "--resume").refused(f"the {what} changed", "another --out")
    assert tree(here / "run") == before


def test_folders_that_can_not_be_written(here: Path) -> None:
    (here / "full").mkdir()
    (here / "full" / "letter.txt").write_text("mine")
    before = tree(here)
    arguments = ("compare", "reviews.csv", "--model", "bert", *PROBE, "--out")
    call(*arguments, "reviews.csv").refused("reviews.csv exists")
    call(*arguments, "reviews.csv/run").refused("can't write", "Not a directory")
    call(*arguments, "full").refused("is no run folder")
    call(*arguments, "/proc/run").refused("can't write /proc/run")
    assert tree(here) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(here: Path) -> None:
    (here / "closed").mkdir(mode=0o500)
    done = call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "closed/run")
    done.refused("Permission denied")


def test_a_temporary_folder_that_is_full(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(here / "gone"))
    call("compare", "reviews.csv", "--model", "bert", *PROBE, "--out", "run").refused("TMPDIR")
    assert not (here / "run").exists()


def test_other_verbs_stop_in_their_own_words(lora_run: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(here)
    for arguments in (
        ("predict", lora_run.folder, "a", "-o", "out.csv"),
        ("export", lora_run.folder, "-o", "exported"),
        ("find-rate", "reviews.csv", "--model", "bert", "--steps", "20"),
    ):
        with monkeypatch.context() as patch:
            Stop(patch, 1, KeyboardInterrupt())
            stopped = call(*arguments)
        assert (stopped.code, stopped.out) == (130, "")
        assert stopped.err.splitlines()[-1] == "headstart: stopped. Nothing was half-written."
        assert tree(here) == before
