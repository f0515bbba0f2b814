"""Checkpoints: an interrupted training resumes and reaches the same final weights.

Nothing random is stored, because batches, dropout and views are functions of the seed and the number of the step. The
weights are equal to the bit on a CPU with the same number of threads, and within rounding on a GPU, which adds in an
order that is not fixed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from headstart.core.errors import ArtifactError
from headstart.core.progress import Progress
from headstart.engine.state.streaming import stream_tensors

State = dict[str, Tensor]


@dataclass
class Checkpoint:
    """File of a training's state, written every so many seconds.

    Each job has its file, `path` with the job's signature appended to the name, so that none overwrites another's.
    """

    path: Path
    every: float = 60.0
    _written: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._written >= self.every

    @property
    def size(self) -> int:
        """Bytes of all files; 0 without any."""
        return sum(file.stat().st_size for file in self._files())

    def write(self, states: Mapping[str, Mapping[str, Tensor]], facts: dict[str, Any]) -> None:
        """Tensors by kind (`model`, `best`, `optimizer`) and JSON facts, the `signature` among them, in one file."""
        stream_tensors(self.file(facts["signature"]), states, {"facts": json.dumps(facts)})
        self._written = time.monotonic()

    def file(self, signature: str) -> Path:
        """The file of the job with this signature."""
        return self.path.with_stem(f"{self.path.stem}-{signature[:12]}")

    def holds(self, signature: str) -> bool:
        """True if the job with this signature can resume."""
        return self.file(signature).exists()

    def read(self, signature: str) -> tuple[dict[str, State], dict[str, Any]] | None:
        """States and facts of the job with this signature, or None."""
        file, states = self.file(signature), dict[str, State]()
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                for key in opened.keys():  # noqa: SIM118 - the file is no mapping
                    kind, _, name = key.partition("/")
                    states.setdefault(kind, {})[name] = opened.get_tensor(key)
                return states, json.loads(opened.metadata()["facts"])
        except Exception as error:
            raise ArtifactError(f"the checkpoint {file} can't be read ({error}); delete it to start anew.") from error

    def tell_others(self, signature: str, progress: Progress) -> None:
        """Reports that a job begins anew although another was interrupted here."""
        if not self.holds(signature) and self._files():
            progress.say(
                "the interrupted training here had other settings or data: this one begins anew, and the other's state "
                "stays until this one ends"
            )

    def remove(self) -> None:
        """Removes the files of all jobs."""
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        return list(self.path.parent.glob(self.file("*").name))


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """The optimizer's moments as a flat dict; `number.moment` by the parameter's number."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, moments in state.items() for key, value in moments.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, flat: State) -> None:
    """Restores the moments in their parameters' memory layout, because a fused step walks over both in that order."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        number, _, moment = key.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
