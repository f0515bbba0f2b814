"""Records, files, registries, fields and run folders."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
import resource
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from headstart.core import registry as place
from headstart.core.disk.files import replacing, replacing_folder, sweep, write_json, write_text
from headstart.core.disk.history import entries, entry_of, remember
from headstart.core.disk.runs import CONFIGURATION, open_run, read_configuration, run_folder
from headstart.core.errors import ArtifactError, ConfigurationError, ResourceError, suggestion, unknown
from headstart.core.fields import configured, descriptions
from headstart.core.records.comparison import Comparison, Row, Verdict
from headstart.core.records.data import DataRecord, Finding, SplitRecord, TaskRecord
from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.model import ModelRecord
from headstart.core.records.training import Point, SeedRun, Trial
from headstart.core.registry import Registry


# ------------------------------------------------------------------------------------------------------------- records
def comparison() -> Comparison:
    point = Point(1.0, 3, 0.5, None, 0.7, 1e-3)
    run = SeedRun(0, 0.7, 0.6, 1.5, 1.0, (point, dataclasses.replace(point, epoch=2.0)))
    trial = Trial(
        {"learning_rate": 1e-4, "targets": ["query"]}, None, status="diverged: the loss was nan at step 3 of 9"
    )
    row = Row(
        "lora", "ok", "accuracy", {"rank": 8, "rungs": None}, value=0.9, seeds=(run, run), trials=(trial,),
        confusion=((3, 1), (0, 4)), notes=("a note", "ein Ä"), control=False,
    )  # fmt: skip
    finding = Finding("leak", "error", "7 texts", 7, ("a.csv:1",))
    split = SplitRecord("train", 9, "given", {"a": 5, "b": 4})
    return Comparison(
        TaskRecord("single_label", "text", ("a", "b"), "accuracy"),
        ModelRecord("m", "timm", "vit", "f" * 32, 10, 4, "cls", ("stem", "0")),
        DataRecord("d.csv", "0" * 32, {"text": "t"}, 1, (split,), 10, 9, (finding,)),
        (0, 1),
        EnvironmentRecord("0", "3", {"torch": "2"}, "p", "c", 2, 1, "cpu", "fp32", "now"),
        (row, Row("full", "not run", "accuracy")),
        Verdict(None, "keep the base"),
        {"data": None, "settings": {"lora.rank": 8}},
    )


def test_a_comparison_goes_to_json_and_back(tmp_path: Path) -> None:
    record = comparison()
    text = json.dumps(record.to_json(), allow_nan=False)
    assert Comparison.from_json(json.loads(text)) == record
    record.write(tmp_path / "c.json")
    back = Comparison.read(tmp_path / "c.json")
    assert back == record
    assert isinstance(back.rows[0].seeds[0].curve[1], Point)
    assert back.rows[0].confusion == ((3, 1), (0, 4))
    assert "ein Ä" in (tmp_path / "c.json").read_text(encoding="utf-8")


def test_a_record_of_the_first_schema_is_read_and_a_later_one_refused() -> None:
    """/1 had neither lines nor a cheapest method in its verdict."""
    value = comparison().to_json()
    value["schema"] = "headstart.comparison/1"
    value["verdict"] = {"method": "lora", "sentence": "Use lora.", "reference": "full", "alpha": 0.05}
    old = Comparison.from_json(value)
    assert old.verdict.said == ("Use lora.",)
    assert old.verdict.named == ("lora", "full")
    value["schema"] = "headstart.comparison/3"
    with pytest.raises(ArtifactError, match="newer version of Headstart"):
        Comparison.from_json(value)


def test_numbers_that_json_lacks_become_none() -> None:
    point = Point(1.0, np.int64(3), math.nan, math.inf, np.float32(0.5), -math.inf)
    assert point.to_json() == {
        "epoch": 1.0, "step": 3, "train_loss": None, "validation_loss": None, "validation_value": 0.5,
        "learning_rate": None,
    }  # fmt: skip
    with pytest.raises(TypeError, match="can't hold object"):
        Trial({"x": object()}, None).to_json()


def test_newer_fields_are_ignored_and_missing_ones_told(tmp_path: Path) -> None:
    value = comparison().to_json()
    value["newer"] = value["rows"][0]["newer"] = 1
    assert Comparison.from_json(value) == comparison()
    del value["rows"][0]["status"]
    with pytest.raises(ArtifactError, match="Row record has no field 'status'"):
        Comparison.from_json(value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"x"', '{"method": 1}', '{"rows": 3}', b"\xff\xfe"],
)
def test_a_file_that_is_no_record_is_an_artifact_error(text: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ArtifactError):
        Comparison.read(path)


@pytest.mark.parametrize(
    "change",
    [{"rows": 3}, {"rows": [3]}, {"rows": {"a": 1}}, {"task": []}, {"data": "x"}, {"seeds": 1}, {"environment": None}],
)
def test_parts_of_another_type_are_artifact_errors(change: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {**comparison().to_json(), **change})
    with pytest.raises(ArtifactError):
        Comparison.read(tmp_path / "x.json")


def test_a_missing_file_is_an_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="can't read"):
        Comparison.read(tmp_path / "none.json")


# --------------------------------------------------------------------------------------------------------------- files
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.txt"
    write_text(path, "old")

    def half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["x.txt"]


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    """A temporary file's 0600 would keep colleagues from reading a run."""
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "x", "")
        with replacing_folder(tmp_path / "f") as folder:
            write_text(folder / "y", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o755


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for text in ("one", "two"):
        with replacing_folder(path) as folder:
            (folder / f"{text}.txt").write_text(text)
        assert os.listdir(path) == [f"{text}.txt"], "nothing of the old folder stays"

    def half() -> None:
        with replacing_folder(path) as folder:
            (folder / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert os.listdir(path) == ["two.txt"]


@pytest.mark.parametrize(("at", "left"), [(1, "old"), (2, "new")])
def test_a_stop_while_folders_change_places_leaves_one_of_them(
    at: int, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system can't exchange two names in one step."""
    monkeypatch.setattr("headstart.core.disk.files._exchanged", lambda one, other: False)
    path, replace, calls = tmp_path / "model", os.replace, iter(range(1, 10))
    with replacing_folder(path) as folder:
        (folder / "old").write_text("")

    def stopping(source: Any, target: Any) -> None:
        replace(source, target)
        if next(calls) == at:
            raise KeyboardInterrupt

    def stopped() -> None:
        with replacing_folder(path) as folder:
            (folder / "new").write_text("")
            monkeypatch.setattr(os, "replace", stopping)

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert os.listdir(path) == [left]
    assert os.listdir(tmp_path) == ["model"], "nothing hidden stays"
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_that_a_killed_process_moved_aside_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As kill -9 between the two renames would leave it: nothing of ours runs any more."""
    monkeypatch.setattr("headstart.core.disk.files._exchanged", lambda one, other: False)
    path = tmp_path / "run" / "model"
    with replacing_folder(path) as folder:
        (folder / "weights").write_text("old")
    pid = os.fork()
    if pid == 0:
        replace = os.replace

        def killed(source: Any, target: Any) -> None:
            replace(source, target)
            os._exit(9)

        os.replace = killed  # type: ignore[assignment]
        with replacing_folder(path) as folder:
            (folder / "weights").write_text("new")
    os.waitpid(pid, 0)
    assert not path.exists()
    sweep(tmp_path / "run")
    assert (path / "weights").read_text() == "old"
    assert os.listdir(tmp_path / "run") == ["model"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs renameat2")
def test_a_folder_that_is_replaced_is_never_missing(tmp_path: Path) -> None:
    """Old and new change places in one step: another process finds one of them at every moment."""
    path = tmp_path / "model"
    with replacing_folder(path) as folder:
        (folder / "0").write_text("")
    pid = os.fork()
    if pid == 0:
        for number in range(1, 300):
            with replacing_folder(path) as folder:
                (folder / str(number)).write_text("")
        os._exit(0)
    missing = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        missing += not path.exists()
    assert missing == 0
    assert os.listdir(path) == ["299"]


def test_only_what_concerns_the_place_counts_as_unwritable(tmp_path: Path) -> None:
    """A file to be read that is missing is no reason to free space."""
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out" / "copy"):
        (tmp_path / "original").read_text()
    with pytest.raises(PermissionError), replacing(tmp_path / "out" / "copy"):
        raise PermissionError(13, "Permission denied", "/etc/shadow")
    assert os.listdir(tmp_path / "out") == []


def test_a_file_reaches_the_disk_before_its_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def renamed(source: Any, target: Any) -> None:
        done.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_text(tmp_path / "record.json", "{}")
    assert done == ["sync file", "rename", "sync folder"]
    done.clear()
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("")
    assert done == ["sync file", "sync folder", "rename", "sync folder"]


def test_the_umask_is_never_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the process: another thread's files would get the rights of ours."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    write_text(tmp_path / "x", "")
    with replacing_folder(tmp_path / "f") as folder:
        (folder / "y").write_text("")


def test_a_full_disk_is_a_resource_error_and_the_old_file_stays(tmp_path: Path) -> None:
    """A real one: the process may not write files above 1000 bytes."""
    path = tmp_path / "x.txt"
    write_text(path, "old")
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from headstart.core.errors import ResourceError
from headstart.core.disk.files import write_text
try:
    write_text({str(path)!r}, "x" * 5000)
except ResourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"can't write {path}: File too large. Nothing was changed there" in done.stdout, done
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_what_a_folder_under_way_can_not_take_is_told_of_its_place(tmp_path: Path) -> None:
    def write() -> None:
        with replacing_folder(tmp_path / "out") as temporary:
            write_text(temporary / "small.txt", "fits")
            with replacing(temporary / "model.safetensors"):
                raise OSError(28, os.strerror(28))

    with pytest.raises(ResourceError) as told:
        write()
    assert str(told.value).startswith(f"can't write {tmp_path / 'out'}: No space left on device")
    assert not list(tmp_path.iterdir())


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for write in (write_text, write_json):
        with pytest.raises(ResourceError, match="can't write .*file is no folder"):
            write(tmp_path / "file" / "x.txt", "text")
    with pytest.raises(ResourceError, match="can't write"), replacing_folder(tmp_path / "file" / "model"):
        pass


# ------------------------------------------------------------------------------------------------------------ registry
@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [n for n in sys.modules if n.partition(".")[0] == "shelf"]:
        del sys.modules[name]


def test_placing_a_file_registers(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[int] = Registry("thing", "shelf")
    monkeypatch.setattr("builtins.SHELF", things, raising=False)
    (package / "one.py").write_text("import builtins; builtins.SHELF.register('one')(1)")
    (package / "three.py").write_text("import builtins; builtins.SHELF.register('three')(3)")
    assert things.names() == ["one", "three"]
    assert things["three"] == 3
    assert "one" in things
    assert "two" not in things
    with pytest.raises(
        ConfigurationError, match=r"unknown thing 'thre'\. Did you mean 'three'\? Allowed: one, three\."
    ):
        things["thre"]
    with pytest.raises(ValueError, match="thing 'one' is registered twice: 1 and 11"):
        things.register("one")(11)


def test_entry_points_register_too(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[int] = Registry("thing", "shelf")
    asked = []

    class Entry:
        def load(self) -> None:
            things.register("theirs")(9)

    def entry_points(group: str) -> list[Entry]:
        asked.append(group)
        return [Entry()]

    monkeypatch.setattr(place.importlib.metadata, "entry_points", entry_points)
    assert list(things) == ["theirs"]
    assert asked == ["headstart.shelf"]


def test_a_package_that_does_not_load_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[int] = Registry("thing", "shelf")
    entry = importlib.metadata.EntryPoint("theirs", "a_module_that_is_not_here", "headstart.shelf")
    monkeypatch.setattr(place.importlib.metadata, "entry_points", lambda group: [entry])
    with pytest.raises(ConfigurationError, match=r"'theirs' of the package a_module_that_is_not_here.*No module"):
        things.names()


def test_a_broken_file_is_told_each_time(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look must not find a registry that is silently short of it."""
    things: Registry[int] = Registry("thing", "shelf")
    (package / "broken.py").write_text("raise ImportError('broken')")
    for _ in range(2):
        with pytest.raises(ImportError, match="broken"):
            things.names()


def test_near_misses() -> None:
    assert suggestion("Lorra", ["lora", "full"]) == " Did you mean 'lora'?"
    assert suggestion("xyz", ["lora", "full"]) == ""
    assert str(unknown("method", "xyz", ["b", "a"])) == "unknown method 'xyz'. Allowed: a, b."


# -------------------------------------------------------------------------------------------------------------- fields
@dataclass(frozen=True)
class Settings:
    """For tests."""

    rank: int = 8
    "the rank"
    rate: float | None = None
    """the rate,
    over two lines"""
    names: tuple[str, ...] = ("auto",)
    sizes: tuple[int, ...] = ()
    kind: Literal["linear", "cosine"] = "linear"
    on: bool = False
    hidden: int = field(default=1, init=False)


@dataclass(frozen=True)
class More(Settings):
    rank: int = 4
    extra: str = "x"
    "more"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rank", "16", 16),
        ("rank", "1e2", 100),
        ("rate", "1e-3", 1e-3),
        ("rate", "auto", None),
        ("rate", None, None),
        ("rate", 2, 2.0),
        ("names", "query, value", ("query", "value")),
        ("names", ["a"], ("a",)),
        ("names", "", ()),
        ("sizes", "1,2,", (1, 2)),
        ("kind", "cosine", "cosine"),
        ("on", "Yes", True),
        ("on", "0", False),
        ("on", True, True),
    ],
)
def test_settings_are_read_as_a_user_types_them(name: str, value: Any, expected: Any) -> None:
    found = getattr(configured(Settings, {name: value}, "it"), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rank", "8.5", "it: rank is '8.5', but has to be of type int"),
        ("rank", True, "has to be of type int"),
        ("rank", "many", "has to be of type int"),
        ("rank", None, "has to be of type int"),
        ("rank", "inf", "has to be of type int"),
        ("rate", "nan", "has to be a finite number"),
        ("rate", "fast", "has to be of type float"),
        ("on", "maybe", "has to be of type bool"),
        ("sizes", "1,x", "has to be of type int"),
        ("sizes", 5, "it: sizes is 5, but has to be a list"),
        ("kind", "cosin", r"unknown value of it: kind: 'cosin'\. Did you mean 'cosine'\? Allowed: cosine, linear"),
        ("rnk", 8, r"unknown setting of it 'rnk'\. Did you mean 'rank'\?"),
        ("hidden", 2, "unknown setting of it 'hidden'"),
    ],
)
def test_settings_that_are_wrong_say_what_is_allowed(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configured(Settings, {name: value}, "it")


def test_the_string_under_a_field_describes_it() -> None:
    assert descriptions(Settings) == {"rank": "the rank", "rate": "the rate, over two lines"}
    assert descriptions(More) == {"rank": "the rank", "rate": "the rate, over two lines", "extra": "more"}


def test_every_setting_of_every_method_is_described() -> None:
    from headstart.engine.job import Options
    from headstart.methods.method import METHODS

    for cls in [Options, *(METHODS[name] for name in METHODS)]:
        missing = {f.name for f in dataclasses.fields(cls)} - set(descriptions(cls))
        assert not missing, f"{cls.__name__}: {missing}"
    assert all(METHODS[name].summary for name in METHODS)


# ---------------------------------------------------------------------------------------------------------------- runs
def begun(folder: Path, configuration: dict[str, Any], resume: bool = False) -> Path:
    found = run_folder(folder, "name", configuration, resume)
    open_run(found, configuration, {"data": "1"}, resume).release()
    return found


def test_a_second_run_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", {"epochs": 3, "seeds": (0, 1)})
    kept = (folder / CONFIGURATION).read_bytes()
    with pytest.raises(ConfigurationError, match="already holds a run. Give --resume"):
        begun(folder, {"epochs": 3, "seeds": (0, 1)})
    assert begun(folder, {"epochs": 3, "seeds": (0, 1)}, resume=True) == folder
    with pytest.raises(ConfigurationError, match=r"another configuration \(epochs, metric differ\)"):
        begun(folder, {"epochs": 4, "seeds": (0, 1), "metric": "f1"}, resume=True)
    assert (folder / CONFIGURATION).read_bytes() == kept


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for out in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(ConfigurationError, match="exists and is no run folder"):
            run_folder(out, "name", {}, False)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_without_a_name_the_next_free_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = run_folder(None, "my data/x.csv", {}, False)
        open_run(folder, {}, {}, False).release()
        names.append(str(folder))
    assert names == ["runs/my-data-x.csv", "runs/my-data-x.csv-2", "runs/my-data-x.csv-3"]
    assert str(run_folder(None, "my data/x.csv", {}, True)) == names[-1]
    assert str(run_folder(None, "..", {}, False)) == "runs/run"


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_configuration_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / CONFIGURATION).write_text(text)
    with pytest.raises(ArtifactError, match="configuration"):
        read_configuration(tmp_path / CONFIGURATION)


