"""Pretraining on running text: a job over the pieces of a packed corpus."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.inputs.pooling import pool
from headstart.backbones.networks.head_in_parts import head_of, summed, without_head
from headstart.backbones.networks.language import predicting
from headstart.core.errors import ConfigurationError
from headstart.core.seeds import derive
from headstart.data.corpus.packed import Packed, Pieces
from headstart.engine.feed.ahead import ahead
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Evaluation, Loss, Losses
from headstart.engine.losses.sampled_head import SampledHead, counts
from headstart.engine.machine.dropout import fast_dropout
from headstart.engine.machine.precision import Compute
from headstart.methods.plan import Group, Plan, Schedule

IGNORED = -100
AT_ONCE = {"cpu": 8_192, "cuda": 1 << 17}
"maximum number of tokens per forward pass"


class Objective(Protocol):
    """Part of an objective that the job uses."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def warmup(self) -> float: ...

    @property
    def batch_tokens(self) -> int: ...

    @property
    def next_sentence(self) -> bool: ...

    @property
    def parts(self) -> int: ...

    @property
    def averages_after(self) -> int: ...

    @property
    def directions(self) -> int: ...

    @property
    def samples(self) -> int: ...

    def prepared(
        self, ids: np.ndarray, text: np.ndarray, begins: np.ndarray, mask_id: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor: ...

    def contrast(self, features: Tensor) -> Tensor: ...

    def penalty(self, dropped: Tensor, raw: Tensor) -> Tensor: ...


class Framing:
    """Converts token ids into rows: special tokens around each piece, padding on the right.

    before, after: special tokens. begins: [V] True for tokens that start a word. mask: id of the mask token.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], pad: int, mask: int, begins: np.ndarray) -> None:
        self.before, self.after, self.pad, self.mask, self.begins = list(before), list(after), pad, mask, begins
        self.extra = len(self.before) + len(self.after)

    def rows(
        self, stream: np.ndarray, parts: Sequence[Pieces]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`before a after`, or `before a after b after` for rows with two parts.

        Returns ids, types and a mask of text, [B, T] each, and the end of each row, [B].
        """
        count = len(parts[0])
        row, offset = np.arange(count), np.full(count, len(self.before))
        width = len(self.before) + int(np.sum([part.lengths + len(self.after) for part in parts], 0).max())
        ids = np.full((count, width), self.pad, dtype=np.int64)  # [B, T]
        types, text = np.zeros_like(ids), np.zeros(ids.shape, dtype=bool)
        ids[:, : len(self.before)] = self.before
        for kind, part in enumerate(parts):
            rows, columns = np.nonzero(np.arange(part.lengths.max()) < part.lengths[:, None])
            places = rows, offset[rows] + columns
            ids[places], text[places], types[places] = stream[part.starts[rows] + columns], True, kind
            offset = offset + part.lengths
            for mark in self.after:
                ids[row, offset], types[row, offset] = mark, kind
                offset = offset + 1
        return ids, types, text, offset


class LanguageModelling:
    """Each step runs a batch of pieces of similar length through the network and its vocabulary head."""

    def __init__(
        self,
        module: Any,
        packed: Packed,
        framing: Framing,
        objective: Objective,
        compute: Compute,
        seed: int,
        settings: str,
    ) -> None:
        """settings: further settings that identify this job in its checkpoint."""
        self.network, self.packed, self.framing = module.to(compute.device), packed, framing
        self.module: nn.Module = self.network
        self.objective, self.compute, self.seed = objective, compute, seed
        self.plan = Plan(
            groups=(Group("all", tuple(name for name, _ in module.named_parameters()), rung=0),),
            learning_rate=objective.learning_rate,
            weight_decay=objective.weight_decay,
            schedule=Schedule("constant" if objective.averages_after else "linear", warmup=objective.warmup),
            optimizer="sgd" if objective.averages_after else "adamw",
            tail_average=objective.averages_after,
        )
        text = repr((objective, seed, len(packed.ids), packed.units, settings))
        self.signature = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        self._extra = framing.extra * objective.parts
        if objective.next_sentence:  # doubled, because the second paragraph may be as long as the first
            self._extra += packed.length + len(framing.after)
        few = {"input_ids": torch.arange(8, device=compute.device).reshape(2, 4)}
        # because many small products are slower on a GPU than one large one
        self._head = head_of(self.network, few) if compute.device.type == "cpu" or objective.samples else None
        if objective.samples and self._head is None:
            raise ConfigurationError(
                "samples needs a network whose scores are those of its last linear layer; this one's are more. "
                "Leave samples out."
            )
        self._steps = packed.count(objective.batch_tokens, self._extra)

    @functools.cached_property
    def _sampled(self) -> SampledHead | None:
        """Counted lazily, because a job that only evaluates does not read the corpus."""
        if self._head is None or not self.objective.samples:
            return None
        return SampledHead(self._head, counts(self.packed.ids, len(self._head.weight)), self.objective.samples)

    def steps_an_epoch(self) -> int:
        return self._steps

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        objective = self.objective
        batches = self.packed.batches(objective.batch_tokens, self._extra, self.seed, epoch)
        plans = ((epoch, number, pieces) for number, pieces in enumerate(batches) if number >= start)
        yield from ahead(lambda plan: self._micros(plan[2], plan[:2]), plans)

    def _micros(self, pieces: Pieces, name: Iterable[object], held: bool = False) -> list[Micro]:
        """One step, with masks seeded by its name. held: True for held-out text."""
        rng = np.random.default_rng(derive(self.seed, "masks", *name))
        batch: dict[str, Tensor] = {}
        if self.objective.next_sentence:
            parts, follows = self._pairs(pieces, rng, held)
            batch["follows"] = torch.from_numpy(follows)
            batch["share"] = torch.full((len(pieces),), 1 / len(pieces))
        elif self.objective.parts == 2:
            parts = [self._halves(pieces, rng)]
            batch["pair"] = torch.arange(len(pieces)).repeat_interleave(2)
            batch["share"] = torch.full((2 * len(pieces),), 1 / len(pieces))
        else:
            parts = [pieces]
        ids, types, text, ends = self.framing.rows(self.packed.ids, parts)
        inputs, targets = self.objective.prepared(ids, text, self.framing.begins, self.framing.mask, rng)
        batch["input_ids"] = torch.from_numpy(inputs)
        if types.any():
            batch["token_type_ids"] = torch.from_numpy(types)
        real = np.arange(ids.shape[1]) < ends[:, None]
        if not real.all():
            batch["attention_mask"] = torch.from_numpy(real.astype(np.int64))
        count = max(1, int((targets != IGNORED).sum()))
        # never split, because pairs are contrasted with all others of their step
        step = Micro(np.arange(len(ids)), batch, torch.from_numpy(targets), count, whole="pair" in batch)
        if step.whole:
            return [step]
        return step.cut(-(-ids.size // AT_ONCE.get(self.compute.device.type, AT_ONCE["cpu"])))

    def _pairs(self, pieces: Pieces, rng: np.random.Generator, held: bool) -> tuple[list[Pieces], np.ndarray]:
        """Pairs each piece with its next paragraph or a random one, cut to the same length."""
        follows = rng.integers(2, size=len(pieces))
        following = self.packed.following(pieces.starts)
        numbers = np.where(follows, following, rng.integers(len(self.packed.ends), size=len(pieces)))
        if not held:  # held-out paragraphs are not used as second ones either
            while (bad := self.packed.is_held(numbers)).any():
                numbers = np.where(bad, rng.integers(len(self.packed.ends), size=len(pieces)), numbers)
        follows = (follows & (numbers == following)).astype(follows.dtype)
        second = self.packed.paragraphs(numbers)
        return [pieces, Pieces(second.starts, np.minimum(second.lengths, self.packed.length))], follows

    def _halves(self, pieces: Pieces, rng: np.random.Generator) -> Pieces:
        """Both parts of each piece in turn, split at a random place in the middle half; a single token is both."""
        whole = pieces.lengths
        at = np.clip(np.round(whole * rng.uniform(0.25, 0.75, len(pieces))), 1, None).astype(np.int64)
        behind = np.where(at < whole, at, 0)
        starts = np.stack([pieces.starts, pieces.starts + behind], 1).reshape(-1)
        return Pieces(starts, np.stack([at, whole - behind], 1).reshape(-1))

    def enter(self, fraction: float) -> None:
        self.module.train()

    def losses(self, micro: Micro, fraction: float) -> Losses:
        tokens, pairs = self._losses(micro)
        return {"tokens": Loss(tokens, micro.step), "pairs": Loss(pairs)}

    def _losses(self, micro: Micro) -> tuple[Tensor, Tensor]:
        """Loss: the sum over predicted tokens, plus these pairs' part of the mean over the pairs of the step."""
        device, batch = self.compute.device, dict(micro.batch)
        targets = micro.targets[:, : batch["input_ids"].shape[1] * self.objective.directions].flatten()
        places = (targets != IGNORED).nonzero()[:, 0]
        follows, pair, share = (batch.pop(name, None) for name in ("follows", "pair", "share"))
        inputs = {name: _moved(value, device) for name, value in batch.items()}
        predicted = _moved(targets[places], device)
        bare = contextlib.nullcontext() if self._head is None else without_head(self._head)
        with fast_dropout(device), self.compute.autocast():
            with bare, predicting(self.network, _moved(places, device)) as reading:
                found = self.network(**inputs)
            scores = getattr(found, "prediction_logits", None)  # [1, N, V or D]
            scores = found.logits if scores is None else scores
            if self._head is None:
                total = self.objective.loss(scores[0], predicted)
            elif self.module.training and self._sampled is not None:
                total = self._sampled.summed(scores[0], predicted, self.objective.loss)
            elif device.type == "cpu":
                total = summed(self._head, scores[0], predicted, self.objective.loss)
            else:
                total = self.objective.loss(self._head(scores[0]), predicted)
        if reading.raw is not None and reading.hidden is not None and self.module.training:
            part = len(places) / micro.step
            return total, self.objective.penalty(reading.hidden, reading.raw) * part
        if share is None:
            return total, total.new_zeros(())
        if follows is not None:  # BERT: class 0 is the next sentence
            each = F.cross_entropy(found.seq_relationship_logits.float(), _moved(1 - follows, device), reduction="none")
            return total, (each * _moved(share, device)).sum()
        assert pair is not None
        assert reading.hidden is not None
        features = pool(reading.hidden, inputs.get("attention_mask"), "mean")  # [B, D]
        first = (pair[1:] == pair[:-1]).nonzero()[:, 0]  # both parts of a pair must be in this part of the step
        pairs = features[_moved(first, device)[:, None] + torch.arange(2, device=device)]  # [n, 2, D]
        return total, self.objective.contrast(pairs) * float(share[0])

    def recomputing(self) -> None:
        """Splits a batch of pieces into parts; a contrastive batch can't be split and must fit into memory."""
        return

    def held_out_loss(self) -> float:
        """Mean loss over the held-out pieces, with fixed masks."""
        self.module.eval()
        held = self.packed.held_out
        order = np.argsort(-held.lengths, kind="stable")
        total, count, pairs, batches = 0.0, 0, 0.0, 0
        with torch.no_grad():
            for at in range(0, len(order), 64):
                batches += 1
                for micro in self._micros(held.take(order[at : at + 64]), ("held out", at), held=True):
                    found = self._losses(micro)
                    total, pairs = total + float(found[0]), pairs + float(found[1])
                    count += int((micro.targets != IGNORED).sum())
        return total / max(1, count) + pairs / max(1, batches)

    def evaluate(self, fraction: float) -> Evaluation | None:
        loss = self.held_out_loss()
        return Evaluation(loss, loss, -loss)


def _moved(value: Tensor, device: torch.device) -> Tensor:
    return value.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else value.to(device)
