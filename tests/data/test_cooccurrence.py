"""Co-occurrence counts: by hand, against a plain count, and through runs on the disk."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from headstart.core.progress import Silent
from headstart.data.corpus import cooccurrence
from headstart.data.corpus.cooccurrence import Cooccurrence, count


def counted(
    ids: list[int] | np.ndarray, vocabulary: int, window: int, folder: Path, memory: float = 0.01
) -> dict[tuple[int, int], float]:
    found = count(np.asarray(ids, dtype=np.uint16), vocabulary, window, folder, memory, 0, Silent())
    return entries(found)


def entries(found: Cooccurrence) -> dict[tuple[int, int], float]:
    told = {}
    for number in range(len(found.files)):
        for row, column, value in found.block(number).tolist():
            assert (row, column) not in told
            told[row, column] = value
    assert len(told) == len(found)
    return told


def plainly(ids: np.ndarray, vocabulary: int, window: int) -> dict[tuple[int, int], float]:
    told: dict[tuple[int, int], float] = defaultdict(float)
    for here, word in enumerate(ids.tolist()):
        for there in range(here + 1, min(here + window + 1, len(ids))):
            if vocabulary in ids[here : there + 1]:
                break
            told[word, int(ids[there])] += 1 / (there - here)
            told[int(ids[there]), word] += 1 / (there - here)
    return told


def test_counts_by_hand(tmp_path: Path) -> None:
    """`a b a | b c`, window 2: a b stand one apart twice, a a two apart, seen from either; nothing crosses the bar."""
    found = counted([0, 1, 0, 3, 1, 2, 3], 3, 2, tmp_path / "counts")
    assert found == {(0, 1): 2.0, (1, 0): 2.0, (0, 0): 1.0, (1, 2): 1.0, (2, 1): 1.0}


@pytest.mark.parametrize("memory", [1.0, 1e-5], ids=["in memory", "spilled"])
def test_counts_are_those_of_a_plain_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: float) -> None:
    for name, value in (("AT_ONCE", 97), ("BLOCK", 700)):
        monkeypatch.setattr(cooccurrence, name, value)
    runs = []
    sort = cooccurrence._sorted
    monkeypatch.setattr(cooccurrence, "_sorted", lambda table: runs.append(sort(table)) or runs[-1])
    ids = np.random.default_rng(0).zipf(1.3, 3000) % 61  # 60 parts paragraphs
    found, wanted = counted(ids, 60, 5, tmp_path / "counts", memory), plainly(ids, 60, 5)
    assert found.keys() == wanted.keys()
    for pair, value in wanted.items():
        assert found[pair] == pytest.approx(value, rel=1e-6)
    assert (len(runs) > 3) == (memory < 1)
    assert len(list((tmp_path / "counts").iterdir())) == len(list((tmp_path / "counts").glob("block-*"))) > 2


def test_merging_runs_takes_the_memory_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some thirty runs of 0.7 MiB are merged within a table's mebibyte, not by reading all of them."""
    import tracemalloc

    monkeypatch.setattr(cooccurrence, "BLOCK", 1 << 14)
    ids = np.random.default_rng(0).integers(0, 2000, 200_000)
    counted(ids[:1000], 2000, 5, tmp_path / "compiled")
    runs = []
    merge = cooccurrence.merged
    monkeypatch.setattr(cooccurrence, "merged", lambda found, most: runs.append(len(found)) or merge(found, most))
    tracemalloc.start()
    try:
        count(ids.astype(np.uint16), 2000, 5, tmp_path / "counts", 1 / 1024, 0, Silent())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert runs[0] > 20
    assert peak < 6 * (1 << 20)


def test_blocks_are_in_random_order_and_fair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "BLOCK", 500)
    ids = np.random.default_rng(0).integers(0, 60, 4000).astype(np.uint16)
    found = count(ids, 60, 3, tmp_path / "counts", 0.01, 0, Silent())
    blocks = [found.block(number)["row"].astype(int) for number in range(len(found.files))]
    assert max(map(len, blocks)) - min(map(len, blocks)) <= len(blocks)
    for rows in blocks:
        assert 25 < rows.mean() < 34
        assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.3
