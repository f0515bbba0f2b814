"""Own pieces beside the libraries' that do the same: seconds, and how alike the results are.

The convex head of `probe` beside scikit-learn's LogisticRegression (lbfgs, at a tolerance that reaches as low an
objective), on the means of MiniLM's states for TREC, top layer and all seven, from features to solution; the objective
that each reaches. Reading 50,000 word vectors of 100 numbers beside gensim's KeyedVectors. The moving average of the
weights that LoRA trains beside torch's AveragedModel. Sides take turns; medians.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from benchmarks.lib.data import minilm, shared, some
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import in_turn, times_faster

RESULTS = ("libraries",)
QUICK = {"examples": 200, "words": 1000, "repeats": 1}
PENALTY = 1.0
TOLERANCE = 1e-6
"of scikit-learn; at its default, 1e-4, the objective ends a tenth higher on all layers"
RANK = 8


def timed(call: Callable[[], Any]) -> dict[str, Any]:
    start = time.perf_counter()
    found = call()
    return {"seconds": time.perf_counter() - start, **found}


def states(texts: list[str]) -> np.ndarray:
    """[n, layers, D] means over the tokens of each layer's states."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(minilm()), AutoModel.from_pretrained(minilm()).eval()
    parts = []
    for at in range(0, len(texts), 64):
        batch = tokenizer(texts[at : at + 64], padding=True, truncation=True, max_length=256, return_tensors="pt")
        mask = batch["attention_mask"][..., None]
        with torch.no_grad():
            layers = network(**batch, output_hidden_states=True).hidden_states
        parts.append(torch.stack([(layer * mask).sum(1) / mask.sum(1) for layer in layers], 1).numpy())
    return np.concatenate(parts)


def heads(features: np.ndarray, targets: np.ndarray, task: Any) -> dict[str, Callable[[], dict[str, Any]]]:
    """Both solve `(1/n) sum loss + penalty/(2n) |W|^2` on standardised features.

    Those that vary by rounding alone are left out: ours gives them no weight, scikit-learn scales them up.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from headstart.methods.convex import solve

    spread = features.astype(np.float64).std(0)
    features = np.ascontiguousarray(features[:, spread > 1e-6 * np.median(spread)])

    def ours() -> dict[str, Any]:
        head = torch.nn.Linear(features.shape[1], len(task.labels))
        return {"objective": solve(torch.from_numpy(features), torch.from_numpy(targets), task, PENALTY, head)}

    def theirs() -> dict[str, Any]:
        z = StandardScaler().fit_transform(features.astype(np.float64))
        model = LogisticRegression(C=1 / PENALTY, max_iter=5000, tol=TOLERANCE).fit(z, targets)
        loss = -model.predict_log_proba(z)[np.arange(len(z)), targets].mean()
        return {"objective": float(loss + PENALTY / (2 * len(z)) * np.square(model.coef_).sum())}

    return {"ours": ours, "scikit-learn": theirs}


def files(folder: Path, words: int, form: str) -> dict[str, Callable[[], dict[str, Any]]]:
    from gensim.models import KeyedVectors

    from headstart.backbones.loaders.vector_files import read_file, write_file
    from headstart.backbones.networks.word_vectors import WordVectors

    matrix = np.random.default_rng(0).standard_normal((words, 100), dtype=np.float32)
    path = folder / f"{form}.{'bin' if form == 'binary' else 'txt'}"
    write_file(WordVectors([f"word{i}" for i in range(words)], matrix), path, form)

    def gensim() -> dict[str, Any]:
        found = KeyedVectors.load_word2vec_format(str(path), binary=form == "binary", no_header=form == "glove")
        return {"largest_difference": float(np.abs(found.vectors - matrix).max())}

    def ours() -> dict[str, Any]:
        return {"largest_difference": float(np.abs(read_file(path).matrix - matrix).max())}

    return {"ours": ours, "gensim": gensim}


def averages() -> dict[str, Callable[[], dict[str, Any]]]:
    """A hundred steps of the average of LoRA's weights, and the bytes that are held for it."""
    from peft import LoraConfig, get_peft_model
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    from transformers import AutoModel

    from headstart.engine.optim.running_average import MovingAverage

    layers = r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)"
    network = get_peft_model(
        AutoModel.from_pretrained(minilm()), LoraConfig(r=RANK, target_modules=layers, task_type="FEATURE_EXTRACTION")
    )
    weights = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}

    def size(tensors: Any) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def ours() -> dict[str, Any]:
        average = MovingAverage(0.99, weights)
        for step in range(1, 101):
            average.update(weights, step)
        return {"bytes": size(average.state.values())}

    def theirs() -> dict[str, Any]:
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99))
        for _ in range(100):
            average.update_parameters(network)
        return {"bytes": size(average.parameters())}

    return {"ours": ours, "torch": theirs}


def measure(
    examples: Annotated[int, "of the training split, 0 for all"] = 0,
    words: Annotated[int, "of the files of word vectors"] = 50_000,
    repeats: int = 2,
    note: Note = "",
) -> Results:
    import headstart

    data = some(headstart.read(shared() / "text" / "trec"), examples)
    features, targets = states(data.train.inputs()), np.asarray(data.train.targets)
    parts: list[dict[str, Any]] = []

    def compare(what: str, sides: dict[str, Callable[[], dict[str, Any]]]) -> None:
        runs = in_turn(what, sides, lambda side: timed(sides[side]), repeats + 1)[1:]  # one to warm up
        parts.append({"what": what, "runs": runs, "times_faster": times_faster(runs)})

    for name, flat in (("top layer", features[:, -1]), ("all layers", features.reshape(len(features), -1))):
        compare(
            f"convex head, {name}: {flat.shape[1]:,} features, {len(flat):,} examples", heads(flat, targets, data.task)
        )
    with tempfile.TemporaryDirectory() as folder:
        for form in ("text", "binary", "glove"):
            compare(f"reading {words:,} word vectors, {form}", files(Path(folder), words, form))
    compare("averaging the weights of LoRA, 100 steps", averages())
    yield "libraries", {
        "schema": "headstart.libraries/1", "status": "ok", "note": note, "parts": parts,
        "threads": torch.get_num_threads(), "environment": machine("fp32"),
    }  # fmt: skip
