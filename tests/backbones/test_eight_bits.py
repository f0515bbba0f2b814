"""Weights in a byte each."""

from __future__ import annotations

import torch

from backbones.tiny import tiny
from headstart.backbones.loaders.eight_bits import restored, shrunk


def test_a_weight_moves_by_half_a_step_at_most() -> None:
    state = {"w": torch.randn(40, 30) * torch.logspace(-3, 2, 40)[:, None], "b": torch.randn(40), "n": torch.arange(3)}
    state["w"][7] = 0
    small = shrunk(state)
    again = restored(small)
    assert small["w"].dtype == torch.int8
    step = state["w"].abs().amax(1, keepdim=True) / 127
    assert ((again["w"] - state["w"]).abs() <= 0.51 * step + 1e-7).all()
    assert (again["w"][7] == 0).all()
    assert torch.allclose(again["b"], state["b"], rtol=1e-3)
    assert (again["n"] == state["n"]).all()
    assert again.keys() == state.keys()


def test_a_network_reads_what_was_restored() -> None:
    backbone = tiny("bert")
    batch = backbone.preparation.collate(backbone.preparation.encode(["a good film", "the cat"]))
    with torch.no_grad():
        before = backbone.features(batch)
        backbone.module.load_state_dict(restored(shrunk(backbone.module.state_dict())))
        after = backbone.features(batch)
    assert torch.cosine_similarity(before, after).min() > 0.999
    assert not torch.equal(before, after)
