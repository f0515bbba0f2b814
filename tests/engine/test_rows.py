"""Embedding tables by rows, against PyTorch's dense and sparse optimizers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backbones.tiny import tiny
from contract.settings import method_of, setting_of, state_of
from headstart.engine.adapt import adapted
from headstart.engine.fit import fit
from headstart.engine.optim.rows import RowAdamW, clip, row_gradients
from headstart.engine.state.checkpoint import Checkpoint


def table(sparse: bool) -> nn.Embedding:
    torch.manual_seed(0)
    return nn.Embedding(9, 4, sparse=sparse)


def stepped(embedding: nn.Embedding, optimizer: torch.optim.Optimizer, batches: list[Tensor]) -> Tensor:
    for number, batch in enumerate(batches):
        optimizer.zero_grad()
        torch.manual_seed(number)
        (embedding(batch) * torch.randn(*batch.shape, 4)).sum().backward()
        optimizer.step()
    return embedding.weight.detach()


def test_where_all_rows_occur_it_is_adamw() -> None:
    batches = [torch.cat([torch.arange(9), torch.randint(9, (5,))]) for _ in range(6)]
    options = {"lr": 0.1, "weight_decay": 0.3}
    rows, dense = table(True), table(False)
    found = stepped(rows, RowAdamW(rows.parameters(), **options), batches)
    assert torch.allclose(found, stepped(dense, torch.optim.AdamW(dense.parameters(), **options), batches), atol=1e-6)


def test_where_some_occur_it_is_sparse_adam_and_the_others_keep_their_bits() -> None:
    batches = [torch.tensor(b) for b in ([0, 1, 1], [1, 2], [0, 5, 0], [2, 2, 1], [5, 0])]
    rows, theirs, before = table(True), table(True), table(True).weight.detach()
    found = stepped(rows, RowAdamW(rows.parameters(), lr=0.1, weight_decay=0.0), batches)
    assert torch.allclose(
        found, stepped(theirs, torch.optim.SparseAdam(theirs.parameters(), lr=0.1), batches), atol=1e-6
    )
    for row in range(9):
        assert torch.equal(found[row], before[row]) == (row not in (0, 1, 2, 5))


@pytest.mark.parametrize("longest", [0.5, 1e3])
def test_the_norm_is_that_of_dense_gradients(longest: float) -> None:
    found = []
    for sparse in (True, False):
        embedding, linear = table(sparse), nn.Linear(4, 1)
        with torch.no_grad():
            linear.weight.fill_(0.7)
            linear.bias.fill_(0.1)
        linear(embedding(torch.tensor([3, 3, 1]))).square().sum().backward()
        parameters = [*embedding.parameters(), *linear.parameters()]
        norm = clip(parameters, longest) if sparse else nn.utils.clip_grad_norm_(parameters, longest)
        found.append([norm, *(p.grad.to_dense() for p in parameters)])
    assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(*found))


def test_which_tables_get_gradients_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.engine.optim.rows.LARGE", 5)
    model = nn.ModuleDict({
        "large": nn.Embedding(5, 2), "small": nn.Embedding(4, 2), "frozen": nn.Embedding(5, 2),
        "tied": nn.Embedding(5, 2), "out": nn.Linear(2, 5, bias=False),
    })  # fmt: skip
    model["out"].weight = model["tied"].weight
    trained = {"large.weight", "small.weight", "tied.weight"}
    with row_gradients(model, trained):
        assert {name for name, layer in model.items() if getattr(layer, "sparse", False)} == {"large"}
    assert not model["large"].sparse


def test_words_that_never_occur_keep_their_bits_and_an_interruption_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("headstart.engine.optim.rows.LARGE", 20)
    backbone = tiny("bert")
    setting = setting_of(backbone, count=40, epochs=4)
    name = next(n for n, p in backbone.module.named_parameters() if "word_embeddings" in n)
    before = backbone.module.get_parameter(name).detach().clone()
    seen = torch.zeros(len(before), dtype=torch.bool)
    for place in range(len(setting.train)):
        seen[setting.train.batch(torch.tensor([place]).numpy())["input_ids"][0]] = True
    assert 0 < int(seen.sum()) < len(seen)
    with adapted(setting, method_of("full"), 0) as done:
        whole, after = state_of(done.model), done.model.backbone.get_parameter(name).detach().clone()
    moved = (after != before).any(dim=1)
    assert not bool((moved & ~seen).any())
    assert int(moved.sum()) > 10
    checkpoint = Checkpoint(tmp_path / "half.safetensors", every=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("headstart.engine.adapt.fit", lambda job, budget, runtime, **more: fit(
            job, dataclasses.replace(budget, steps=8), runtime, **more
        ))  # fmt: skip
        with adapted(setting, method_of("full"), 0, checkpoint=checkpoint) as done:
            assert done.trace.paused
    with adapted(setting, method_of("full"), 0, checkpoint=checkpoint) as done:
        assert all(torch.equal(whole[n], value) for n, value in state_of(done.model).items())
