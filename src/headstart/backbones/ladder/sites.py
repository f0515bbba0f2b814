"""Sites: modules of a backbone where methods can add parameters, recognised by structure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from headstart.backbones.ladder.ladder import Site

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)


def linear_sizes(module: nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear layer, also of transformers' transposed `Conv1D`; None for other modules."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = getattr(module, "weight", None)
    if type(module).__name__ == "Conv1D" and weight is not None and weight.dim() == 2:
        return weight.shape[0], weight.shape[1]
    return None


def is_norm(module: nn.Module) -> bool:
    """True for torch's normalisation layers, and for leaves with only 1-D parameters of one size (RMSNorm)."""
    if isinstance(module, _NORMS):
        return True
    own = dict(module.named_parameters(recurse=False))
    return (
        not any(True for _ in module.children())
        and "weight" in own
        and own.keys() <= {"weight", "bias"}
        and all(p.dim() == 1 for p in own.values())
    )


def is_attention(module: nn.Module) -> bool:
    """True for a module with query, key and value projections, separate or fused."""
    if isinstance(module, nn.MultiheadAttention):
        return True
    name = type(module).__name__.lower()
    if "attention" not in name and "attn" not in name:
        return False
    sizes = [s for s in (linear_sizes(child) for child in module.children()) if s is not None]
    fused = any(outputs == 3 * inputs for inputs, outputs in sizes)
    return fused or len(sizes) >= 3 or (len(sizes) >= 1 and any(inputs < outputs for inputs, outputs in sizes))


def _attention_like(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    return "attention" in name or "attn" in name


def find_sites(root: nn.Module, rung_of: Callable[[str], int | None], blocks: set[int]) -> Iterator[Site]:
    """All sites in the order of the module tree.

    rung_of: gives the rung of a module's path, or None.
    blocks: rungs that are blocks; linear layers in blocks with attention have a `part`.

    The output projection of `nn.MultiheadAttention` is no site, because its fused kernel reads the weights without
    calling the layer, so that an adapter there would silently have no effect.
    """
    modules = dict(root.named_modules())
    fused = tuple(f"{path}." for path, m in modules.items() if isinstance(m, nn.MultiheadAttention))
    attending: set[int | None] = {rung_of(path) for path, m in modules.items() if is_attention(m)}
    for path, module in modules.items():
        rung = rung_of(path)
        if rung is None or not path or path.startswith(fused):
            continue
        sizes = linear_sizes(module)
        if sizes is not None:
            part = _part(modules, path) if rung in blocks and rung in attending else ""
            yield Site(path, "linear", rung, *sizes, part=part)
        elif isinstance(module, _CONVOLUTIONS):
            yield Site(path, "conv", rung, module.in_channels, module.out_channels, groups=module.groups)
        elif isinstance(module, nn.RNNBase):
            width = module.proj_size or module.hidden_size
            yield Site(path, "recurrent", rung, module.input_size, width * (2 if module.bidirectional else 1))
        elif isinstance(module, nn.Embedding):
            yield Site(path, "embedding", rung, module.num_embeddings, module.embedding_dim)
        elif is_attention(module):
            yield Site(path, "attention", rung, *_attention_sizes(module))
        elif is_norm(module):
            size = next((p.numel() for p in module.parameters(recurse=False)), getattr(module, "num_features", 0))
            yield Site(path, "norm", rung, size, size)


def _part(modules: dict[str, nn.Module], path: str) -> str:
    """`attention` inside of a module with that name and other linear layers; else `feedforward`."""
    while path:
        path = path.rpartition(".")[0]
        if path and _attention_like(modules[path]):
            return "attention"
    return "feedforward"


def _attention_sizes(module: nn.Module) -> tuple[int, int]:
    if isinstance(module, nn.MultiheadAttention):
        return module.embed_dim, module.embed_dim
    inputs = next(s[0] for s in (linear_sizes(child) for child in module.children()) if s is not None)
    return inputs, inputs
