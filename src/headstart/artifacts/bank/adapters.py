"""Adapters: several saved models, by name, on one backbone."""

from __future__ import annotations

import contextlib
import copy
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headstart.artifacts.artifact import Artifact, read_tensors, restored
from headstart.artifacts.bank.combine import Kind, combined
from headstart.artifacts.bank.entry import Entry
from headstart.artifacts.bank.mixed import Flattened, Mixed, Parts, mixable
from headstart.artifacts.exchange.merge import merge
from headstart.artifacts.predictor import batches
from headstart.backbones.backbone import Backbone, Batch
from headstart.core.errors import ArtifactError, ConfigurationError, unknown
from headstart.methods.plan import Model, Plan
from headstart.tasks.task import Prediction

if TYPE_CHECKING:
    from headstart.data.examples import Input


class Adapters:
    """Runs of any method on the one backbone that they were trained on; at most one is in use at a time.

    >>> bank = Adapters(headstart.load("./my-bert"))
    >>> bank.add("film", "runs/film")
    >>> bank.use("film")              # and bank.use(None): the base, to the last bit
    >>> bank.predict(["what a film", "port 80 is closed"], ["film", "network"])
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._entries: dict[str, Entry] = {}
        self._mixable: dict[str, bool] = {}
        self._parts: dict[str, Parts] = {}
        self._stack = contextlib.ExitStack()
        weakref.finalize(self, self._stack.close)  # at the interpreter's end too, while there are modules to do it with
        self._base: dict[str, Tensor] | None = None  # the base's own weights, while another is merged into them
        self.active: str | None = None
        _ = backbone.fingerprint  # taken before anything is put on it

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
        """A run's folder, or its model's, under a new name; its tensors are read once and kept in memory.

        Raises `ArtifactError` where it belongs to another base or its weights do not fit, `ConfigurationError` where
        the name is taken.
        """
        artifact = Artifact.open(run)
        if artifact.base.fingerprint != self.backbone.fingerprint:
            raise ArtifactError(
                f"{run} was trained on {artifact.base.source!r}, another base than {self.backbone.source!r} (their "
                "fingerprints differ)."
            )
        artifact.check_inputs(self.backbone)
        weights = read_tensors(run)
        self._put(name, Entry(artifact.task, artifact.trained_with(), artifact.head_bias, weights, artifact.tensors))

    def remove(self, name: str) -> None:
        self._entry(name)
        if self.active == name:
            self.use(None)
        del self._entries[name]
        del self._mixable[name]
        self._parts.pop(name, None)

    def combine(
        self, name: str, shares: Mapping[str, float], *, kind: Kind = "auto", rank: int | None = None,
        head: str | None = None,
    ) -> None:  # fmt: skip
        """A new adapter from others by weights: `sum_i share_i delta_i`.

        kind: `cat` for LoRA, exact, the ranks add up; `svd` for LoRA, the best of rank `rank`; `linear` for adapters of
        equal settings: added parameters are averaged by their shares, and of weights of the base the differences are
        added up (task arithmetic, Ilharco et al. 2023). `auto`: cat for LoRA, linear for the others.
        head: whose head it gets; left out, the heads' average, for which their labels have to be equal.
        Raises `ConfigurationError` for what can't be combined.
        """
        parts = {each: self._entry(each) for each in shares}
        with self._bare("combine"):
            entry = combined(self.backbone, parts, shares, kind, rank, head)
        self._put(name, entry)

    def _put(self, name: str, entry: Entry) -> None:
        if name in self._entries:
            raise ConfigurationError(f"there is an adapter {name!r} already; choose another name or remove it first.")
        with self._bare("add an adapter"):
            with self._applied(entry):  # keys and shapes are checked now, not at the first use
                pass
            self._entries[name], self._mixable[name] = entry, mixable(self.backbone, entry)

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown("adapter", name, self._entries)
        return self._entries[name]

    def _bare(self, what: str) -> contextlib.AbstractContextManager[None]:
        """The base alone for as long as the context lasts; what was in use comes back."""
        if self._base is not None:
            raise ConfigurationError(f"{self.active!r} is merged into the base; unmerge it to {what}.")
        return self.using(None)

    # ----------------------------------------------------------------------------------------------------- in use
    def _applied(self, entry: Entry) -> contextlib.AbstractContextManager[tuple[Model, Plan]]:
        return restored(self.backbone, entry.method, entry.task, entry.head_bias, entry.weights, entry.tensors)

    def use(self, name: str | None) -> None:
        """Puts the adapter on the backbone until another is used; None takes it off, and the base is as it was."""
        if self._base is not None:
            raise ConfigurationError(f"{self.active!r} is merged into the base; unmerge it first.")
        entry = None if name is None else self._entry(name)
        self._stack.close()
        self.active = None
        if entry is not None:
            self._now = self._stack.enter_context(self._applied(entry))
            self.active = name

    @contextlib.contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """`use` for as long as the context lasts."""
        before = self.active
        self.use(name)
        try:
            yield
        finally:
            self.use(before)

    def merge(self, name: str) -> None:
        """Folds the adapter into the backbone's weights: no extra work at each call. `unmerge` brings the base back."""
        self.use(None)
        with self.using(name):
            twin = copy.deepcopy(self._now[0].backbone)
            head, reads = copy.deepcopy(self._now[0].head), self._now[1].reads
        merge(twin)
        module, state = self.backbone.module, twin.state_dict()
        kept = {n: v.detach().clone() for n, v in module.state_dict().items()}
        if state.keys() != kept.keys():
            raise ConfigurationError(f"{name!r} can't be merged: it adds layers that the base does not have.")
        module.load_state_dict(state)
        self._base, self._merged, self.active = kept, (head, reads), name

    def unmerge(self) -> None:
        """The base's own weights again, from the copy that was kept: to the last bit."""
        if self._base is None:
            raise ConfigurationError("nothing is merged.")
        self.backbone.module.load_state_dict(self._base)
        self._base, self.active = None, None

    # ------------------------------------------------------------------------------------------------ predictions
    def mixable(self, name: str) -> bool:
        """Whether its rows can share a batch with those of others: LoRA, bottleneck adapters and (IA)3."""
        self._entry(name)
        return self._mixable[name]

    def predict(self, inputs: Sequence[Input], adapter: str | Sequence[str] | None = None) -> list[Prediction]:
        """One adapter for all inputs, or one for each; left out, the one in use. Every row has its adapter's labels."""
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
        """[outputs] for each row by its own adapter, in one pass where all that are named can share one.

        Otherwise rows are run apart, by adapter, with the same result.
        """
        entries = {name: self._entry(name) for name in dict.fromkeys(names)}
        if self._base is not None and set(entries) == {self.active}:
            head, reads = self._merged
            self.backbone.module.eval()
            with torch.no_grad():
                return list(head(self.backbone.features(batch, reads).float()))
        with self._bare("use others"):
            return self._logits(batch, names, entries)

    def _logits(self, batch: Batch, names: Sequence[str], entries: Mapping[str, Entry]) -> list[Tensor]:
        if len(entries) > 1 and all(self.mixable(name) for name in entries):
            for name in entries.keys() - self._parts.keys():
                self._parts[name] = Parts(self.backbone, entries[name])
            mixed = Mixed(self.backbone, {name: self._parts[name] for name in entries})
            with contextlib.suppress(Flattened):  # a module that folds rows into another dimension
                return mixed.logits(batch, names)
        rows = {name: [i for i, each in enumerate(names) if each == name] for name in entries}
        out: list[Tensor] = [torch.empty(0)] * len(names)
        for name, places in rows.items():
            part = {key: value[places] for key, value in batch.items()}
            with self._applied(entries[name]) as (model, plan), torch.no_grad():
                for i, row in zip(places, model.head(self.backbone.features(part, plan.reads).float())):
                    out[i] = row
        return out
