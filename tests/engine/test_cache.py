"""The frozen-prefix cache: what it keeps, what it leaves out, and that it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from contract.settings import FP32, examples_of, made, method_of, rising, setting_of, state_of
from headstart.engine.adapt import adapted
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.machine.precision import Compute


def runs_of(backbone: Any, path: str) -> list[int]:
    """How many examples each call of a module saw, from now on."""
    seen: list[int] = []
    module = backbone.module.get_submodule(path)
    module.register_forward_hook(
        lambda m, args, out: seen.append(len(out if isinstance(out, torch.Tensor) else out[0]))
    )
    return seen


def test_frozen_rungs_run_once_for_each_example() -> None:
    """Three epochs and their evaluations; the two probing batches of the check come on top."""
    setting = setting_of(tiny("bert"), epochs=3, score=rising())
    low = runs_of(setting.backbone, "encoder.layer.0.intermediate")
    high = runs_of(setting.backbone, "encoder.layer.2.intermediate")
    with adapted(setting, method_of("freeze", rungs=2), 0):
        pass
    probing = 5  # 3 and 2 examples
    assert sum(low) == 24 + 9 + probing
    assert sum(high) == 3 * (24 + 9) + 2 * probing  # the check runs the upper rungs with and without the cut


def test_a_second_run_finds_the_states_and_is_charged_for_them() -> None:
    setting = setting_of(tiny("bert"), score=rising())
    charges, states = [], []
    for _ in range(2):
        low = runs_of(setting.backbone, "encoder.layer.0.intermediate")
        with adapted(setting, method_of("freeze", rungs=2), 0) as done:
            states.append(state_of(done.model))
        charges.append((sum(low), setting.cache.charge()))
    assert charges[0][0] > 0
    assert charges[0][1] == 0
    assert charges[1][0] == 0
    assert charges[1][1] > 0
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def test_what_another_run_kept_changes_no_bit() -> None:
    """The same seed after other seeds and methods, and alone."""
    crowded = setting_of(tiny("bert"), score=rising())
    for name, seed in (("probe", 3), ("freeze", 4), ("unfreeze", 5)):
        with adapted(crowded, method_of(name), seed):
            pass
    states = []
    for setting in (crowded, setting_of(tiny("bert"), score=rising())):
        with adapted(setting, method_of("freeze"), 0) as done:
            states.append(state_of(done.model))
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def test_features_are_those_of_the_whole_forward_and_in_order() -> None:
    for family in ("bert", "plain"):
        setting = setting_of(tiny(family))
        found = all_features(setting.cache, setting.train, batch_tokens=100)
        with torch.no_grad():
            for i in (0, 5, 23):
                whole = setting.backbone.features(setting.train.batch(np.array([i])))
                torch.testing.assert_close(found[i : i + 1], whole, rtol=1e-5, atol=1e-5)


def test_what_is_expected_is_kept_in_one_pass_with_the_same_bits() -> None:
    """Several cuts and both kinds of features along with the first that is asked for; each as if asked for alone."""
    wanted = [(4, "all"), (4, "top"), (2, "top"), (3, "top"), (1, "top")]
    together, apart = (setting_of(tiny("bert")) for _ in range(2))
    together.cache.expect(wanted)
    for cut in (1, 2, 3):  # checked once, before anything is counted
        together.cache.usable(together.train, cut)
    seen = runs_of(together.backbone, "encoder.layer.0.intermediate")
    found = {one: together.cache.states(together.train, one[0], 200, one[1]) for one in wanted}
    assert sum(seen) == 24
    for (cut, reads), store in found.items():
        alone = apart.cache.states(apart.train, cut, 200, reads)
        assert torch.equal(store.values, alone.values), (cut, reads)
    assert found[2, "top"].seconds == pytest.approx(found[4, "all"].seconds / 2)


def test_nothing_above_the_cut_that_is_asked_for_is_kept() -> None:
    """There the model may be trained already: a probe afterwards gets the base's features."""
    setting, fresh = setting_of(tiny("bert"), score=rising()), setting_of(tiny("bert"))
    setting.cache.expect([(4, "top"), (3, "top"), (2, "top")])
    with adapted(setting, method_of("freeze", rungs=2), 0):
        assert {key[2] for key in setting.cache._stores} == {2}
    assert torch.equal(all_features(setting.cache, setting.train, 200), all_features(fresh.cache, fresh.train, 200))


