"""Images of a feed at the model's size, decoded once and kept while there is room."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.backbone import Batch
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.data.examples import Examples
from headstart.data.images.image import decode

KEEP_BYTES = 1 << 30
"maximum size of the decoded images that are kept in memory"
TOGETHER = 32
"images that a worker process decodes before it hands them over"


class Pictures:
    """The images of examples by position: uint8 [C, H, W] each, all of one size."""

    def __init__(self, examples: Examples, preparation: ImagePreparation) -> None:
        self.examples, self.preparation = examples, preparation
        self.kept: dict[int, Tensor] = {}

    def at(self, positions: Sequence[int]) -> list[Tensor]:
        """These images, decoded if they are not kept."""
        new = [p for p in positions if p not in self.kept]
        found = {p: self.kept[p] for p in positions if p in self.kept}
        if new:
            with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # Pillow releases the interpreter's lock
                found |= zip(new, threads.map(self._decoded, new))
        for p in new:
            self._keep(p, found[p])
        return [found[p] for p in positions]

    def has(self, positions: np.ndarray) -> bool:
        """True if all these images are kept."""
        return all(p in self.kept for p in positions.tolist())

    def decode_once(self, positions: np.ndarray, decoded: Callable[[Sequence[np.ndarray]], Iterator[Batch]]) -> None:
        """Keeps these images, decoded by worker processes, because what workers keep is lost after an epoch.

        decoded: gives the batch of each part of the positions.
        """
        new = np.array([p for p in positions.tolist() if p not in self.kept], dtype=np.int64)
        parts = [new[at : at + TOGETHER] for at in range(0, len(new), TOGETHER)]
        if not parts or self._bytes + self.preparation.channels * math.prod(self.preparation.size) > KEEP_BYTES:
            return
        for part, batch in zip(parts, decoded(parts)):
            # copied, because the workers' tensors lie in shared memory and each holds a file open
            if not all(self._keep(p, pixels.clone()) for p, pixels in zip(part.tolist(), batch["pixel_values"])):
                return

    def _keep(self, position: int, pixels: Tensor) -> bool:
        """False without room."""
        if self._bytes + pixels.numel() > KEEP_BYTES:
            return False
        self.kept[position] = pixels
        return True

    @property
    def _bytes(self) -> int:
        return len(self.kept) * next(iter(self.kept.values())).numel() if self.kept else 0

    def _decoded(self, position: int) -> Tensor:
        encoded: Any = self.examples.inputs([position])[0]
        image = self.preparation.resize_and_crop(decode(encoded))
        return torch.from_numpy(np.array(image).reshape(image.height, image.width, -1)).permute(2, 0, 1)
