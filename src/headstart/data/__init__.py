"""Where examples come from: sources, splits, audit, batching. Imports neither torch nor `datasets`."""

from headstart.data.batching import epoch_batches, sorted_batches, split_by_tokens
from headstart.data.examples import Data, Examples, Input
from headstart.data.images import decode
from headstart.data.read import read
from headstart.data.task import Kind, Modality, Task

__all__ = [
    "Data",
    "Examples",
    "Input",
    "Kind",
    "Modality",
    "Task",
    "decode",
    "epoch_batches",
    "read",
    "sorted_batches",
    "split_by_tokens",
]
