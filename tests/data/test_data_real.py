"""Real data by others, and a million rows."""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from made_data import finding, kinds

from headstart.data.images.image import decode
from headstart.data.read import read


def test_trec(shared: Path) -> None:
    data = read(shared / "text" / "trec")
    assert data.task.labels == ("abbreviation", "description", "entity", "human", "location", "numeric")
    assert (len(data.train) + len(data.validation), len(data.test)) == (5_452, 500)
    assert {"leak", "duplicate", "imbalance"} <= kinds(data).keys(), "TREC's test overlaps its train"
    place = finding(data, "leak").examples[0]
    first, second = (part.split(":") for part in place.split(" = "))
    found = [
        list(csv.reader((shared / "text" / "trec" / name).open()))[int(line) - 1][0] for name, line in (first, second)
    ]
    assert found[0] == found[1]


def test_sst2(shared: Path) -> None:
    data = read(shared / "text" / "sst2")
    assert [(s.size, s.origin) for s in data.record.splits] == [(6_920, "given"), (872, "given"), (1_821, "given")]


def test_cifar10(shared: Path) -> None:
    data = read(shared / "image" / "cifar10" / "test.parquet", workers=2)
    assert data.task.modality == "image"
    assert [s.size for s in data.record.splits] == [7_500, 500, 2_000]
    assert set(data.record.splits[2].class_counts.values()) == {200}
    assert decode(data.train.inputs([5])[0]).size == (32, 32)  # type: ignore[arg-type]


def test_icons(shared: Path) -> None:
    data = read(shared / "image" / "icons" / "mate.parquet", label="context")
    assert data.record.columns == {"image": "image", "label": "context"}
    assert len(data.task.labels) == 9


def test_medical(shared: Path) -> None:
    data = read(shared / "image" / "medical")
    assert [(s.size, s.origin) for s in data.record.splits] == [
        (510, "given"), (90, "made (stratified)"), (360, "given"),
    ]  # fmt: skip
    assert len(data.task.labels) == 6


MEASURE = """
import resource, sys, time
from headstart.data.read import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
data = read(sys.argv[1])
used = time.process_time() - start
rows = len(data.train.inputs()[:10]) and data.record.rows_used
print(rows, used, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_a_million_rows_in_bounded_memory_and_linear_time(tmp_path: Path) -> None:
    source = str(Path(__file__).parents[2] / "src")
    found = {}
    for count in (100_000, 1_000_000):
        path = tmp_path / f"{count}.csv"
        rng = random.Random(0)
        words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(5_000)]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows([" ".join(rng.choices(words, k=20)), rng.choice("abcd")] for _ in range(count))
        command = [sys.executable, "-c", MEASURE, str(path)]
        environment = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(tmp_path)}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rows, seconds, growth = ran.stdout.split()
        assert int(rows) == count
        found[count] = (float(seconds), float(growth))
    assert found[1_000_000][1] < 2e9
    assert found[1_000_000][0] < 20 * found[100_000][0], found
