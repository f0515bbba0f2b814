"""docs/history.md and its plots: what each pretraining is worth, from word2vec to CLIP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.cases.history import LABELS, is_same
from benchmarks.lib.results import RECORD
from benchmarks.pages.pretraining import ALPHA, continued, crosslingual, more, pictures, senses, share, speed
from benchmarks.pages.recorded import read, small

NAMES = {
    "skipgram": "word2vec", "glove": "GloVe", "elmo": "ELMo", "ulmfit": "ULMFiT", "bert": "own BERT", "gpt": "own GPT",
    "gpt-tiny": "own tiny GPT", "minilm": "MiniLM", "cnn": "CNN", "vit": "ViT", "clip": "CLIP",
    "clip-words": "CLIP, from words",
}  # fmt: skip
COLOURS = ("#8a949e", "#b07d2b", "#7a4fa3", "#2b8a6e", "#1d5f9e", "#c0504d", "#e08f8c", "#33404d")
WHY = {
    "sst2": "The corpus is dictionaries, essays and package descriptions. On debian-sections, whose topics it holds, "
    "word2vec, GloVe, ULMFiT, the own BERT and the larger GPT gain significantly with 10 and with 30 labels; here none "
    "does, presumably since it has few opinions. ULMFiT was pretrained differently for the two (below; here longer), "
    "so that for it the data need not be the cause; with all labels it even loses. MiniLM, which others trained on a "
    "billion pairs of sentences, gains on both.",
    "papirus": "From random weights the CNN and CLIP's tower reach about 70 % with 10 labels of each of the 8 "
    "contexts, presumably because they differ in outline and colour. CLIP's tower, which learned from such icons and "
    "their captions alone, gains significantly with 30, if its head is not made from words; what CIFAR-10 and seven "
    "other themes teach the CNN and the ViT adds nothing that these figures could tell from chance.",
    "medical": "With 10 labels of each of 6 classes the CNN and CLIP's tower are right in 95 % and more from random "
    "weights: there is little to gain. The ViT, which is right in 87 % from random weights, gains more, significantly "
    "with 30 labels and with all. CLIP's captions are of icons: told in words alone, the six classes are found less "
    "often than by chance (1 in 6).",
}
"what the figures say of those that gain nothing with few labels, and of those that do"
REFERENCE = {"text": "bert", "image": "cnn"}
"whose network from scratch has a line of its own"


def at(size: int) -> str:
    """As the column of so many labels a class is called; the last one is all there are."""
    return str(size) if size in LABELS else "all"


def first_of(one: dict[str, Any]) -> dict[str, Any]:
    """The larger part of a pretraining that went on on the task's texts."""
    made: dict[str, Any] = one["pretraining"]
    first: dict[str, Any] = made.get("before", made)
    return first


