"""Decoding of a causal language model: answers of ragged length, and likelihoods of choices, against transformers.

Answers: questions of TREC in the model's chat template, greedy, each until its stop token or the limit. Ours in one
batch that rows join and leave; `generate` one by one, and in static batches of as many rows, padded to the left, in the
order of the questions. Answers of ours by one row at a time tell how many change with the batch.

Likelihoods: which of TREC's six labels comes next (its first token), after demonstrations and a question. Ours; every
prompt whole, in batches of 8 padded to the left, with the scores of the last place alone.

Each run is a separate process; seconds count from after loading and one warm-up.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import alone, in_turn, times_faster

RESULTS = ("decoding",)
QUICK = {"answers": 6, "questions": 10, "longest": 12, "repeats": 1}
MODEL = "~/.cache/headstart-models/smollm2"
TYPES = ("abbreviation", "description", "entity", "human", "location", "numeric")


def loaded(model: str, dtype: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = str(Path(model).expanduser())
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, dtype=kind).eval(), AutoTokenizer.from_pretrained(folder)


def network(model: Any, tokenizer: Any) -> Any:
    import torch

    from headstart.engine.decoding.network import opened
    from headstart.engine.machine.precision import Compute

    return opened(model.base_model, model.get_output_embeddings(), tokenizer, Compute(torch.device("cpu"), False))


def rows_of(split: str, count: int) -> list[tuple[str, str]]:
    with (shared() / "text" / "trec" / f"{split}.csv").open(encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)][:count]


def padded(tokenizer: Any, prompts: list[list[int]]) -> dict[str, Any]:
    """To the left, as `generate` asks for."""
    import torch

    longest = max(map(len, prompts))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
    return {"input_ids": ids, "attention_mask": mask}


def answers(side: str, model: str, dtype: str, count: int, longest: int, rows: int) -> dict[str, Any]:
    """Seconds of one side and its answers, as token ids."""
    import torch

    from headstart.engine.decoding.decoder import Decoder
    from headstart.engine.decoding.request import Request

    net, tokenizer = loaded(model, dtype)
    prompts = [
        list(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True
            )["input_ids"]
        )
        for text, _ in rows_of("test", count)
    ]
    stop = net.generation_config.eos_token_id
    stops = set(stop if isinstance(stop, list) else [stop])

    def generated(batch: list[list[int]], most: int) -> list[list[int]]:
        inputs = padded(tokenizer, batch)
        with torch.no_grad():
            found = net.generate(**inputs, max_new_tokens=most, do_sample=False, pad_token_id=next(iter(stops)))
        new = [row[inputs["input_ids"].shape[1] :].tolist() for row in found]
        ends = [next((at + 1 for at, token in enumerate(row) if token in stops), len(row)) for row in new]
        return [row[:end] for row, end in zip(new, ends)]

    if side in ("ours", "ours, one row"):
        decoder = Decoder(network(net, tokenizer), rows if side == "ours" else 1)

        def run(batch: list[list[int]], most: int) -> list[list[int]]:
            return [list(each.ids) for each in decoder.answers([Request(one, most, stops) for one in batch])]
    else:
        size = 1 if side == "one by one" else rows

        def run(batch: list[list[int]], most: int) -> list[list[int]]:
            return [ids for at in range(0, len(batch), size) for ids in generated(batch[at : at + size], most)]

    return timed(run, prompts[:2], prompts, longest)


def timed(run: Callable[..., Any], little: Any, whole: Any, longest: int) -> dict[str, Any]:
    import torch

    run(little, 3)
    start = time.perf_counter()
    found = run(whole, longest)
    return {"seconds": time.perf_counter() - start, "found": found, "threads": torch.get_num_threads()}


def likelihoods(side: str, model: str, dtype: str, count: int, demonstrations: int) -> dict[str, Any]:
    """Seconds of one side, and log p of each label's first token after each question."""
    import torch

    from headstart.engine.decoding import likelihoods as ours

    net, tokenizer = loaded(model, dtype)
    shown = "".join(f"Question: {text}\nType: {label}\n\n" for text, label in rows_of("train", demonstrations))
    prompts = [tokenizer.encode(f"{shown}Question: {text}\nType:") for text, _ in rows_of("test", count)]
    firsts = [tokenizer.encode(f" {label}", add_special_tokens=False)[0] for label in TYPES]
    assert len(set(firsts)) == len(TYPES)

    def whole(batch: list[list[int]], _: int) -> list[list[float]]:
        found = []
        with torch.no_grad():
            for at in range(0, len(batch), 8):
                scores = net(**padded(tokenizer, batch[at : at + 8]), logits_to_keep=1, use_cache=False).logits[:, -1]
                found += scores.float().log_softmax(-1)[:, firsts].tolist()
        return found

    opened = network(net, tokenizer)

    def once(batch: list[list[int]], _: int) -> list[list[float]]:
        found = ours.likelihoods(opened, batch, [[[first] for first in firsts]] * len(batch))
        return [[each.log_p for each in row] for row in found]

    result = timed(once if side == "ours" else whole, prompts[:2], prompts, 0)
    return result | {"tokens": sum(map(len, prompts)), "shared": ours.shared_length(prompts)}


