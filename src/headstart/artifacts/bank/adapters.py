"""Adapter bank: several saved models by name on one backbone."""

from __future__ import annotations

import contextlib
import copy
import itertools
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.bank.combine import Kind, combined
from headstart.artifacts.bank.entry import Entry, Placed
from headstart.artifacts.exchange.merge import merge
from headstart.artifacts.predictor import batches
from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.ladder.modes import evaluating
from headstart.core.errors import ArtifactError, ConfigurationError, unknown
from headstart.methods.plan import Model, restoring
from headstart.methods.slots import Flattened, Slots
from headstart.tasks.task import Prediction

if TYPE_CHECKING:
    from headstart.data.examples import Input


class Adapters:
    """Runs of any method on their common backbone, each put into the backbone's slots once; at most one is active.

    >>> bank = Adapters(headstart.load("./my-bert"))
    >>> bank.add("film", "runs/film")
    >>> bank.use("film")              # and bank.use(None): the base, to the last bit
    >>> bank.predict(["what a film", "port 80 is closed"], ["film", "network"])
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._entries: dict[str, Entry] = {}
        self._placed: dict[str, Placed] = {}
        self._slots = Slots(Model(backbone.module, nn.Identity()))
        self._stack = contextlib.ExitStack()
        # also at the end of the interpreter, while its modules still exist
        weakref.finalize(self, _left, self._stack, self._slots)
        self._base: dict[str, Tensor] | None = None  # the base's weights, while an adapter is merged into them
        self.active: str | None = None
        _ = backbone.fingerprint  # computed before any adapter is active

    def __repr__(self) -> str:
        lines = [
            f"{name}: {type(entry.method).__name__}, {', '.join(entry.task.labels) or 'a number'}"
            + (f" ({'merged' if self._base else 'in use'})" if name == self.active else "")
            for name, entry in self._entries.items()
        ]
        return "\n".join([f"adapters on {self.backbone.source}:", *(lines or ["none"])])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    # ------------------------------------------------------------------------------------------- coming and going
    def add(self, name: str, run: str | Path) -> None:
        """Adds a run's folder, or that of its model, under a new name; its tensors stay in memory.

        Raises `ArtifactError` if it belongs to another base or its weights do not fit, `ConfigurationError` if the name
        exists.
        """
        artifact = Artifact.open(run)
        if artifact.base.fingerprint != self.backbone.fingerprint:
            raise ArtifactError(
                f"{run} was trained on {artifact.base.source!r}, another base than {self.backbone.source!r} (their "
                "fingerprints differ)."
            )
        if not artifact.task.pooled:
            raise ArtifactError(f"{run} gives {artifact.task.noun}, which a bank does not; use headstart.predict.")
        artifact.check_inputs(self.backbone)
        weights = artifact.weights(run)
        self._put(name, Entry(artifact.task, artifact.trained_with(), artifact.head_bias, weights, artifact.tensors))

    def remove(self, name: str) -> None:
        self._entry(name)
        if self.active == name:
            self.use(None)
        del self._entries[name], self._placed[name]
        self._slots.take(name)

    def combine(
        self, name: str, shares: Mapping[str, float], *, kind: Kind = "auto", rank: int | None = None,
        head: str | None = None,
    ) -> None:  # fmt: skip
        """Combines adapters into a new one by weights (model merging): `sum_i share_i delta_i`.

        kind: `cat` for LoRA is exact, ranks add up; `svd` for LoRA is the best approximation of rank `rank`; `linear`
        for
            adapters of equal settings averages added parameters by their shares, and sums differences of base weights
            (task arithmetic, Ilharco et al. 2023); `auto` is cat for LoRA, else linear.
        head: name of the adapter whose head it gets [default: the mean of the heads, which needs equal labels].
        Raises `ConfigurationError` for adapters that can't be combined.
        """
        parts = {each: self._entry(each) for each in shares}
        with self._bare("combine"):
            entry = combined(self.backbone, parts, shares, kind, rank, head)
        self._put(name, entry)

    def _put(self, name: str, entry: Entry) -> None:
        if name in self._entries:
            raise ConfigurationError(f"there is an adapter {name!r} already; choose another name or remove it first.")
        with self._bare("add an adapter"):
            self._placed[name] = Placed(name, entry, self.backbone, self._slots)
            self._entries[name] = entry

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown("adapter", name, self._entries)
        return self._entries[name]

    def _bare(self, what: str) -> contextlib.AbstractContextManager[None]:
        """The bare base inside the context; the active adapter comes back afterwards."""
        if self._base is not None:
            raise ConfigurationError(f"{self.active!r} is merged into the base; unmerge it to {what}.")
        return self.using(None)

    # ----------------------------------------------------------------------------------------------------- in use
    def use(self, name: str | None) -> None:
        """Activates the adapter; None deactivates it and restores the base."""
        if self._base is not None:
            raise ConfigurationError(f"{self.active!r} is merged into the base; unmerge it first.")
        if name is not None:
            self._entry(name)
        self._stack.close()
        self.active = None
        if name is not None:
            self._now = placed = self._here(name)
            buffers = [key for key, _ in placed.model.named_buffers() if key.startswith("backbone.")]
            self._stack.enter_context(restoring(placed.model, buffers))
            self._stack.enter_context(placed.acting())
            self._stack.enter_context(evaluating(placed.model))
            self.active = name

    def _here(self, name: str) -> Placed:
        """The adapter on the device of the backbone, which may have moved."""
        device, placed = next(self.backbone.module.parameters()).device, self._placed[name]
        if placed.device != device:
            placed.to(device)
        return placed

    @contextlib.contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """`use` inside the context."""
        before = self.active
        self.use(name)
        try:
            yield
        finally:
            self.use(before)

    def merge(self, name: str) -> None:
        """Merges the adapter into the backbone's weights, for calls without extra work. `unmerge` restores the base."""
        self.use(None)
        with self.using(name):
            twin = copy.deepcopy(self._now.model.backbone)
            head, reads = self._now.model.head, self._now.plan.reads
        merge(twin)
        module, state = self.backbone.module, twin.state_dict()
        kept = {n: v.detach().clone() for n, v in module.state_dict().items()}
        if state.keys() != kept.keys():
            raise ConfigurationError(f"{name!r} can't be merged: it adds layers that the base does not have.")
        module.load_state_dict(state)
        self._base, self._merged, self.active = kept, (head, reads), name

    def unmerge(self) -> None:
        """Restores the base's weights bit for bit, from a copy."""
        if self._base is None:
            raise ConfigurationError("nothing is merged.")
        self.backbone.module.load_state_dict(self._base)
        self._base, self.active = None, None

    # ------------------------------------------------------------------------------------------------ predictions
    def mixable(self, name: str) -> bool:
        """True if its rows can share a batch with other adapters: LoRA, bottleneck adapters and (IA)3."""
        self._entry(name)
        return self._placed[name].mixable

    def predict(self, inputs: Sequence[Input], adapter: str | Sequence[str] | None = None) -> list[Prediction]:
        """Predicts with one adapter for all inputs, or one per input [default: the active one]."""
        adapter = adapter if adapter is not None else self.active
        if adapter is None:
            raise ConfigurationError("no adapter is in use; name one, or one for each input.")
        names = [adapter] * len(inputs) if isinstance(adapter, str) else list(adapter)
        if len(names) != len(inputs):
            raise ConfigurationError(f"{len(inputs)} inputs came with {len(names)} adapters; give one for each.")
        found: dict[int, Prediction] = {}
        decodings = [self._entry(name).task.images for name in names]
        for places, batch in batches(self.backbone, inputs, decodings=decodings):
            for place, scores in zip(places, self.logits(batch, [names[place] for place in places])):
                task = self._entries[names[place]].task
                found[place] = task.prediction(task.probabilities(scores[None])[0].cpu().numpy())
        return [found[place] for place in range(len(inputs))]

    def logits(self, batch: Batch, names: Sequence[str]) -> list[Tensor]:
        """[outputs] for each row by its adapter, in one forward pass if all adapters can share a batch.

        Else rows run separately by adapter, with the same result.
        """
        used = list(dict.fromkeys(names))
        for name in used:
            self._entry(name)
        if self._base is not None and set(used) == {self.active}:
            head, reads = self._merged
            with evaluating(self.backbone.module), torch.no_grad():
                return list(head(self.backbone.features(batch, reads).float()))
        with self._bare("use others"), evaluating(self.backbone.module), torch.no_grad():
            placed = {name: self._here(name) for name in used}
            if len(used) > 1 and all(one.mixable for one in placed.values()):
                with contextlib.suppress(Flattened):  # raised by a module that moves rows into another dimension
                    return self._together(batch, list(names), placed)
            return self._apart(batch, names, placed)

    def _together(self, batch: Batch, names: list[str], placed: Mapping[str, Placed]) -> list[Tensor]:
        """One pass over the rows, sorted by adapter."""
        order = sorted(range(len(names)), key=lambda row: names[row])
        ends = list(itertools.accumulate(names.count(name) for name in sorted(placed)))
        rows = {name: slice(start, end) for name, start, end in zip(sorted(placed), [0, *ends], ends)}
        index = torch.tensor(order, device=next(iter(batch.values())).device)
        with self._slots.by_row(rows):
            features = self.backbone.features({key: value[index] for key, value in batch.items()}).float()  # [B, D]
        found = {
            row: one for name, own in rows.items() for row, one in zip(order[own], placed[name].head(features[own]))
        }
        return [found[row] for row in range(len(names))]

    def _apart(self, batch: Batch, names: Sequence[str], placed: Mapping[str, Placed]) -> list[Tensor]:
        """One pass for each adapter."""
        found: dict[int, Tensor] = {}
        for name, one in placed.items():
            rows = [row for row, each in enumerate(names) if each == name]
            with one.acting():
                features = self.backbone.features({key: value[rows] for key, value in batch.items()}, one.plan.reads)
                found |= zip(rows, one.head(features.float()))
        return [found[row] for row in range(len(names))]


def _left(stack: contextlib.ExitStack, slots: Slots) -> None:
    """Restores the base of a bank that is gone."""
    stack.close()
    slots.close()