def task(name: str, found: dict[str, Any], others: dict[str, dict[str, Any]]) -> list[str]:
    """One data set: quality, the difference from scratch, and what the pretraining cost. others: the records of all."""
    backbones = found["backbones"]
    sizes = [row["size"] for row in max((one["rows"] for one in backbones), key=len)]

    def cells(one: dict[str, Any], told: Callable[[dict[str, Any]], str]) -> str:
        by_size = {row["size"]: told(row) for row in one["rows"]}
        return " | ".join(by_size.get(size, "–") for size in sizes)

    head = [f"| backbone | {' | '.join(map(str, sizes[:-1]))} | all |", "|---|" + "---|" * len(sizes)]
    lines = [
        f"## {name}", "", f"![accuracy against labels a class](history-{name}.svg)", "",
        f"Accuracy in % on the test split with {found['draws']} draws of so many labels a class, and 95 % intervals; "
        "the method was chosen on validation.", "", *head,
    ]  # fmt: skip
    for one in backbones:
        if one["name"] in REFERENCE.values():
            lines.append(f"| {NAMES[one['name']]}, from scratch | {cells(one, lambda row: share(row['scratch']))} |")
        if one["name"] == "clip-words":
            lines.append(f"| CLIP, zero-shot | {cells(one, lambda row: share(row['methods']['zeroshot']))} |")
    for one in backbones:
        lines.append(f"| {NAMES[one['name']]} | {cells(one, lambda row: share(row) + ' ' + row['method'])} |")
    lines += [
        "",
        "More than the same network from scratch, in points, paired by example, with 95 % intervals that stand "
        "each for itself; bold where p is at most 0.05 after Holm's correction over the sizes, which asks for more.",
        "",
        *head,
    ]
    for one in backbones:
        lines.append(f"| {NAMES[one['name']]} | {cells(one, more)} |")
    few = [
        f"{NAMES[one['name']]} at {row['size']}"
        for one in backbones
        for row in one["rows"]
        if row["size"] in (10, 30) and not (row["p_adjusted"] <= ALPHA and row["difference"] > 0)
    ]
    told = "Each is significantly better than its own control with 10 and with 30 labels a class."
    if few:
        told = f"Not significantly better than its own control with 10 or 30 labels a class: {', '.join(few)}. "
        told += WHY.get(name) or " ".join(
            learned(one) for one in backbones if any(label.startswith(NAMES[one["name"]] + " at") for label in few)
        )
    lines += ["", told, *static_or_mixed(backbones), *recipe(backbones)]
    lines += [
        "",
        "| backbone | pretrained on | passes (steps) | parameters | seconds | where |",
        "|---|---|---|---|---|---|",
    ]
    for one in backbones:
        made = one["pretraining"]
        first = first_of(one)
        corpus = first.get("corpus", {})
        kind = next((kind for kind in ("tokens", "words", "pairs") if corpus.get(kind)), "images")
        amount = corpus.get(kind) or sum(source["train"] for source in first.get("sources", ()))
        spent = [part["seconds"] for part in ([made] if first is made else [made, first]) if "seconds" in part]
        where = first.get("environment", {})
        told_where = f"{where.get('device', '')} {where.get('processor', '')}" if where else "not recorded"
        machine = told_where if spent else "by others"
        told = [
            NAMES[one["name"]], f"{amount:,} {kind}" if amount else "", passes(first), str(made.get("parameters", "")),
            f"{sum(spent):,.0f}" if spent else "", machine,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(told)} |")
    if further := [NAMES[one["name"]] for one in backbones if "before" in one["pretraining"]]:
        lines += ["", f"{', '.join(further)} then went on with the task's own training texts, without labels."]
    for other, theirs in others.items():
        there = {one["name"]: first_of(one) for one in theirs["backbones"]}
        anew = [NAMES[one["name"]] for one in backbones if not is_same(first_of(one), there.get(one["name"], {}))]
        if anew:
            lines += ["", f"Not of the same pretraining as in the tables of {other}: {', '.join(anew)}."]
    for one in backbones:
        if options := dict(one.get("options", {})):
            options |= options.pop("settings", {})
            told = ", ".join(f"`{key}={value}`" for key, value in options.items())
            lines += ["", f"Not by the defaults: {NAMES[one['name']]} with {told}."]
    if found["missing"]:
        told = ", ".join(
            f"{NAMES[name]} at {at(int(size))}" for name, _, size in (one.partition(" at ") for one in found["missing"])
        )
        lines += ["", f"Not measured: {told}."]
    return lines + small(f"history-{name}", "; ".join([found["note"], *elsewhere(backbones)]), found["environment"])


def static_or_mixed(backbones: list[dict[str, Any]]) -> list[str]:
    """ELMo's mix of its layers, frozen, beside a probe of word vectors, which are the same in any sentence."""
    by_name = {one["name"]: {row["size"]: row for row in one["rows"]} for one in backbones}
    told = [
        f"{at(size)}: {share(row['methods']['mix'])} against "
        + " and ".join(
            f"{share(by_name[name][size]['methods']['probe'])} ({NAMES[name]})"
            for name in ("skipgram", "glove")
            if size in by_name.get(name, {})
        )
        for size, row in by_name.get("elmo", {}).items()
        if "mix" in row["methods"]
    ]
    lines = ["", f"ELMo's mix, frozen, against a probe of static vectors, by labels a class: {'; '.join(told)}."]
    return lines if told else []


