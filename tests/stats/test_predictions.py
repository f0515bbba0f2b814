import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.core.errors import ArtifactError
from headstart.stats.predictions import Predictions, aligned
from stats.simulated import multi, real, single


@pytest.mark.parametrize("make", [single, multi, real])
def test_file_gives_back_what_was_written(tmp_path, make):
    before = make(np.random.default_rng(0))
    before = dataclasses.replace(before, clusters=np.arange(len(before)) // 3)
    before = before.take(np.arange(len(before))[::-2])  # strided arrays too
    before.write(tmp_path / "deep" / "p.safetensors")
    after = Predictions.read(tmp_path / "deep" / "p.safetensors")
    for field in dataclasses.fields(Predictions):
        x, y = getattr(before, field.name), getattr(after, field.name)
        assert (x is None) is (y is None)
        if x is None:
            continue
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
    assert after.kind == before.kind
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["p.safetensors"]


def test_a_broken_file_is_an_artifact_error(tmp_path):
    single(np.random.default_rng(0)).write(tmp_path / "p")
    whole = (tmp_path / "p").read_bytes()
    for content in (b"", b"hello", whole[:-1], whole[:40]):
        (tmp_path / "p").write_bytes(content)
        with pytest.raises(ArtifactError, match="predictions"):
            Predictions.read(tmp_path / "p")
    with pytest.raises(ArtifactError):
        Predictions.read(tmp_path / "absent")


@given(st.permutations(range(12)), st.permutations(range(12)))
def test_alignment_is_by_id(one, two):
    base = single(np.random.default_rng(0), n=12, ids=np.arange(12) * 7 + 3)
    a, b = base.take(np.array(one)), base.take(np.array(two))
    x, y = aligned(a, b)
    assert x is a
    np.testing.assert_array_equal(x.ids, y.ids)
    np.testing.assert_array_equal(x.targets, y.targets)
    np.testing.assert_array_equal(x.scores, y.scores)


def test_different_examples_or_truths_are_refused():
    p = single(np.random.default_rng(0), n=10)
    with pytest.raises(ValueError, match="1 ids"):
        aligned(p, p.take(np.arange(9)))
    with pytest.raises(ValueError, match="2 ids"):
        aligned(p, dataclasses.replace(p, ids=np.array([99, *range(1, 10)])))
    with pytest.raises(ValueError, match="targets"):
        aligned(p, dataclasses.replace(p, targets=(p.targets + 1) % 3))
    assert aligned() == ()


def test_clusters_go_with_their_examples():
    p = dataclasses.replace(single(np.random.default_rng(0), n=6), clusters=np.array([5, 5, 2, 2, 9, 9]))
    np.testing.assert_array_equal(p.take(np.array([4, 0])).clusters, [9, 5])
    bare = dataclasses.replace(p, clusters=None).take(np.array([3, 2, 1, 0, 5, 4]))
    for one in (*aligned(p, bare), *aligned(bare, p)):  # an older file knows no clusters
        np.testing.assert_array_equal(one.clusters[np.argsort(one.ids)], p.clusters)
    with pytest.raises(ValueError, match="different clusters"):
        aligned(p, dataclasses.replace(p, clusters=np.arange(6)))
    with pytest.raises(ValueError, match="a cluster each"):
        dataclasses.replace(p, clusters=np.arange(5))


@pytest.mark.parametrize(
    ("ids", "targets", "scores"),
    [
        ([0, 0], [0, 1], [[0.5, 0.5]] * 2),
        ([0], [0, 1], [[0.5, 0.5]] * 2),
        ([0, 1], [0, 2], [[0.5, 0.5]] * 2),
        ([0, 1], [0, -1], [[0.5, 0.5]] * 2),
        ([0, 1], [0, 1], [0.5, 0.5]),
        ([0, 1], [0.5, 1.5], [[0.5, 0.5]] * 2),
        ([0, 1], [[0.0], [1.0]], [[0.5, 0.5]] * 2),
    ],
)
def test_shapes_that_do_not_fit_are_refused(ids, targets, scores):
    with pytest.raises(ValueError):
        Predictions(np.array(ids), np.array(targets), np.array(scores))