def differ(one: list[Any], other: list[Any]) -> float:
    return sum(a != b for a, b in zip(one, other)) / len(one)


def measure(
    model: Annotated[str, "folder of a causal language model with a chat template"] = MODEL,
    answers: Annotated[int, "answers that are written"] = 200,
    longest: Annotated[int, "limit of an answer, in tokens"] = 96,
    rows: Annotated[int, "answers that are written at once"] = 16,
    questions: Annotated[int, "questions with choices"] = 100,
    demonstrations: Annotated[int, "examples before each question"] = 12,
    dtype: Annotated[Literal["fp32", "bf16"], "number format of the weights, of all sides"] = "fp32",
    repeats: int = 3,
    note: Note = "",
) -> Results:
    sides = ("ours", "one by one", "static batches")
    asked = (model, dtype, answers, longest, rows)
    runs = in_turn("answers", sides, lambda side: alone("decoding:answers", side, *asked), repeats)
    single = alone("decoding:answers", "ours, one row", *asked)
    found = {side: runs[0][side]["found"] for side in sides} | {"ours, one row": single["found"]}
    lengths = [len(ids) for ids in found["ours"]]
    result: dict[str, Any] = {
        "schema": "headstart.decoding/1", "status": "running", "model": Path(model).name, "dtype": dtype, "note": note,
        "answers": {
            "count": answers, "limit_tokens": longest, "rows": rows, "tokens": lengths,
            "seconds": [{side: run[side]["seconds"] for side in sides} for run in runs],
            "one_row_seconds": single["seconds"], "times_faster": times_faster(runs),
            "differ": {side: differ(found["ours"], ids) for side, ids in found.items() if side != "ours"},
        },
        "threads": single["threads"], "environment": machine(dtype),
    }  # fmt: skip
    print({"times": result["answers"]["times_faster"], "differ": result["answers"]["differ"]}, flush=True)
    yield "decoding", result
    sides = ("ours", "whole prompts")
    given = (model, dtype, questions, demonstrations)
    runs = in_turn("likelihoods", sides, lambda side: alone("decoding:likelihoods", side, *given), repeats)
    ours, whole = (runs[0][side]["found"] for side in sides)
    best = [[max(range(len(TYPES)), key=row.__getitem__) for row in each] for each in (ours, whole)]
    gap = max(abs(a - b) for row, other in zip(ours, whole) for a, b in zip(row, other))
    result |= {
        "status": "ok",
        "likelihoods": {
            "questions": questions, "demonstrations": demonstrations, "tokens": runs[0]["ours"]["tokens"],
            "shared_tokens": runs[0]["ours"]["shared"],
            "seconds": [{side: run[side]["seconds"] for side in sides} for run in runs],
            "times_faster": times_faster(runs), "answers_differ": differ(*best), "largest_gap_nats": gap,
        },
    }  # fmt: skip
    print(
        {key: result["likelihoods"][key] for key in ("times_faster", "answers_differ", "largest_gap_nats")}, flush=True
    )
    yield "decoding", result
