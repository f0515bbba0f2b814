"""Backbones from word vectors: an embedding table, optionally with a BiLSTM on top."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.pooling import read_out
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.ladder.structure import find_ladder
from headstart.backbones.loaders.files import fill, read_config, read_weights, require_safetensors
from headstart.backbones.loaders.module import reset
from headstart.backbones.loaders.vector_files import read_file
from headstart.backbones.networks.lstm import lstm_autocast
from headstart.backbones.networks.word_vectors import WordVectors
from headstart.backbones.tokenizers.subwords import piece_vectors, pieces_of
from headstart.backbones.tokenizers.words import WordTokenizer
from headstart.core.disk.files import write_json, write_text
from headstart.core.errors import ArtifactError, ModelError, ResourceError, unknown

KIND = "word_vectors"
"value of `kind` in config.json of such a folder"
UNKNOWN = ("subwords", "shared")
LONGEST = 512
"default maximum length of a text, in words"


class BiLSTM(nn.LSTM):
    """A bidirectional LSTM layer that ignores padding. mask: 1 for words, which come first."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=True)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        with lstm_autocast():
            if mask is None:
                found: Tensor = super().forward(hidden)[0]
                return found  # [B, T, 2 W]
            lengths = mask.sum(1).clamp(min=1).cpu()
            packed = super().forward(pack_padded_sequence(hidden, lengths, batch_first=True, enforce_sorted=False))[0]
        return pad_packed_sequence(packed, batch_first=True, total_length=hidden.shape[1])[0]


class WordNetwork(nn.Module):
    """An embedding table with an optional BiLSTM."""

    def __init__(self, rows: int, dimension: int, bilstm: int) -> None:
        """bilstm: width of the BiLSTM per direction; 0 for none."""
        super().__init__()
        self.embedding = nn.Embedding(rows, dimension)
        self.bilstm = BiLSTM(dimension, bilstm) if bilstm else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        hidden = self.embedding(input_ids)  # [B, T, D]
        if self.bilstm is not None:
            hidden = self.bilstm(hidden, attention_mask)  # [B, T, 2 W]
        return SimpleNamespace(last_hidden_state=hidden)


def with_unknown(vectors: WordVectors, how: str) -> tuple[list[str], np.ndarray]:
    """Pieces of words, and a table [V + pieces + 1, D]: words, pieces, and the mean of all words for the rest.

    how: `subwords`, or `shared` for no pieces.
    """
    if how not in UNKNOWN:
        raise unknown("way with unknown words", how, UNKNOWN)
    pieces = pieces_of(vectors.words) if how == "subwords" else []
    mean = vectors.matrix.mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
    return pieces, np.concatenate([vectors.matrix, piece_vectors(pieces, vectors.words, vectors.matrix), mean])


