"""All rungs side by side: the pooled states are those that the rungs really get, and padding has no part in them."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.inputs.pictures import channels_last

from . import tiny


@pytest.mark.parametrize("name", ["bert", "gpt2", "vit", "timm_resnet", "plain"])
def test_width_and_top_part(name: str) -> None:
    backbone = tiny.tiny(name)
    backbone.module.eval()
    batch = tiny.batch_of(backbone)
    with torch.no_grad():
        every, top = backbone.features(batch, "all"), backbone.features(batch)
    assert every.shape == (len(top), backbone.width("all"))
    assert backbone.width("all") > backbone.dimension == backbone.width("top")
    assert torch.allclose(every[:, -backbone.dimension :], top)


def test_a_bert_gives_the_mean_of_each_hidden_state() -> None:
    backbone = tiny.tiny("bert")
    backbone.module.eval()
    batch = tiny.batch_of(backbone)
    with torch.no_grad():
        every = backbone.features(batch, "all")
        hidden = backbone.module(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"][..., None]
    means = [(state * mask).sum(1) / mask.sum(1) for state in hidden]
    assert torch.allclose(every, torch.cat(means, dim=1), atol=1e-5)


def test_padding_changes_nothing() -> None:
    backbone = tiny.tiny("bert")
    backbone.module.eval()
    batch = tiny.batch_of(backbone)
    padded = {key: torch.nn.functional.pad(value, (0, 5)) for key, value in batch.items()}
    with torch.no_grad():
        assert torch.allclose(backbone.features(batch, "all"), backbone.features(padded, "all"), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "size", "last"),
    [
        ((2, 8, 16, 96), (32, 64), True), ((2, 96, 8, 16), (32, 64), False), ((2, 7, 7, 768), (224, 224), True),
        ((2, 768, 7, 7), (224, 224), False), ((2, 16, 16, 16), (64, 64), False), ((2, 13, 19, 64), (100, 150), True),
        ((2, 64, 13, 19), (100, 150), False), ((2, 512, 1, 1), (32, 64), False), ((2, 16, 8, 8), (64, 32), True),
    ],
)  # fmt: skip
def test_the_order_of_channels_follows_the_sides_of_the_input(
    shape: tuple[int, ...], size: tuple[int, int], last: bool
) -> None:
    assert channels_last(shape, {"pixel_values": torch.empty(1, 3, *size)}) is last


def test_without_a_picture_its_sides_are_equal() -> None:
    assert channels_last((2, 7, 7, 96), {})
    assert not channels_last((2, 96, 7, 7), {})
