"""A causal language model as decoding sees it: hidden states of new tokens by a KV cache, and scores."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.inputs.positions import positions
from headstart.backbones.kept import ARGUMENTS, cache_of
from headstart.backbones.ladder.modes import evaluating
from headstart.core.errors import ConfigurationError, ModelError
from headstart.engine.decoding.stores import Branch, Growing
from headstart.engine.decoding.widened import Widened
from headstart.engine.machine.precision import Compute
from headstart.methods.plan import Beside

UNSURE = ("dynamic", "longrope")
"kinds of rotary positions that depend on the longest text in a batch, beyond the length of pretraining"


@dataclass(frozen=True)
class Network:
    """A body that reads tokens, the head that scores hidden states [S, D] over the vocabulary, and their tokenizer.

    Make one by `opened`, inside the context in which a plan is applied: what the plan puts into the body then acts.
    """

    body: nn.Module
    head: Callable[[Tensor], Tensor]
    tokenizer: Any
    compute: Compute

    @cached_property
    def readable(self) -> int | None:
        """Maximum number of tokens of a text with its answer; None if unlimited."""
        limits = [positions(self.body).readable]
        rotary: Any = getattr(getattr(self.body, "config", None), "rope_parameters", None)
        if isinstance(rotary, dict) and rotary.get("rope_type") in UNSURE:
            limits.append(rotary.get("original_max_position_embeddings"))
        known = [limit for limit in limits if limit is not None]
        return min(known) - self.ahead if known else None

    @property
    def batch_tokens(self) -> int:
        """Tokens that are read at once: few on a CPU, whose caches hold their activations."""
        return 512 if self.compute.device.type == "cpu" else 1 << 13

    @cached_property
    def ahead(self) -> int:
        """Number of virtual tokens before each text."""
        return sum(part.ahead for part in self.body.modules() if isinstance(part, Beside))

    @cached_property
    def _takes(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.body.forward).parameters)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """The context of all calls: eval mode, no gradients, autocast."""
        with evaluating(self.body), torch.no_grad(), self.compute.autocast():
            yield

    def states(self, ids: Tensor, store: Growing, at: Tensor | int, mask: Tensor | None = None) -> Tensor:
        """Hidden states [B, T, D] of new tokens [B, T], whose keys and values go into the store.

        at: position of the first new token, counted in tokens of the text; of all rows or of each, [B, 1].
        mask: [B, columns + T], 0 for empty places; None if empty places only follow the tokens that are read.
        """
        inputs: dict[str, Any] = {"input_ids": ids, "use_cache": True}
        name = next((name for name in ARGUMENTS if name in self._takes), None)
        if name is None:
            raise ModelError(f"{type(self.body).__name__} takes no KV cache, which decoding needs; choose a decoder.")
        # in bf16, because under autocast attention would round them at each step
        inputs[name] = cache_of(store, torch.bfloat16 if self.compute.bf16 else None)
        if "position_ids" in self._takes:
            numbers = torch.arange(ids.shape[1], device=ids.device) + at + positions(self.body).first
            inputs["position_ids"] = numbers.expand(len(ids), -1)
        if mask is not None:
            inputs["attention_mask"] = mask
        output: Tensor = self.body(**inputs).last_hidden_state
        store.settle()
        return output

    def log_p(self, hidden: Tensor) -> Tensor:
        """[S, V] log p of the next token after hidden states [S, D], in fp32 or better."""
        return self.scores(hidden).log_softmax(-1)

    def scores(self, hidden: Tensor) -> Tensor:
        scores = self.head(hidden)
        return scores if scores.dtype == torch.float64 else scores.float()

    def ids(self, rows: list[list[int]]) -> Tensor:
        """[B, T] on the network's device; shorter rows are filled up at their end."""
        longest = max(map(len, rows))
        filled = [[*row, *[row[-1]] * (longest - len(row))] for row in rows]
        return torch.tensor(filled, device=next(self.body.parameters()).device)

    def check(self, tokens: int, answer: int = 0) -> None:
        """Raises `ConfigurationError` for a text with an answer that the model can't read."""
        if tokens < 1:
            raise ConfigurationError(
                "a prompt has no tokens, so that there is nothing to answer; begin it with the model's token for the "
                "beginning of a text."
            )
        if self.readable is not None and tokens + answer > self.readable:
            rest = f" and an answer of up to {answer}" if answer else ""
            raise ConfigurationError(
                f"a prompt of {tokens} tokens{rest} is more than the {self.readable} tokens that this model reads; "
                "shorten the prompt, give fewer or shorter demonstrations, or allow shorter answers."
            )


def opened(body: nn.Module, head: Callable[[Tensor], Tensor], tokenizer: Any, compute: Compute) -> Network:
    """A network that has been tried: reading in parts by a KV cache gives the states of reading at once.

    Raises `ModelError` if it does not, as for recurrent networks, and for a method that changes each call.
    """
    network = Network(body, head, tokenizer, compute)
    table: Any = body.get_input_embeddings()  # type: ignore[operator]
    row = [(7 * number + 3) % table.num_embeddings for number in range(6)]
    exact = replace(network, compute=replace(compute, bf16=False))
    # because frozen weights are rounded in a training and in predictions, and the check is in float32
    with exact.reading(), Widened() if compute.bf16 else contextlib.nullcontext():
        try:
            whole = body(input_ids=exact.ids([row]), use_cache=False).last_hidden_state[0]  # [6, D]
            trunk = Branch()
            first = exact.states(exact.ids([row[:2]]), trunk, 0)[0]  # [2, D]
            branch = trunk.forked()
            middle = exact.states(exact.ids([row[2:5], row[2:4]]), branch, 2)  # [2, 3, D]
            last = exact.states(exact.ids([row[5:]] * 2), branch.taken([0, 0], branch.columns), 5)  # [2, 1, D]
        except (
            AttributeError,
            IndexError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            reason = f"it fails with {type(error).__name__}: {str(error)[:120]}"
            raise ModelError(f"{type(body).__name__} can't be read in parts, which decoding does: {reason}.") from error
    found = torch.cat([first, middle[0], last[0], middle[1, :2], last[1]])
    wanted = torch.cat([whole, whole[2:4], whole[5:]])
    tolerance = (1e-3 if whole.dtype in (torch.float32, torch.float64) else 3e-2) * float(whole.abs().max())
    if not torch.allclose(found, wanted, rtol=0, atol=tolerance):
        raise ModelError(
            f"{type(body).__name__} with its method, read in parts by a KV cache, gives other states than read at "
            f"once (by up to {float((found - wanted).abs().max()):.2g}), so that its answers would be wrong; choose a "
            "decoder with plain attention, or another method."
        )
    return network
