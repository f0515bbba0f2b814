"""Checkpoints: an interrupted training goes on to the same final weights as one that was not interrupted.

Nothing random is stored: batches, dropout and views are functions of the seed and the number of the step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from headstart.core.errors import ArtifactError
from headstart.engine.tensors import write_tensors

State = dict[str, Tensor]


@dataclass
class Checkpoint:
    """Where a training keeps its state, and how often it is written (seconds)."""

    path: Path
    every: float = 60.0
    _written: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._written >= self.every

    @property
    def size(self) -> int:
        """Bytes, 0 where there is none."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def write(self, states: dict[str, State], facts: dict[str, Any]) -> None:
        """Tensors by kind (`model`, `best`, `optimizer`) and JSON facts, in one safetensors file."""
        tensors = {f"{kind}/{name}": value for kind, state in states.items() for name, value in state.items()}
        write_tensors(self.path, tensors, {"facts": json.dumps(facts)})
        self._written = time.monotonic()

    def take_up(self, signature: str) -> bool:
        """Whether the job with this signature can go on from here; another job's state is set aside, not lost."""
        if self.path.exists() and (other := self._facts()["signature"]) != signature:
            self.path.replace(self._aside(other))
        if (own := self._aside(signature)).exists():
            own.replace(self.path)
        return self.path.exists()

    @property
    def others(self) -> list[Path]:
        """The states of other jobs, which were interrupted here."""
        return sorted(self.path.parent.glob(self._aside("*").name))

    def read(self, signature: str) -> tuple[dict[str, State], dict[str, Any]] | None:
        """What was written for the job with this signature, or None."""
        if not self.take_up(signature):
            return None
        states: dict[str, State] = {}
        with self._opened() as file:
            for key in file.keys():  # noqa: SIM118 - the file is no mapping
                kind, _, name = key.partition("/")
                states.setdefault(kind, {})[name] = file.get_tensor(key)
        return states, self._facts()

    def _aside(self, signature: str) -> Path:
        return self.path.with_name(f"{self.path.stem}-{signature[:12]}{self.path.suffix}")

    def _facts(self) -> dict[str, Any]:
        with self._opened() as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        return facts

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with safe_open(self.path, framework="pt") as file:
                yield file
        except Exception as error:
            raise ArtifactError(
                f"the checkpoint {self.path} can't be read ({error}); delete it to start anew."
            ) from error

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """The optimizer's moments as a flat dict; `number.moment` by the parameter's number."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, moments in state.items() for key, value in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, flat: State) -> None:
    """The moments get the memory layout of their parameters: a fused step walks over both as they lie."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, _, moment = key.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
