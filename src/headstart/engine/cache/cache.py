"""The frozen-prefix cache: activations below the cut never change, so they are computed once and kept.

They are in files of a temporary folder that the cache removes, or in a GPU's memory (`engine.cache.states`).
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.backbone import Backbone, Batch, Reads
from headstart.backbones.inputs.word_marks import WORD_STARTS
from headstart.backbones.ladder.cutting import Cut, states
from headstart.backbones.ladder.modes import evaluating
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.cache.states import States, room
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.machine.memory import passes
from headstart.engine.machine.precision import Compute

Key = tuple[str, str, int, Reads, str]
"""fingerprint of the backbone, content of the feed, cut, features that the head reads, number format; a store is
indexed by the example's place"""
Wanted = tuple[int, Reads]
"a cut, and the features that the head reads"


@dataclass(eq=False)
class Cache:
    """Keeps states below the cut for one backbone, at most `limit_bytes` of them, until it is closed.

    States without room are computed again each time. If the backbone can't be run from a cut (checked on two batches
    of different shape before use), training runs the whole forward, and `notes` reports it.
    """

    backbone: Backbone
    compute: Compute
    limit_bytes: int = 4 << 30
    folder: str | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="headstart-cache-", dir=self.folder))
        self._stores: dict[Key, States | None] = {}
        self._cuts: dict[int, Cut] = {}
        self._reasons: dict[int, str | None] = {}
        self._found: dict[Key, float] = {}
        self._expected: tuple[Wanted, ...] = ()
        self._owner = ""
        self._bytes = 0
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)

    def close(self) -> None:
        self._stores.clear()
        self._finalizer()

    def begin(self, owner: str = "") -> None:
        """Begins a run, which is charged for states of other runs; if it is resumed, not for its own."""
        self._found.clear()
        self._owner = owner
        self.notes.clear()  # of this run

    def expect(self, wanted: Iterable[Wanted]) -> None:
        """States that later runs will ask for; the first pass that reaches so high keeps all of them."""
        self._expected = tuple(dict.fromkeys(wanted))

    def fill(self, feed: Feed, batch_tokens: int) -> None:
        """Computes all expected states of this feed; the backbone must be the bare base."""
        if self._expected:
            cut, reads = max(self._expected)
            self.states(feed, cut, batch_tokens, reads)

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def charge(self) -> float:
        """Seconds that earlier runs spent on states that this run used: alone it would have spent them itself."""
        return sum(self._found.values())

    def usable(self, feed: Feed, cut: int) -> bool:
        """True if the backbone can be run from this cut on this feed's batches."""
        if cut == 0 or feed.fresh or (feed.answers is not None and self._cut(cut).is_top):
            return False
        if cut == len(self.backbone.ladder):
            return True
        if feed.windowed:
            self._say(f"nothing is kept below rung {cut}: long passages of {feed.name} are read in several windows")
            return False
        if reason := self._why_not(feed, cut):
            self._say(f"the whole forward runs in each step, nothing is kept below rung {cut}: {reason}")
        return reason is None

    def _why_not(self, feed: Feed, cut: int) -> str | None:
        if cut not in self._reasons:
            self._reasons[cut] = self._cut(cut).check(_samples(feed, self.compute))
        return self._reasons[cut]

    def features(
        self, feed: Feed, positions: np.ndarray, batch: Batch, cut: int, batch_tokens: int, reads: Reads = "top"
    ) -> Tensor:
        """Pooled features [B, D] of the present backbone, with kept activations below the cut.

        Gradients flow above the cut. The first call for a feed computes its states, at most `batch_tokens` at once.
        """
        store = self.states(feed, cut, batch_tokens, reads)
        if store is None:
            return self.backbone.features(batch, reads)
        state = store.get(positions, self._width(batch, cut))
        return self._cut(cut).resume(batch, state.to(self.compute.device).float())

    def _cut(self, cut: int) -> Cut:
        """One `Cut` for each rung, because it keeps the shapes from its check."""
        if cut not in self._cuts:
            self._cuts[cut] = Cut(self.backbone, cut)
        return self._cuts[cut]

    def states(self, feed: Feed, cut: int, batch_tokens: int, reads: Reads = "top") -> States | None:
        """States of the whole feed; None if the cut can't be used or there is no room for them.

        All are computed at once, in batches that depend on the feed alone, so that the order of the runs and
        interruptions change no bit of them.
        """
        if not self.usable(feed, cut):
            return None
        key = self._key(feed, (cut, reads))
        store = self._stores.get(key)
        own = store is not None and self._owner != "" and store.owner == self._owner
        self._found.setdefault(key, 0.0 if store is None or own else store.seconds)
        if key in self._stores:
            if store is None:
                self._say(f"the cache is full: states of {feed.name} at this cut are computed in each epoch")
            return store
        # not higher, because the run that asks trains those rungs
        along = [
            one for one in self._expected
            if 0 < one[0] <= cut and one != (cut, reads) and self._key(feed, one) not in self._stores
            and (one[0] == len(self.backbone.ladder) or (not feed.windowed and self._why_not(feed, one[0]) is None))
        ]  # fmt: skip
        start = time.perf_counter()
        found = self._fill(feed, [(cut, reads), *along], batch_tokens)
        seconds = time.perf_counter() - start
        for (rung, what), kept in found.items():
            # alone this pass would have taken its share of the rungs
            kept.seconds, kept.owner = seconds * (rung / cut if along else 1.0), self._owner
            self._stores[self._key(feed, (rung, what))] = kept
        return self._stores.setdefault(key, None)

    def _key(self, feed: Feed, wanted: Wanted) -> Key:
        return (self.backbone.fingerprint, feed.content, *wanted, str(self.compute.dtype))

    def _fill(self, feed: Feed, wanted: list[Wanted], batch_tokens: int) -> dict[Wanted, States]:
        """States of the whole feed at each of these cuts, from one pass, as far as there is room.

        The first has precedence, and only its lack of room is noted.
        """
        read: Reads = "all" if any(reads == "all" for _, reads in wanted) else "top"
        found: dict[Wanted, States] = {}

        def forward(micro: Micro) -> list[Tensor]:
            batch = feed.moved(micro.batch, self.compute.device)
            with torch.no_grad(), self.compute.autocast():
                return states([self._cut(cut) for cut, _ in wanted], batch, read)

        with evaluating(self.backbone.module), forward_alone(self.backbone.module, self.compute):
            for place, (micro, now) in enumerate(passes(feed, batch_tokens, self.compute.early, forward)):
                for one, state in zip(wanted, now):
                    if one == (len(self.backbone.ladder), "top") and read == "all":
                        state = state[..., -self.backbone.dimension :]  # the highest of the levels
                    if not place:
                        store = self._new(feed, state, self._width(micro.batch, one[0]), one == wanted[0], one[0])
                        if store is not None:
                            found[one] = store
                    if one in found:
                        found[one].put(micro.positions, state)
                if not found:
                    break
                wanted = list(found)
        return found

    def _width(self, batch: Batch, cut: int) -> int:
        """Padded length of the states of this batch at a cut: in tokens, above all rungs in words; 0 without either."""
        name = WORD_STARTS if cut == len(self.backbone.ladder) else "attention_mask"
        return batch[name].shape[1] if name in batch else 0

    def _new(self, feed: Feed, state: Tensor, width: int, tell: bool, cut: int) -> States | None:
        """Room for all states of a feed; None if the limit or the disk does not allow it."""
        ragged = state.dim() > 2 and width > 0 and state.shape[1] == width
        shape = tuple(state.shape[2:] if ragged else state.shape[1:])
        top = cut == len(self.backbone.ladder)
        rows = (feed.rows if top else feed.lengths) if ragged else np.ones(len(feed), dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(rows)])
        # full precision for pooled features, because they are few and go into the convex head
        dtype = torch.float32 if state.dim() == 2 or top else self.compute.dtype
        total = int(offsets[-1]) * int(np.prod(shape)) * dtype.itemsize
        found, reason = None, f"the cache is full: states of {feed.name} at this cut are computed in each epoch"
        if self._bytes + total <= self.limit_bytes:
            found = room(offsets, shape, ragged, dtype, self.compute.device, self._path)
            reason = f"no room in {self._path.parent} for the cache: {feed.name} is computed in each epoch"
        if found:
            self._bytes += total
        elif tell:
            self._say(reason)
        return found


def all_features(cache: Cache, feed: Feed, batch_tokens: int, reads: Reads = "top") -> Tensor:
    """Features [R, D] of the frozen backbone for all rows of a feed, in batches of like length."""
    top = len(cache.backbone.ladder)
    device = cache.compute.device
    cache.backbone.module.eval()
    if kept := cache.states(feed, top, batch_tokens, reads):
        return kept.values.to(device)
    out = torch.empty(int(feed.rows.sum()), cache.backbone.width(reads), device=device)

    def forward(micro: Micro) -> Tensor:
        with torch.no_grad(), cache.compute.autocast():
            return cache.backbone.features(feed.moved(micro.batch, device), reads).float()

    with forward_alone(cache.backbone.module, cache.compute):
        for micro, features in passes(feed, batch_tokens, cache.compute.early, forward):
            feed.put_rows(out, micro.positions, features)
    return out


def _samples(feed: Feed, compute: Compute) -> list[Batch]:
    """Two batches that differ in size and, for texts, in length."""
    order = np.argsort(feed.lengths, kind="stable")
    picks = [order[:: max(1, len(order) // 3)][:3], order[-2:]]
    return [{n: v.to(compute.device) for n, v in feed.batch(np.sort(p)).items()} for p in picks]