def recipe(backbones: list[dict[str, Any]]) -> list[str]:
    """ULMFiT under the recipe of its paper, also where validation chose another method."""
    rows = next((one["rows"] for one in backbones if one["name"] == "ulmfit"), [])
    told = "; ".join(f"{at(row['size'])}: {share(row['methods']['ulmfit'])}" for row in rows)
    return ["", f"ULMFiT under its own recipe, by labels a class: {told}."] if told else []


def elsewhere(backbones: list[dict[str, Any]]) -> list[str]:
    """The rows that say themselves where they were measured, machine by machine."""
    found: dict[str, list[str]] = {}
    for one in backbones:
        for row in one["rows"]:
            if where := row.get("where"):
                machine = f"{where['device']}, {where['processor']}, {where['cores']} cores"
                found.setdefault(machine, []).append(f"{NAMES[one['name']]} at {at(row['size'])}")
    return [f"on {machine}: {', '.join(rows)}" for machine, rows in found.items()]


def learned(one: dict[str, Any]) -> str:
    """How far a pretraining has come that gains nothing with few labels."""
    made = one["pretraining"]
    loss = made.get("held_out_loss")
    told = f", from a loss on held-out text of {loss['before']:.2f} to {loss['after']:.2f}" if loss else ""
    steps = f"{made['steps']:,} steps" if "steps" in made else f"{made['configuration']['epochs']} passes"
    name = NAMES[one["name"]]
    name = name[0].upper() + name[1:]
    return f"{name} made {steps}{told}: with so few labels these figures can't tell its gain from chance."


def passes(made: dict[str, Any]) -> str:
    """Over the corpus, and in how many steps; and how many other tokens each was told from, where not all."""
    settings = made.get("configuration", {})
    steps = f" ({made['steps']:,})" if "steps" in made else ""
    few = f", {settings['samples']:,} samples" if settings.get("samples") else ""
    return f"{settings.get('epochs', '')}{steps}{few}"


def plot(name: str, found: dict[str, Any]) -> str:
    """Accuracy against labels a class, a line a backbone; dashed: from scratch."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = name
    figure, axes = pyplot.subplots(figsize=(7.5, 4.5))
    for colour, one in zip(COLOURS, found["backbones"]):
        rows = one["rows"]
        x = [row["size"] for row in rows]
        axes.plot(x, [100 * row["value"] for row in rows], "o-", color=colour, label=NAMES[one["name"]], markersize=4)
        axes.fill_between(
            x, [100 * row["low"] for row in rows], [100 * row["high"] for row in rows], color=colour, alpha=0.12, lw=0
        )
        axes.plot(x, [100 * row["scratch"]["value"] for row in rows], ":", color=colour, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("labels a class")
    axes.set_ylabel("accuracy, % (dotted: from scratch)")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return drawn.getvalue()


def records() -> dict[str, dict[str, Any]]:
    """By data set."""
    stems = sorted(path.stem for path in RECORD.glob("history-*.json"))
    return {stem.removeprefix("history-"): found for stem in stems if (found := read(stem))}


def plots() -> Iterator[tuple[str, str]]:
    for name, found in records().items():
        yield f"history-{name}.svg", plot(name, found)


def history() -> list[str]:
    lines = [
        "# The lineage: what each pretraining is worth", "",
        "Made by `benchmarks/run.py report` from the JSON files in `benchmarks/results`. The backbones are made by",
        "`examples/lineage.sh` and `examples/crosslingual.sh`, some in an earlier version of theirs: the tables say",
        "with how many passes; the case `history` measured the data sets below, `clip`, `senses`, `crosslingual`,",
        "`continued` and `pretraining_speed` what follows them.", "",
    ]  # fmt: skip
    found = records()
    for name, one in found.items():
        lines += task(name, one, found)
    return lines + pictures() + senses() + crosslingual() + continued() + speed()
