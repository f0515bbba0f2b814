"""Folds: every example is tested once, groups stay whole, classes are spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.calling import write_csv
from headstart import read
from headstart.core.errors import ConfigurationError, DataError
from headstart.data.ingest.folds import folded


def rows(count: int = 60) -> list[tuple[str, str, str, str]]:
    return [(f"text number {i}", "yes" if i % 3 else "no", f"patient {i // 4}", f"fact {i % 7}") for i in range(count)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "t.csv", rows(), ("text", "label", "patient", "fact"))


def test_every_example_is_tested_once(table: Path) -> None:
    data = read(table, text="text", label="label")
    parts = folded(data, 5, seed=3)
    tested = np.concatenate([part.test.ids for part in parts])
    assert sorted(tested) == list(range(60))
    for part in parts:
        sides = [set(split.ids.tolist()) for split in (part.train, part.validation, part.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 60
        assert [split.size for split in part.record.splits] == [len(side) for side in sides]
        assert abs((part.test.targets == 0).mean() - 1 / 3) < 0.1, "stratified"
        assert len(part.validation) == pytest.approx(9, abs=3)
    texts = parts[0].test.inputs()
    assert texts == [f"text number {i}" for i in parts[0].test.ids], "inputs and ids stay together"


def test_another_seed_cuts_anew_and_the_same_the_same(table: Path) -> None:
    data = read(table, text="text", label="label")
    first, again, other = (folded(data, 5, seed)[0].test.ids.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_groups_stay_whole(table: Path) -> None:
    data = read(table, text="text", label="label", group="patient")
    for part in folded(data, 5):
        places = [set((split.ids // 4).tolist()) for split in (part.train, part.validation, part.test)]
        assert not places[0] & places[1]
        assert not places[2] & (places[0] | places[1])
        assert part.test.clusters is not None
        assert len(np.unique(part.test.clusters)) == len(places[2])


def test_the_same_text_is_never_on_both_sides(tmp_path: Path) -> None:
    doubled = [("the same words", "yes", "", "")] * 8 + rows(52)
    data = read(
        write_csv(tmp_path / "t.csv", doubled, ("text", "label", "patient", "fact")), text="text", label="label"
    )
    for part in folded(data, 4):
        assert ("the same words" in part.test.inputs()) != ("the same words" in part.train.inputs())


def test_clusters_count_together_and_lie_in_several_splits(table: Path) -> None:
    data = read(table, text="text", label="label", cluster_by="fact")
    assert data.record.columns["cluster"] == "fact"
    for split in (data.train, data.test):
        assert split.clusters is not None
        same = split.clusters[:, None] == split.clusters[None]
        facts = split.ids % 7
        assert np.array_equal(same, facts[:, None] == facts[None])
    assert set(data.train.clusters) & set(data.test.clusters), "they stay where the split put them"


def test_what_can_not_be_folded(table: Path, tmp_path: Path) -> None:
    data = read(table, text="text", label="label")
    with pytest.raises(ConfigurationError, match="at least 2"):
        folded(data, 1)
    with pytest.raises(ConfigurationError, match="60 different inputs or groups can't be cut into 40 folds"):
        folded(data, 40)
    given = read(
        table,
        text="text",
        label="label",
        test=write_csv(tmp_path / "u.csv", rows(9)[:9], ("text", "label", "patient", "fact")),
    )
    with pytest.raises(ConfigurationError, match="the test examples are given as such"):
        folded(given, 3)
    rare = [(f"text {i}", "rare" if i < 1 else "usual", "", "") for i in range(40)]
    few = read(write_csv(tmp_path / "r.csv", rare, ("text", "label", "patient", "fact")), text="text", label="label")
    with pytest.raises(DataError, match="without the class 'rare'"):
        folded(few, 2)
