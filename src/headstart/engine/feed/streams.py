"""Streams: feeds of a plan's further data, dealt to the steps in the training examples' shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.core.seeds import derive
from headstart.data.examples import Examples
from headstart.engine.feed.feed import Feed
from headstart.methods.plan import Plan
from headstart.methods.term import TRAIN

Places = Sequence[Sequence[np.ndarray]]
"places of examples in a feed, for each part of each step"


def feeds_of(plan: Plan, train: Feed, backbone: Backbone) -> dict[str, Feed]:
    """The feed of each stream by name, with the training examples.

    Raises `MethodError` if two terms or streams have one name, or a term reads a stream that is empty or missing.
    """
    feeds = {TRAIN: train}
    for stream in plan.streams:
        if stream.name in feeds:
            raise MethodError(f"two streams are called {stream.name!r}; give each another name.")
        if stream.inputs is not None and not stream.inputs:
            raise MethodError(f"the stream {stream.name!r} is empty, but a term reads it; give it examples.")
        feeds[stream.name] = train if stream.inputs is None else _feed(stream.name, stream.inputs, train, backbone)
    names = [term.name for term in plan.terms]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise MethodError(f"two terms are called {again[0]!r}; give each another name.")
    for term in plan.terms:
        if lacking := [name for name in term.streams if name not in feeds]:
            raise MethodError(
                f"the term {term.name!r} reads the stream {lacking[0]!r}, which the plan does not have; it has "
                f"{', '.join(feeds)}."
            )
    return feeds


def _feed(name: str, inputs: Sequence[str | bytes], train: Feed, backbone: Backbone) -> Feed:
    kind = pa.large_binary() if isinstance(inputs[0], bytes) else pa.large_string()
    rows = np.arange(len(inputs))
    table = pa.table({"input": pa.array(inputs, kind), "place": [f"{name}:{row + 1}" for row in rows]})
    examples = Examples(table, rows, rows, np.zeros(len(inputs), dtype=np.int64), train.examples.decoding)
    return Feed(name, examples, backbone, train.augment, train.workers)


def dealt(feed: Feed, sizes: Sequence[Sequence[int]], seed: int, name: str, epoch: int) -> Places:
    """Random places for steps whose parts have these sizes; no example repeats before all have come.

    Within a step the longest come first, as in the training examples' parts.
    """
    rng, need = np.random.default_rng(derive(seed, "stream", name, epoch)), sum(map(sum, sizes))
    order = np.concatenate([rng.permutation(len(feed)) for _ in range(-(-need // len(feed)))] or [np.arange(0)])
    found, at = [], 0
    for step in sizes:
        places = order[at : at + sum(step)]
        at += sum(step)
        places = places[np.argsort(-feed.costs[places], kind="stable")]
        found.append(np.split(places, np.cumsum(step)[:-1]))
    return found