# ------------------------------------------------------------------------------------------------------------- schemas
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "headstart.evaluation/1"}, "schema 'headstart.evaluation/1', where 'headstart.comparison/"),
        ({"schema": "headstart.comparison/99"}, "written by a newer version of Headstart"),
        ({"schema": "something"}, "schema 'something'"),
        ({"seconds": "12"}, "Comparison.seconds is a text, where float is read"),
        ({"seeds": [0, "1"]}, r"Comparison.seeds\[1\] is a text, where int is read"),
        ({"seeds": [0, True]}, r"Comparison.seeds\[1\] is true or false, where int is read"),
        ({"rows": {}}, "Comparison.rows is an object, where a list is read"),
        ({"verdict": "full"}, "Comparison.verdict is a text, where an object"),
        ({"status": None}, "Comparison.status is null, where str is read"),
    ],
)
def test_a_record_is_checked_when_it_is_read(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {**comparison().to_json(), **change})
    with pytest.raises(ArtifactError, match=message):
        Comparison.read(tmp_path / "x.json")


def test_an_older_record_is_read(tmp_path: Path) -> None:
    """Version 1, without what later versions added."""
    old = {**comparison().to_json(), "schema": "headstart.comparison/1"}
    del old["forecast"], old["seconds"]
    write_json(tmp_path / "x.json", old)
    found = Comparison.read(tmp_path / "x.json")
    assert (found.forecast, found.seconds) == (None, None)
    assert found.row("lora").value == 0.9


def test_a_run_keeps_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    for name, status in (("a", "partial"), ("b", "complete"), ("a", "complete")):
        found = dataclasses.replace(comparison(), status=status)
        remember(entry_of(tmp_path / name, found))
    assert [(Path(one.folder).name, one.number, one.status) for one in entries()] == [
        ("a", 1, "complete"), ("b", 2, "complete"),
    ]  # fmt: skip


def test_a_file_that_fails_half_way_can_be_imported_again(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look says what is wrong with the file, not that it is registered twice; mended, it registers."""
    things: Registry[type] = Registry("thing", "shelf")
    monkeypatch.setattr("builtins.SHELF", things, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    body = "import builtins\n@builtins.SHELF.register('half')\nclass Half: pass\n"
    (package / "half.py").write_text(body + "raise ImportError('a library is missing')\n")
    for _ in range(2):
        with pytest.raises(ImportError, match="a library is missing"):
            things.names()
    (package / "half.py").write_text(body)
    assert things.names() == ["half"]
    (package / "half.py").write_text(body + body)
    del sys.modules["shelf.half"]
    again: Registry[type] = Registry("thing", "shelf")
    monkeypatch.setattr("builtins.SHELF", again)
    with pytest.raises(ValueError, match="registered twice"):
        again.names()
