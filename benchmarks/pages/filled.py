"""Tables inside pages that people write: what stands between two comments, `<!-- NAME -->` and `<!-- end -->`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.pages.recorded import DOCS, read, small

from headstart.core.records.comparison import Comparison


def percent(row: dict[str, Any], key: str) -> str:
    return f"{100 * row[key]:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def tagging() -> list[str]:
    """The methods on WikiGold, of both backbones."""
    results = {name: found for name in ("tagging", "tagging-elmo") if (found := read(name))}
    if not results:
        return []
    first, names = next(iter(results.values())), {"minilm": "MiniLM", "elmo": "ELMo"}
    sizes, rows = first["sentences"], [row for found in results.values() for row in found["rows"]]
    lines = [
        f"WikiGold, {sizes['train']:,} sentences to train, {sizes['validation']} to choose by, {sizes['test']} to "
        f"test; {first['seeds']} seeds, {_trials(first)}.",
        "",
        "| backbone | method | entity F1 % | words right % | parameters trained | train s |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row.get("entity_f1", -1)):
        if row["status"] != "ok":
            lines.append(f"| {names[row['model']]} | {row['method']} | {row['status']} | | | |")
            continue
        right = f"{100 * row['accuracy']:.1f}" if row["accuracy"] is not None else ""
        lines.append(
            f"| {names[row['model']]} | {row['method']} | {percent(row, 'entity_f1')} | {right} "
            f"| {row['trained_parameters']:,} | {row['seconds']:.0f} |"
        )
    if elmo := results.get("tagging-elmo"):
        lines += ["", _pretrained(elmo["pretraining"])]
    if all(row.get("seqeval") for row in rows if row["status"] == "ok"):
        lines += ["", "seqeval finds the same mean F1 over the seeds, to six digits."]
    for name, found in results.items():
        lines += small(name, found["note"], found["environment"], found["threads"])
    return lines


def _pretrained(made: dict[str, Any]) -> str:
    """How the ELMo in the table was pretrained."""
    corpus, settings, loss = made["corpus"], made["configuration"], made["held_out_loss"]
    return (
        f"The ELMo has {made['parameters'] / 1e6:.1f} million parameters and was pretrained on little text: "
        f"{settings['epochs']} passes over the {corpus['tokens']:,} words of {' and '.join(corpus['sources'])}, "
        f"{made['steps']:,} steps, in which its loss on held-out text fell from {loss['before']:.2f} to "
        f"{loss['after']:.2f} (`benchmarks/cases/tagging.py` has the command). Its `random` is the same network with "
        "random weights, under a probe. Of an ELMo pretrained on far more text these rows say nothing."
    )


def prompting() -> list[str]:
    """Prompts beside tuning, a table a data set."""
    found = read("prompting")
    if found is None:
        return []
    lines: list[str] = []
    for part in found["parts"]:
        sizes = part["sizes"]
        took = "" if part["status"] == "partial" else f"; {part['seconds'] / 60:.0f} minutes"
        lines += [
            f"{SETS[part['data']]}, {sizes['train']} texts to train or to show, {sizes['validation']} to choose by, "
            f"{sizes['test']} to test; {part['seeds']} seeds, {_trials(part)}{took}.",
            "",
            "| method | accuracy % | all trials s | one answer | tokens read | answered | chosen on validation |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in sorted(part["rows"], key=lambda row: -(row.get("accuracy") or -1)):
            if row["status"] != "ok":
                lines.append(f"| {row['method']} | {row['status']} | | | | | |")
                continue
            lines.append(
                f"| {row['method']} | {percent(row, 'accuracy')} | {row['tuning_seconds']:.0f} "
                f"| {1000 * row['latency_seconds']:.0f} ms | {row['tokens_in']:.0f} | {row['tokens_out'] or 0:.1f} "
                f"| {_chosen(row['configuration'])} |"
            )
        if part["status"] == "partial":
            lines += ["", "The run was interrupted: methods without a row were not trained yet."]
        else:
            lines += ["", f"Verdict: {' '.join(part['verdict'])}"]
        lines += small("prompting", part["note"], part["environment"], part["threads"])
    return lines


def _chosen(configuration: dict[str, Any]) -> str:
    if "form" not in configuration:
        rate = configuration.get("learning_rate")
        return f"rate {rate:.2g}" if rate else ""
    form = "chat" if configuration["form"] == "auto" else "plain text"
    return form if configuration["calibrated"] else f"{form}, not calibrated"


LANGUAGES = {"en": "English", "ar": "Arabic", "de": "German", "es": "Spanish", "ru": "Russian", "zh": "Chinese"}


def spans() -> list[str]:
    """Full tuning and LoRA of two encoders on English questions, in six languages."""
    found = read("spans")
    if found is None:
        return []
    sizes, names = found["questions"], {"minilm": "MiniLM (English)", "e5": "multilingual e5"}
    count = sizes["test"] // len(LANGUAGES)
    lines = [
        f"**Measured** by `python benchmarks/run.py spans`: XQuAD, {sizes['train']} English questions to train, "
        f"{sizes['validation']} to choose by, and the same {count} questions about {found['passages']} passages in "
        f"each language to test; {found['seeds']} seeds, default rates, {found['epochs']} epochs, windows of "
        f"{found['max_length']} tokens. Intervals and gaps are by passage; a gap is that to English on the same "
        "questions.",
        "",
        "| backbone | method | language | exact match % | F1 % | gap in exact match | gap in F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        both = [percent(row[name], "value") for name in ("exact_match", "f1")]
        gaps = [_gap(row[name]) for name in ("exact_match", "f1")]
        language = LANGUAGES[row["language"]]
        lines.append(f"| {names[row['model']]} | {row['method']} | {language} | {' | '.join([*both, *gaps])} |")
    took = (f"{names[one['model']]} {one['method']} {one['seconds']:.0f} s" for one in found["trained"])
    lines += ["", f"A training took {', '.join(took)}."]
    return lines + small("spans", found["note"], found["environment"], found["threads"])


def _gap(row: dict[str, Any]) -> str:
    if "gap" not in row:
        return ""
    return f"{100 * row['gap']:+.1f} [{100 * row['gap_low']:+.1f}, {100 * row['gap_high']:+.1f}]"


def _trials(found: dict[str, Any]) -> str:
    tried = f"{found['trials']} trials a method" if found["trials"] > 1 else "default rates"
    return f"{tried}, {found['epochs']} epochs" if found["epochs"] else tried


def text_trec() -> list[str]:
    """All methods on TREC, best first, and the Trainer."""
    found = read("text-trec")
    if found is None:
        return []
    rows = [row for row in found["comparison"]["rows"] if row["value"] is not None and row["method"] not in LEFT_OUT]
    values = {row["method"]: row["value"] for row in sorted(rows, key=lambda row: -row["value"])}
    values["*Trainer, defaults*"] = found["peer"]["value"]
    shown = (f"{100 * value:.1f}" for value in values.values())
    return [f"| {' | '.join(values)} |", "|" + "---|" * len(values), f"| {' | '.join(shown)} |"]


def demo() -> list[str]:
    """What `headstart compare` prints by itself, and how long it takes."""
    found = read("demo-avx2-digits")
    if found is None:
        return []
    record = Comparison.from_json(found["comparison"])
    return [
        f"With AVX2 and fp32, as on an older machine, it took {record.seconds:.0f} s on two cores, which did other "
        "work beside it",
        "(`benchmarks/results/demo-avx2-digits.json`, by",
        "`python benchmarks/run.py images --name demo-avx2 --demo --precision fp32`):",
        "",
        "```",
        *str(record).splitlines(),
        "```",
    ]


SETS = {"trec": "TREC", "sst2": "SST-2"}
LEFT_OUT = ("random", "majority")
"controls that the README does not show"
TABLES: dict[str, dict[str, Callable[[], list[str]]]] = {
    "../README.md": {"demo": demo, "text-trec": text_trec},
    "tagging.md": {"tagging": tagging},
    "prompting.md": {"prompting": prompting},
    "spans.md": {"spans": spans},
}
"page, and its tables by name"


def filled() -> Iterator[tuple[str, str]]:
    """Each page with its tables."""
    for page, tables in TABLES.items():
        text = (DOCS / page).read_text(encoding="utf-8")
        for name, made in tables.items():
            before, start, rest = text.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition("<!-- end -->\n")
            assert start, f"docs/{page} has no table {name}"
            assert end, f"docs/{page}: the table {name} has no end"
            text = before + start + "".join(f"{line}\n" for line in made()) + end + after
        yield page, text
