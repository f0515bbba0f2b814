"""The embedded data set: scikit-learn's handwritten digits, with five training labels per class."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from pathlib import Path

import numpy as np

from headstart.data.examples import Data
from headstart.data.read import read

EACH = 5
"labels per class in train, and as many in validation; the other images are the test split"
SIDE = 32


def digits(seed: int = 0) -> Data:
    """The 1,797 digits of 8x8 pixels (UCI's optical recognition set), upsampled to 32x32: 50 train, 50 validation.

    With so few labels a training takes seconds, and what pretraining is worth shows best; the large test split shows
    small differences.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image
    from sklearn.datasets import load_digits

    source = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(source.target))
    split = np.full(len(order), "test", dtype="<U10")
    for label in range(10):
        members = order[source.target[order] == label]
        split[members[:EACH]], split[members[EACH : 2 * EACH]] = "train", "validation"

    def png(pixels: np.ndarray) -> bytes:
        image = Image.fromarray((pixels * (255 / 16)).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    images = [{"bytes": png(pixels), "path": None} for pixels in source.images]
    table = pa.table({"image": images, "label": source.target, "split": split})
    with tempfile.TemporaryDirectory(prefix="headstart-digits-") as folder:
        path = Path(folder) / "digits.parquet"
        pq.write_table(table, path)
        found = read(path, label="label", seed=seed)
    return dataclasses.replace(found, record=dataclasses.replace(found.record, source="digits"))
