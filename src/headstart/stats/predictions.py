"""Predictions of one trained model with the truths, from which all statistics are computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.disk.files import replacing
from headstart.core.errors import ArtifactError

if TYPE_CHECKING:
    from headstart.data.examples import Examples

TEXTS = "texts"
"name of the answers in words in a file"


@dataclass(frozen=True, eq=False)
class Predictions:
    """The scores of one model (one method, one seed) on the examples of one split.

    ids: [n] int64, unique; the examples' numbers in the whole source.
    targets: [n] int64 class indices, [n, labels] float32 of 0 and 1 for multi-label, [n] float32 for regression;
        for tagging [n, L] int64 tags of at most L words, -1 behind the last; for tasks whose answers are judged one by
        one (spans) [n, columns] of 0, beside the judgements as scores [n, columns].
    scores: [n, outputs] float32; probabilities (softmax for single-label, sigmoid for multi-label), or [n, 1] values;
        for tagging [n, L, tags], all 0 for words that the model did not see.
    texts: [n] the answers in words, of a model that gives such; scores are then columns (`stats.answer_metrics`).
    clusters: [n] int64, the cluster that each example belongs to; None where examples are independent. Intervals and
        tests draw and swap whole clusters.

    Raises `ValueError` where the shapes do not fit each other or an id comes twice. Scores may be NaN (a diverged
    model, see `finite`); `Metric.of` is then NaN, and intervals and tests refuse them.
    """

    ids: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    clusters: np.ndarray | None = None
    texts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        ids, targets = np.asarray(self.ids, dtype=np.int64), np.asarray(self.targets)
        scores = np.asarray(self.scores, dtype=np.float32)
        classes = targets.dtype.kind in "iub" and (targets.ndim == 1 or scores.ndim == 3)
        targets = targets.astype(np.int64 if classes else np.float32)
        for name, value in (("ids", ids), ("targets", targets), ("scores", scores)):
            object.__setattr__(self, name, value)
        if self.clusters is not None:
            clusters = np.asarray(self.clusters, dtype=np.int64)
            object.__setattr__(self, "clusters", clusters)
            if clusters.shape != ids.shape:
                raise ValueError(f"{len(ids)} ids need a cluster each; got clusters of shape {list(clusters.shape)}")
        if ids.ndim != 1 or scores.ndim not in (2, 3) or targets.ndim not in (1, 2):
            raise ValueError(
                "predictions need ids [n], targets [n] or [n, labels] and scores [n, outputs]; "
                f"got {list(ids.shape)}, {list(targets.shape)} and {list(scores.shape)}"
            )
        if self.texts is not None and len(self.texts) != len(ids):
            raise ValueError(f"{len(ids)} ids need a text each; got {len(self.texts)}")
        if not len(ids) == len(targets) == len(scores):
            raise ValueError(f"{len(ids)} ids, {len(targets)} targets and {len(scores)} scores: they must be as many")
        if len(np.unique(ids)) != len(ids):
            raise ValueError("an example id comes more than once in these predictions")
        outputs = scores.shape[-1]
        if scores.ndim == 3 and scores.shape[:2] != targets.shape:
            raise ValueError(f"tags of {list(targets.shape)} words do not fit scores of {list(scores.shape[:2])}")
        if self.kind == "multi_label" and targets.shape[1] != outputs:
            raise ValueError(f"{targets.shape[1]} labels in the targets, but {outputs} scores an example")
        if self.kind == "single_label" and len(targets) and not 0 <= targets.min() <= targets.max() < outputs:
            raise ValueError(f"class indices {targets.min()} to {targets.max()} do not fit {outputs} scores an example")
        if self.kind == "regression" and outputs != 1:
            raise ValueError(f"regression has 1 score an example, got {outputs}; class indices must be integers")

    @classmethod
    def of(cls, examples: Examples, scores: np.ndarray, texts: tuple[str, ...] | None = None) -> Predictions:
        """The scores [n, outputs] beside the examples' ids, targets and clusters.

        Scores of [n, L, tags] may end with the longest of these sentences.
        """
        if scores.ndim == 3 and (less := examples.targets.shape[1] - scores.shape[1]) > 0:
            scores = np.pad(scores, ((0, 0), (0, less), (0, 0)))
        return cls(examples.ids, examples.targets, scores, examples.clusters, texts)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kind(self) -> str:
        """Kind of the task by the shapes and types of scores and targets."""
        if self.scores.ndim == 3:
            return "tagging"
        if self.targets.ndim == 2:
            return "multi_label"
        return "single_label" if self.targets.dtype.kind == "i" else "regression"

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.scores).all())

    def take(self, positions: np.ndarray) -> Predictions:
        """The examples at these positions, in this order."""
        clusters = None if self.clusters is None else self.clusters[positions]
        texts = None if self.texts is None else tuple(self.texts[i] for i in np.asarray(positions).tolist())
        return Predictions(self.ids[positions], self.targets[positions], self.scores[positions], clusters, texts)

    def write(self, path: str | Path) -> None:
        """Writes the arrays that are not None as a safetensors file, which can't hold code."""
        from safetensors.numpy import save_file

        arrays = {one.name: np.ascontiguousarray(getattr(self, one.name)) for one in fields(self)
                  if one.name != TEXTS and getattr(self, one.name) is not None}  # fmt: skip
        if self.texts is not None:  # as bytes, because the file's header has a size limit
            arrays[TEXTS] = np.frombuffer(json.dumps(self.texts).encode(), dtype=np.uint8)
        with replacing(path) as temporary:
            save_file(arrays, temporary, metadata={"schema": "headstart.predictions/1"})

    @classmethod
    def read(cls, path: str | Path) -> Predictions:
        """Reads a file of `write`. Raises `ArtifactError` if it is missing, truncated or something else."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays: dict[str, Any] = load_file(path)
            if (kept := arrays.pop(TEXTS, None)) is not None:
                return cls(**arrays, texts=tuple(json.loads(kept.tobytes())))
            return cls(**arrays)
        except (OSError, SafetensorError, TypeError, ValueError) as error:
            raise ArtifactError(f"can't read {path} as predictions: {error}") from error


def aligned(*predictions: Predictions) -> tuple[Predictions, ...]:
    """Aligns predictions: all examples in the order of the first, so that row i is the same example in all.

    Clusters that one of them knows hold for all (older files have none). Raises `ValueError` where they hold different
    examples, or different truths or clusters for one example.
    """
    if not predictions:
        return ()
    first, result = predictions[0], [predictions[0]]
    for other in predictions[1:]:
        if not np.array_equal(first.ids, other.ids):
            if (away := np.setxor1d(first.ids, other.ids)).size:
                raise ValueError(
                    f"predictions on different examples can't be paired: {away.size} ids are in only one of them, "
                    f"such as {', '.join(map(str, away[:5]))}"
                )
            order = np.argsort(other.ids)
            other = other.take(order[np.searchsorted(other.ids, first.ids, sorter=order)])
        if not np.array_equal(first.targets, other.targets):
            raise ValueError("predictions can't be paired: the same example ids have different targets")
        result.append(other)
    known = next((one.clusters for one in result if one.clusters is not None), None)
    if known is None:
        return tuple(result)
    if any(one.clusters is not None and not np.array_equal(one.clusters, known) for one in result):
        raise ValueError("predictions can't be paired: the same examples belong to different clusters")
    return tuple(one if one.clusters is known else replace(one, clusters=known) for one in result)
