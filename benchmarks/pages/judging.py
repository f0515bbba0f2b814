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
"training examples that textbooks give for a method"
READINGS = {
    "trec": "The methods are in the textbook's order: training from scratch needs more than a hundred times the labels "
    "of a tuned model, and with few labels freezing the lower blocks is no worse than tuning all of them. All numbers "
    "are below the textbook's, presumably because MiniLM was trained on a billion pairs of sentences and questions are "
    "short.",
    "medical": "The methods are in the textbook's order, but close: training from scratch needs two to four times the "
    "labels of the tuned backbone, and the intervals overlap, because 60 examples of these classes leave little to "
    "gain.",
    "new-classes": "The methods are in the textbook's order: for 80 %, training from scratch needs eight times the "
    "labels of the tuned network, and the intervals do not overlap (90 % is too far above the measured sizes to "
    "compare). With few labels, frozen features are as good as tuned ones. The network was pretrained like "
    "`builtin/glance` (`examples/new_classes.sh`), but without these four classes, which `builtin/glance` has seen.",
    "papirus": "The methods are not in the textbook's order: outlines and colours separate these contexts, and "
    "pretraining a small network on CIFAR-10 and other icon themes saves no more labels than chance would.",
}
"a reading of each table"


def ranking() -> list[str]:
    """How well scores predict fine-tuning."""
    scores = {"probe": "probe %", "knn": "5 neighbours %", "logme": "LogME", "h_score": "H-score"}
    lines = ["## How well `headstart rank` predicts fine-tuning", ""]
    for path in sorted(RECORD.glob("ranking-*.json")):
        lines += _ranking(json.loads(path.read_text(encoding="utf-8")), path.stem, scores)
    return lines if len(lines) > 2 else []


def _ranking(found: dict[str, Any], name: str, scores: dict[str, str]) -> list[str]:
    lines = [
        f"MiniLM cut after each of its blocks, and a network with random weights, on {found['data']} with "
        f"{found['each']} labels a class. Each was scored on {found['validation']} validation examples, then tuned in "
        f"full ({found['epochs']} epochs, {found['seeds']} seeds, default rate) and tested.", "",
        f"| backbone | {' | '.join(scores.values())} | tuned, test accuracy % |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in found["candidates"]:
        tuned = f"{100 * one['tuned']:.1f} [{100 * one['tuned_low']:.1f}, {100 * one['tuned_high']:.1f}]"
        lines.append(
            f"| {one['model']} | {100 * one['probe']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}] "
            f"| {100 * one['knn']:.1f} | {one['logme']:.3f} | {one['h_score']:.3f} | {tuned} |"
        )
    lines += ["", "| score | Kendall's tau, all | tau, pretrained | loss by its first choice, points |",
              "|---|---|---|---|"]  # fmt: skip
    for score, title in scores.items():
        one = found["agreement"][score]
        lines.append(
            f"| {title.removesuffix(' %')} | {one['tau']:.2f} | {one['tau_of_the_pretrained']:.2f} "
            f"| {100 * one['regret']:.1f} |"
        )
    return lines + small(name, found["note"], found["environment"], found["threads"])


def forgetting() -> list[str]:
    """Gains and losses of tuning, for each task."""
    lines = ["## Tuned against base: gained and forgotten", ""]
    for path in sorted(RECORD.glob("forgetting-*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found = result["evaluation"]
        setup = found["configuration"]
        size = f"{setup['each']} labels a class" if setup["each"] else "all labels"
        size += f", {setup['epochs']} epochs" if setup["epochs"] else ""
        lines += [
            f"{found['base']} tuned on {found['data']} ({size}, {setup['seeds']} seeds, default rates), judged by "
            f"`headstart evaluate` with `benchmarks/{found['suite']}`. Tuned minus base, in points (calibration error: "
            "unscaled), with a 95 % interval; bold: the check finds it worse or regressed.",
            "",
            f"| check, base | {' | '.join(one['name'] for one in found['models'])} |",
            "|---|" + "---|" * len(found["models"]),
        ]
        for place, check in enumerate(found["models"][0]["checks"]):
            percent = check["metric"] != "ece"
            base = f"{100 * check['base']['value']:.1f} %" if percent else f"{check['base']['value']:.3f}"
            cells = [_change(one["checks"][place], percent) for one in found["models"]]
            lines.append(f"| {check['check']}, {base} | {' | '.join(cells)} |")
        lines.append(f"| gates | {' | '.join(one['verdict'] for one in found['models'])} |")
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
        f"How often each outcome occurs, in % of {found['repeats']} simulated samples, by the number of test examples "
        "(rows with ten methods or a power: of a quarter of the samples, at least 100). A share of 5 % has a standard "
        f"error of {100 * found['standard_error']:.1f} points. About 87 % of the simulated answers are right; with "
        "several seeds, their accuracies have a standard deviation of 0.8 points. Coverage is how often a 95 % "
        f"interval contains the true value, in {most['repeats']:,} samples (standard error "
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
    cell = f"{d} [{low}, {high}], {check['status']}"
    return f"**{cell}**" if check["status"] in ("regressed", "worse") else cell


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
                "", "Training examples needed for an accuracy, by the fitted power law, beside the textbook's number:",
                "", f"| method | textbook | {' | '.join(targets)} |", "|---|---|" + "---|" * len(targets),
            ]  # fmt: skip
            for name, law in laws.items():
                reach = " | ".join(map(_reach, law["reach"]))
                lines.append(f"| {name} | {dict(TEXTBOOK).get(name, '')} | {reach} |")
        lines += ["", f"![accuracy against training examples]({path.stem}.svg)", ""]
        if reading := READINGS.get(path.stem.removeprefix("curve-")):
            lines += [reading, ""]
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


REFERENCE = {"glove": "1,348, 128", "skipgram": "3,130, 135", "cbow": "2,952, 173"}
"""analogies right, and of them `family`, of Stanford's GloVe and of gensim, as reported to us: of 12,680 questions,
with a vocabulary of 69,423 words. Stanford's program was not at hand to measure."""


def vectors() -> list[str]:
    """Analogies that word vectors answer."""
    found = read("vectors")
    if not found:
        return []
    corpus, words = found["results"][0]["corpus"], found["results"][0]["words"]
    lines = [
        "## Word vectors", "",
        f"Trained on {corpus['words'] / 1e6:.1f} million words of dictionaries, essays and articles, lower-cased; "
        f"{words:,} vectors of 100 numbers. Analogies are word2vec's questions whose words all have vectors, answered "
        "by 3CosAdd over all words; seconds are those of the whole command. The reference is Stanford's GloVe and "
        "gensim on 12,680 questions with 69,423 words: figures that were reported to us, not measured here.", "",
        "| objective | analogies right | of them `family` | reference | seconds | king - man + woman | near king |",
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
            f"| {family['right']} of {family['asked']} | {REFERENCE[one['objective']]} | {one['seconds']:.0f} "
            f"| {answers} | {near} |"
        )
    glove = next((one for one in found["results"] if one["entries"]), None)
    if glove:
        lines += [
            "",
            f"GloVe made {len(glove['costs'])} passes over {glove['entries'] / 1e6:.1f} million entries, at "
            f"{glove['entries_a_second'] / 1e6:.2f} million a second; the mean cost of an entry fell to "
            f"{glove['costs'][-1]:.4f}. Counting took {glove['counting_seconds']:.0f} s. Reported of Stanford's "
            "program: 25.2 million entries, 0.93 million a second, a cost of 0.0296.",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return lines + small(
        "vectors", f"{versions}. {found['note']}", found["environment"], found["results"][0]["threads"]
    )