def test_too_little_room_is_told_and_changes_nothing() -> None:
    states = []
    for limit in (100, 1 << 30):
        setting = setting_of(tiny("bert"), score=rising())
        setting.cache.limit_bytes = limit
        with adapted(setting, method_of("freeze", learning_rate=1e-3), 0) as done:
            states.append(state_of(done.model))
        assert any("the cache is full" in note for note in setting.cache.notes) == (limit == 100)
    worst = max(float((states[0][n] - states[1][n]).abs().max()) for n in states[0] if states[0][n].dim() > 0)
    assert worst < 5e-4


@pytest.mark.parametrize("call", ["os.posix_fallocate", "tempfile.mkstemp"])
def test_a_full_disk_is_told(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"headstart.engine.cache.states.{call}", full)
    setting = setting_of(tiny("mlp"))
    with adapted(setting, method_of("probe"), 0) as done:
        assert done.trace.best_value is not None
    assert any("no room in" in note for note in setting.cache.notes)


def test_augmented_views_are_not_kept() -> None:
    setting = setting_of(tiny("plain"), augment=Augment("light"), score=rising())
    with adapted(setting, method_of("freeze"), 0):
        pass
    assert {key[1] for key in setting.cache._stores} == {setting.validation.content}


def test_states_lie_ragged_and_in_the_computings_format() -> None:
    for bf16, width in ((False, 4), (True, 2)):
        setting = setting_of(tiny("bert"))
        compute = Compute(FP32.device, bf16)
        cache = Cache(setting.backbone, compute)
        with torch.no_grad(), compute.autocast():
            whole = setting.backbone.features(setting.train.batch(np.arange(24)))
            kept = cache.features(setting.train, np.arange(24), setting.train.batch(np.arange(24)), 2, 4096)
        (store,) = cache._stores.values()
        assert store is not None
        tokens = int(setting.train.lengths.sum())
        assert store.values.numel() * store.values.element_size() == tokens * 32 * width
        torch.testing.assert_close(kept, whole, rtol=0, atol=3e-2 if bf16 else 1e-5)


def test_the_folder_goes_with_the_cache(tmp_path: Path) -> None:
    setting = setting_of(tiny("mlp"))
    cache = Cache(setting.backbone, FP32, folder=str(tmp_path))
    all_features(cache, setting.train, 100)
    assert list(tmp_path.iterdir())
    cache.close()
    assert not list(tmp_path.iterdir())
    cache = Cache(setting.backbone, FP32, folder=str(tmp_path))
    del cache
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", ["bert", "timm_resnet"])
def test_a_second_feed_of_the_same_name_gets_its_own_states(family: str) -> None:
    backbone = tiny(family)
    cache = Cache(backbone, FP32)
    feeds = [Feed("train", made(backbone, "single_label", 6, seed, 0), backbone) for seed in (1, 2)]
    found = [all_features(cache, feed, 8192) for feed in feeds]
    alone = [all_features(Cache(backbone, FP32), feed, 8192) for feed in feeds]
    assert not torch.allclose(*found)
    for mine, wanted in zip(found, alone):
        assert torch.equal(mine, wanted)
    again = Feed("another name", made(backbone, "single_label", 6, 2, 0), backbone)
    low = runs_of(backbone, "encoder.layer.0.intermediate" if family == "bert" else "layer1")
    assert torch.equal(all_features(cache, again, 8192), alone[1])
    assert low == [], "the same inputs are kept already"


def test_contents_differ_by_input_order_and_split_of_pairs(tmp_path: Path) -> None:
    def content(*texts: str) -> str:
        return examples_of(list(texts), np.zeros(len(texts), dtype=np.int64)).content

    assert content("ab", "c") == content("ab", "c")
    assert len({content(*texts) for texts in (("ab", "c"), ("a", "bc"), ("c", "ab"), ("ab",), ("ab", "c", ""))}) == 5