def write_folder(
    folder: Path, vectors: WordVectors, how: str = "subwords", bilstm: int = 0, seed: int = 0, half: bool = False
) -> None:
    """Writes config.json, words.txt, pieces.txt and model.safetensors into an existing folder, and verifies them.

    how: treatment of unknown words, see `with_unknown`. bilstm: width of a BiLSTM with random weights on top; 0 for
    none. half: store the weights in bf16. Raises `ArtifactError` if the folder differs when it is read again.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    broken = next((word for word in vectors.words if not word or "\n" in word), None)
    if broken is not None:
        raise ModelError(f"{broken!r} can't be written on a line, as words are in the folder.")
    unsound = np.flatnonzero(~np.isfinite(vectors.matrix).all(1))
    if len(unsound):
        raise ModelError(
            f"{len(unsound):,} of the {len(vectors.words):,} vectors, {vectors.words[unsound[0]]!r} for one, hold "
            "numbers that are not finite; give sound ones, or train with a lower learning_rate."
        )
    pieces, table = with_unknown(vectors, how)
    network = WordNetwork(len(table), table.shape[1], bilstm)
    reset(network, seed)
    network.embedding.weight.data = torch.from_numpy(table)
    state = {name: value.to(torch.bfloat16) if half else value for name, value in network.state_dict().items()}
    config = {"library": "headstart", "kind": KIND, "dimension": table.shape[1], "unknown": how, "bilstm": bilstm}
    write_json(folder / "config.json", config)
    write_text(folder / "words.txt", "".join(f"{word}\n" for word in vectors.words))
    write_text(folder / "pieces.txt", "".join(f"{piece}\n" for piece in pieces))
    try:
        save_file(
            {k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors", metadata={"format": "pt"}
        )
    except SafetensorError as error:
        raise ResourceError(f"can't write {folder}: {error}. Free space or choose another place.") from error
    again, words = _network(folder), read_words(folder / "words.txt")
    found = again.state_dict()
    if words != vectors.words or any(not torch.equal(found[name], state[name].float()) for name in state):
        raise ArtifactError(f"{folder}, read again, differs from the vectors in memory. Is the disk sound?")


def read_words(path: Path) -> list[str]:
    if not path.is_file():
        raise ModelError(f"{path} is missing; copy it beside config.json.")
    return path.read_bytes().decode("utf-8").split("\n")[:-1]


def read_vectors(source: str | Path) -> WordVectors:
    """Word vectors of a folder or a file."""
    place = Path(source).expanduser()
    if place.is_dir():
        config = read_config(place)
        if config.get("kind") != KIND:
            raise ModelError(
                f"{source} holds no word vectors; give a folder of `headstart pretrain skipgram`, or a file."
            )
        words = read_words(place / "words.txt")
        table = _network(place).embedding.weight.detach().numpy()
        if len(table) < len(words):
            raise ModelError(f"{place} has {len(words):,} words and only {len(table):,} vectors; copy it again.")
        return WordVectors(words, table[: len(words)])
    return read_file(place)


def _network(folder: Path, weights: bool = True) -> WordNetwork:
    config = read_config(folder)
    rows = sum(len(read_words(folder / name)) for name in ("words.txt", "pieces.txt")) + 1
    try:
        network = WordNetwork(rows, int(config["dimension"]), int(config["bilstm"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / 'config.json'} is no configuration of word vectors ({error}).") from error
    if weights:
        require_safetensors(folder)
        fill(network, read_weights(folder / "model.safetensors"), folder / "model.safetensors")
    return network


def load_word_vectors(
    source: str, *, pooling: str | None = None, max_length: int | None = None, blocks: str | None = None,
    weights: bool = True,
) -> Backbone:  # fmt: skip
    """Loads a folder or a file of word vectors; with a file, unknown words get the vectors of their pieces."""
    place = Path(source).expanduser()
    if place.is_dir():
        network = _network(place, weights)
        words, pieces = (read_words(place / name) for name in ("words.txt", "pieces.txt"))
    else:
        vectors = read_file(place)
        words = vectors.words
        pieces, table = with_unknown(vectors, "subwords")
        network = WordNetwork(len(table), table.shape[1], bilstm=0)
        network.embedding.weight.data = torch.from_numpy(table)
    if not weights:
        reset(network, 0)
    network.eval()
    tokenizer, how = WordTokenizer(words, pieces), pooling or "mean"

    def run(model: nn.Module, batch: Batch) -> Tensor:
        mask = batch.get("attention_mask")
        return read_out(model(batch["input_ids"], mask).last_hidden_state, batch, how)  # [B, D], of words [B, W, D]

    sample = {"input_ids": torch.arange(10).reshape(2, 5) % len(tokenizer)}
    sample["attention_mask"] = torch.ones(2, 5, dtype=torch.long)
    with torch.no_grad():
        dimension = run(network, sample).shape[1]
    given: dict[str, Any] = {"pooling": pooling, "max_length": max_length, "blocks": blocks}
    options = {name: value for name, value in given.items() if value is not None}
    if not weights:
        options["weights"] = False
    return Backbone(
        module=network,
        ladder=find_ladder(network, lambda: run(network, sample), blocks),
        run=run,
        preparation=TextPreparation(tokenizer, max_length or LONGEST),
        reinitialise=reset,
        source=source,
        loader="word_vectors",
        kind="recurrent" if network.bilstm is not None else "module",
        modality="text",
        dimension=dimension,
        pooling=how,
        reload=source,
        options=options,
    )
