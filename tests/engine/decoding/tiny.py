"""Tiny causal language models with random weights, opened for decoding."""

from __future__ import annotations

from typing import Any

import torch

from backbones.tiny import bytelevel
from headstart.engine.decoding.network import Network, opened
from headstart.engine.machine.precision import Compute

FP32 = Compute(torch.device("cpu"), False)
NAMES = ("llama", "gpt2", "mistral")
"rotary positions, learned ones, and a sliding window of 5 tokens"


def causal(name: str, dtype: torch.dtype = torch.float64, seed: int = 0, positions: int = 64) -> Any:
    import transformers as t

    usual: dict[str, Any] = {
        "vocab_size": 257, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": positions, "num_key_value_heads": 2, "bos_token_id": 0,
        "eos_token_id": 0, "pad_token_id": None, "initializer_range": 0.3,
    }  # fmt: skip
    config = {
        "llama": lambda: t.LlamaConfig(**usual),
        "mistral": lambda: t.MistralConfig(**usual, sliding_window=5),
        "gpt2": lambda: t.GPT2Config(
            vocab_size=257, n_embd=32, n_layer=2, n_head=4, n_positions=positions, bos_token_id=0, eos_token_id=0,
            initializer_range=0.3,
        ),
        "mamba": lambda: t.MambaConfig(vocab_size=257, hidden_size=32, num_hidden_layers=2, state_size=4),
    }[name]()  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return t.AutoModelForCausalLM.from_config(config).to(dtype).eval()


def network_of(model: Any) -> Network:
    return opened(model.base_model, model.get_output_embeddings(), bytelevel(), FP32)


def prompts_of(lengths: tuple[int, ...], shared: int = 0, seed: int = 0) -> list[list[int]]:
    """Random prompts of these lengths, of which the first `shared` tokens are the same."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(1, 257, (shared,), generator=generator).tolist()
    return [first + torch.randint(1, 257, (n - shared,), generator=generator).tolist() for n in lengths]
