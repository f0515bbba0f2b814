"""docs/methods.md: cost, quality and kinds of backbone of every method, from the record in the package."""

from __future__ import annotations

from benchmarks.cases.methods import TASKS
from benchmarks.pages.recorded import read

UPPER = """\
## Upper blocks drawn anew or left out

The highest blocks of a pretrained model are the most tied to its old task. `full` and `freeze` can start the highest
`fresh` blocks, and what follows them, with random weights, or leave out the highest `drop` blocks, which makes training
and use cheaper (Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", section 5):

```
headstart compare reviews.csv --model ./my-bert --methods full,full@fresh,full@drop \\
  --set full@fresh.fresh=2 --set full@drop.drop=2
```

With both, `fresh` counts from the blocks that are left. A model without some of its blocks is served by headstart, but
not exported: its library would build all of them.

## Two methods joined

A method that adds losses (`distill`, `contrastive`, `l2sp`) can be joined with one that says what trains, in either
order:

```
headstart compare reviews.csv --model ./my-bert --methods lora,distill+lora,contrastive+lora \\
  --set distill+lora.strength=1 --set distill+lora.rank=16
```

A method that reads passages (`retrieve`, `gold_passage`) can be joined with one that trains: `lora+retrieve` is trained
and asked with passages ([language models](language-models.md)).

The joined method has the settings of both; the learning rate and what trains are those of the second kind. Rungs that
the first kind freezes stay frozen. Two methods that change the same thing are refused.
"""


def tasks_told() -> list[str]:
    """What was trained for the qualities, a line a file of results."""
    lines, seen = [], set[tuple[str, str]]()
    for task, files in TASKS.items():
        for file in files:
            result = read(file)
            if result is None:
                continue
            comparison = result["comparison"]
            told, sizes = comparison["configuration"], {s["name"]: s["size"] for s in comparison["data"]["splits"]}
            trials = max(len(row["trials"]) for row in comparison["rows"])
            mine = [row["method"] for row in comparison["rows"] if (task, row["method"]) not in seen]
            seen |= {(task, name) for name in mine}
            words = (("each", "labels a class"), ("epochs", "epochs"))
            parts = [
                f"{sizes['train']} to train, {sizes['validation']} to choose by, {sizes['test']} to test",
                f"{len(comparison['seeds'])} seeds, {trials} trials a method, {comparison['environment']['precision']}",
                *(f"{told[key]} {word}" for key, word in words if told.get(key)),
            ]
            if told.get("max_length"):
                parts.append(f"texts cut at {told['max_length']} tokens")
            lines.append(
                f"- {task}, `{file}.json`: {comparison['data']['source']} with {comparison['model']['source']}; "
                f"{'; '.join(parts)}. Of it: {', '.join(mine)}."
            )
    return lines


def methods() -> list[str]:
    from headstart.methods.method import METHODS
    from headstart.report.terminal.methods import elsewhere, expectations, markdown, measured, refusals

    record = measured()
    summaries = {name: METHODS[name].summary for name in sorted(METHODS)}
    told, alone = record.environment, record.base_latency_seconds
    base = f"the base alone: {1e3 * alone:.1f} ms" if alone else "not measured yet: dashes"
    return [
        "# Methods, by measured fact",
        "",
        "Made by `benchmarks/run.py report`; `headstart methods` prints it. Cost: each method at its defaults with",
        f"{record.model} on 640 questions of TREC, batch 32, {told['precision']}, in a process of its own:",
        "share of parameters trained, the process's peak memory, one step (for a head that is solved: the whole",
        "solution with the pass over the data), the artifact, one example as trained and merged into plain layers",
        f"({base}). Quality: test accuracy, mean over the seeds of",
        "the comparison named below, with a 95 % interval. Works on: tried on a tiny backbone of each kind; `?` was",
        "not tried.",
        "",
        *tasks_told(),
        "",
        markdown(record, summaries),
        "",
        *elsewhere(record),
        "- `soup` trains nothing of its own: its cost is that of the runs it averages.",
        "",
        "## Beside the textbook",
        "",
        *expectations(record),
        "",
        "On a model of 22.7 million parameters a fixed number of added parameters is a larger share than on one of",
        "billions.",
        "",
        "## What each does",
        "",
        *(f"- `{name}`: {summary}" for name, summary in summaries.items()),
        "",
        *UPPER.splitlines(),
        "",
        "## Where one does not apply",
        "",
        *refusals(record),
        "",
        f"<sub>`src/headstart/report/measured/methods.json`; qualities from {', '.join(record.sources)}; "
        f"{told['processor']}, {told['cores']} cores, {told['threads']} threads, {told['started']}; "
        + ", ".join(f"{k} {v}" for k, v in told["libraries"].items())
        + f". {record.note}</sub>",
        "",
    ]
