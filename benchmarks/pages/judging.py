"""Tables of what is judged: ranking, forgetting, learning curves, word vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.lib.results import RECORD
from benchmarks.pages.recorded import read, small

TEXTBOOK = (
    ("scratch", "100,000 and more"), ("full", "1,000 to 10,000"), ("freeze", "100 to 1,000"),
)  # fmt: skip
"the labels a method is said to need"
SAID = {
    "trec": "The shape is the textbook's: from scratch it takes more than a hundred times the labels of a tuned model, "
    "and with few labels the frozen lower blocks are no worse than tuning them all. It lies lower than the textbook "
    "says: MiniLM has read a billion pairs of sentences, and questions are short.",
    "medical": "The shape is there, but small: from scratch it takes two to four times the labels of the tuned "
    "backbone, and the intervals meet, since 60 examples of these classes already leave little to gain.",
    "new-classes": "The shape is the textbook's: from scratch 80 % takes eight times the labels of the tuned network, "
    "and the intervals are apart (90 % is further than these sizes can tell); with few labels frozen features are as "
    "good as tuned ones. The network is made as `builtin/glance` is (`examples/new_classes.sh`) but has not seen these "
    "four classes, which `builtin/glance` itself has.",
    "papirus": "Not the textbook's shape: outlines and colours tell these contexts apart, and what a small network "
    "learns from CIFAR-10 and other themes saves no labels that could be told from chance.",
}
"what the tables show"


def ranking() -> list[str]:
    """What scores foretell of fine-tuning."""
    scores = {"probe": "probe %", "knn": "5 neighbours %", "logme": "LogME", "h_score": "H-score"}
    lines = ["## What `headstart rank` foretells of fine-tuning", ""]
    for path in sorted(RECORD.glob("ranking-*.json")):
        lines += _ranking(json.loads(path.read_text(encoding="utf-8")), path.stem, scores)
    return lines if len(lines) > 2 else []


def _ranking(found: dict[str, Any], name: str, scores: dict[str, str]) -> list[str]:
    lines = [
        f"MiniLM cut after each of its blocks, and random weights, on {found['data']}, {found['each']} labels a class; "
        f"scored on {found['validation']} validation examples, then tuned in full ({found['epochs']} epochs, "
        f"{found['seeds']} seeds, default rate) and tested.", "",
        f"| backbone | {' | '.join(scores.values())} | tuned, test accuracy % |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found["candidates"]:
        tuned = f"{100 * one['tuned']:.1f} [{100 * one['tuned_low']:.1f}, {100 * one['tuned_high']:.1f}]"
        lines.append(
            f"| {one['model']} | {100 * one['probe']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}] "
            f"| {100 * one['knn']:.1f} | {one['logme']:.3f} | {one['h_score']:.3f} | {tuned} |"
        )
    lines += ["", "| score | Kendall's tau, all | tau, pretrained | best by it is below the best by, points |",
              "|---|---|---|---|"]  # fmt: skip
    for score, title in scores.items():
        one = found["agreement"][score]
        lines.append(
            f"| {title.removesuffix(' %')} | {one['tau']:.2f} | {one['tau_of_the_pretrained']:.2f} "
            f"| {100 * one['regret']:.1f} |"
        )
    return lines + small(name, found["note"], found["environment"], found["threads"])


def forgetting() -> list[str]:
    """What tuning gains and what it forgets, for each task."""
    lines = ["## Tuned against base: gained and forgotten", ""]
    for path in sorted(RECORD.glob("forgetting-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["evaluation"]
        told = found["configuration"]
        size = f"{told['each']} labels a class" if told["each"] else "all labels"
        size += f", {told['epochs']} epochs" if told["epochs"] else ""
        lines += [
            f"{found['base']} tuned on {found['data']} ({size}, {told['seeds']} seeds, default rates), judged by "
            f"`headstart evaluate` with `benchmarks/{found['suite']}`. Tuned less base, in points (calibration error: "
            "as it is), with a 95 % interval; bold where a loss is certain.",
            "",
            f"| check, base | {' | '.join(one['name'] for one in found['models'])} |",
            "|---|" + "---|" * len(found["models"]),
        ]
        for place, check in enumerate(found["models"][0]["checks"]):
            percent = check["metric"] != "ece"
            base = f"{100 * check['base']['value']:.1f} %" if percent else f"{check['base']['value']:.3f}"
            cells = [_change(one["checks"][place], percent) for one in found["models"]]
            lines.append(f"| {check['check']}, {base} | {' | '.join(cells)} |")
        if found["schema"] == "headstart.evaluation/2":
            lines.append("| gates | " + " | ".join(m["verdict"] for m in found["models"]) + " |")
        seconds = (f"{one['seconds']:.0f} s" for one in found["models"])
        lines.append(f"| one training | {' | '.join(seconds)} |")
        lines += small(path.stem, result["note"], found["environment"])
    return lines if len(lines) > 2 else []


def gates() -> list[str]:
    """How often claims, gates and intervals are wrong, and what they find."""
    found = read("gates-simulated")
    if not found:
        return []
    sizes = list(dict.fromkeys(row["n"] for row in found["rows"]))
    held = [row for row in found["rows"] if row["what"].startswith("coverage")]
    most, least = (pick(held, key=lambda row: row["repeats"]) for pick in (max, min))
    lines = [
        "## Gates and intervals, simulated", "",
        f"Share of {found['repeats']} samples (a quarter of them, at least 100, where ten methods or a power are "
        f"simulated; standard error of 5 %: {100 * found['standard_error']:.1f} points) in which it happens, in %, by "
        "the number of test examples; 87 % are right. Three and five seeds differ by 0.8 points of accuracy. Coverage "
        f"is how often a 95 % interval holds the truth in {most['repeats']:,} samples (standard error "
        f"{100 * most['standard_error']:.1f} points; differences of ECE in {least['repeats']:,}, standard error "
        f"{100 * least['standard_error']:.1f}).", "",
        f"| what | seeds | {' | '.join(f'{n:,}' for n in sizes)} |", "|---|---|" + "---|" * len(sizes),
    ]  # fmt: skip
    shares: dict[tuple[str, Any], dict[int, float]] = {}
    for row in found["rows"]:
        shares.setdefault((row["what"], row.get("seeds", "")), {})[row["n"]] = row["share"]
    for (what, seeds), by_size in sorted(shares.items(), key=lambda item: item[0][0].startswith("coverage")):
        cells = [f"{100 * by_size[n]:.1f}" if n in by_size else "" for n in sizes]
        lines.append(f"| {what} | {seeds} | {' | '.join(cells)} |")
    return lines + small("gates-simulated", "Coverage was simulated later.", found["environment"])


def _change(check: dict[str, Any], percent: bool) -> str:
    values = (check["difference"], check["low"], check["high"])
    d, low, high = (f"{100 * v:+.1f}" if percent else f"{v:+.3f}" for v in values)
    told = f"{d} [{low}, {high}], {check['status']}"
    return f"**{told}**" if check["status"] in ("regressed", "worse") else told


def curves() -> list[str]:
    """Quality against labels, beside the textbook's table."""
    lines = ["## How many labels each method needs", ""]
    for path in sorted(RECORD.glob("curve-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["curve"]
        methods = list(dict.fromkeys(one["method"] for one in found["readings"]))
        lines += [
            f"{found['model']} on {found['data']}, {found['configuration']['draws']} draws of each size, default "
            "rates; accuracy in % with a 95 % interval.", "",
            f"| labels a class | examples | {' | '.join(methods)} |", "|---|---|" + "---|" * len(methods),
        ]  # fmt: skip
        for size in found["sizes"]:
            here = {one["method"]: one for one in found["readings"] if one["size"] == size}
            cells = (
                f"{100 * one['value']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
                for one in (here[name] for name in methods)
            )
            lines.append(f"| {size} | {here[methods[0]]['examples']} | {' | '.join(cells)} |")
        laws = {law["method"]: law for law in found["laws"]}
        if laws and next(iter(laws.values()))["reach"]:
            targets = [f"{100 * reach['value']:.0f} %" for reach in next(iter(laws.values()))["reach"]]
            lines += [
                "", "Examples that a value would take by the fitted law, beside what the textbook says a method needs:",
                "", f"| method | textbook | {' | '.join(targets)} |", "|---|---|" + "---|" * len(targets),
            ]  # fmt: skip
            for name, law in laws.items():
                reach = " | ".join(map(_reach, law["reach"]))
                lines.append(f"| {name} | {dict(TEXTBOOK).get(name, '')} | {reach} |")
        lines += ["", f"![accuracy against training examples]({path.stem}.svg)", ""]
        if said := SAID.get(path.stem.removeprefix("curve-")):
            lines += [said, ""]
        lines += small(path.stem, result["note"], found["environment"])
    return lines if len(lines) > 2 else []


def curve_plots() -> Iterator[tuple[str, str]]:
    """The plots that `headstart curve` leaves beside its records."""
    from headstart.core.records.curve import LearningCurve
    from headstart.report.charts.plots import learning_curve

    for path in sorted(RECORD.glob("curve-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))["curve"]
        fields = {name: found[name] for name in LearningCurve.__dataclass_fields__ if name in found}
        yield f"{path.stem}.svg", learning_curve(LearningCurve.from_json(fields))


def _reach(one: dict[str, Any]) -> str:
    if one["examples"] is None:
        return "out of reach" if one["low"] is None else f"{one['low']:,.0f} at least, perhaps never"
    most = f"{one['high']:,.0f}" if one["high"] else "never"
    return f"{one['examples']:,.0f} [{one['low']:,.0f}, {most}]"


TOLD = {"glove": "1,348, 128", "skipgram": "3,130, 135", "cbow": "2,952, 173"}
"""analogies right, and of them `family`, of Stanford's GloVe and of gensim as we were told them, of 12,680 questions
with a vocabulary of 69,423 words. Stanford's program can't be had where these tables are made."""


def vectors() -> list[str]:
    """Analogies that word vectors answer."""
    found = read("vectors")
    if not found:
        return []
    corpus, words = found["results"][0]["corpus"], found["results"][0]["words"]
    lines = [
        "## Word vectors", "",
        f"Trained on {corpus['words'] / 1e6:.1f} million words of dictionaries, essays and articles, lower-cased; "
        f"{words:,} vectors of 100 numbers. Right are answers to word2vec's questions that have vectors (3CosAdd among "
        "all words); seconds are those of the whole command. To reach: what Stanford's GloVe and gensim were told to "
        "get of 12,680 questions, with 69,423 words; it was not measured here.", "",
        "| objective | analogies right | of them `family` | to reach | seconds | king - man + woman | near king |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found["results"]:
        share = f"{one['total']['right'] / one['total']['asked']:.1%}"
        family = next(section for section in one["sections"] if section["name"] == "family")
        total, (answers, near) = one["total"], (
            ", ".join(f"{word} {cosine:.2f}" for word, cosine in one[name][:4])
            for name in ("king_man_woman", "nearest_to_king")
        )  # fmt: skip
        lines.append(
            f"| `{one['objective']}` | {total['right']:,} of {total['asked']:,} ({share}) "
            f"| {family['right']} of {family['asked']} | {TOLD[one['objective']]} | {one['seconds']:.0f} "
            f"| {answers} | {near} |"
        )
    glove = next((one for one in found["results"] if one["entries"]), None)
    if glove:
        lines += [
            "",
            f"GloVe went over {glove['entries'] / 1e6:.1f} million entries, {glove['entries_a_second'] / 1e6:.2f} "
            f"million a second, {len(glove['costs'])} times; the cost of an entry fell to {glove['costs'][-1]:.4f}. "
            f"Counting took {glove['counting_seconds']:.0f} s. Stanford's program was told to go over 25.2 million "
            "entries, 0.93 million a second, to 0.0296.",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return lines + small(
        "vectors", f"{versions}. {found['note']}", found["environment"], found["results"][0]["threads"]
    )
