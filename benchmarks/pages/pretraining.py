"""What follows the history's tables: CLIP, senses, languages, continued pretraining, speed."""

from __future__ import annotations

from typing import Any

from benchmarks.pages.recorded import read, small

ALPHA = 0.05


def share(row: dict[str, Any]) -> str:
    return f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def points(row: dict[str, Any], key: str = "p_adjusted") -> str:
    told = f"{100 * row['difference']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    return f"**{told}**" if row[key] <= ALPHA else told


def more(row: dict[str, Any]) -> str:
    """The points of a row that holds values of its own beside the difference."""
    return points({**row, "low": row["difference_low"], "high": row["difference_high"]})


def pictures() -> list[str]:
    """CLIP on a theme that it has not seen."""
    found = read("clip")
    if found is None:
        return []
    zero, both, made = found["zeroshot"], found["retrieval"], found["pretraining"]
    told = "; ".join(
        f"{way} at 1, 5, 10: {', '.join(f'{100 * share:.1f} %' for share in both[way].values())}"
        for way in ("texts", "images")
    )
    lines = [
        "## CLIP: seven icon themes, asked for the eighth", "",
        f"Both towers from scratch ({made['parameters']:,} parameters) on {made['corpus']['pairs']:,} icons of seven "
        f"themes with the texts `caption, context`, {made['steps']:,} steps, {made['seconds']:,.0f} s; wider than the "
        f"CLIP of the tables above, and asked of all of {found['theme']}, not of its test split alone; none of it was "
        "trained on:", "",
        f"- zero-shot, {zero['classes']} contexts told in words, {zero['examples']:,} icons: {share(zero)} % right; by "
        f"chance {100 / zero['classes']:.1f} %, the largest class {100 * zero['largest_class']:.1f} %;",
        f"- retrieval among {both['pairs']:,} pairs: {told}; by chance at 10 {100 * both['chance_at_10']:.2f} %.",
    ]  # fmt: skip
    return lines + small("clip", found["note"], found["environment"])


def senses() -> list[str]:
    """One word, several senses."""
    found = read("senses")
    if found is None:
        return []
    lines = [
        "## One word, several senses", "",
        "Mean cosine between ELMo's vectors of a word in two sentences of one sense, less that in sentences of "
        "different senses, with a bootstrap over sentences; and how often the nearest other sentence is of the same "
        "sense. A static vector's difference is 0.", "",
        "| word | senses | network | layer | difference | nearest of the same sense | largest sense |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found["rows"]:
        lines.append(
            f"| {row['word']} | {', '.join(f'{s} ({n})' for s, n in zip(row['senses'], row['sentences']))} "
            f"| {row['network']} | {row['layer']} | {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] "
            f"| {100 * row['nearest_of_the_same_sense']:.0f} % | {100 * row['largest_sense']:.0f} % |"
        )
    return lines + small("senses", found["note"], found["environment"])


def crosslingual() -> list[str]:
    """English labels, other languages."""
    found = read("crosslingual")
    if found is None:
        return []
    both = found["pretrained"]
    lines = [
        "## English labels, other customers", "",
        f"Two BERTs of one shape ({both['multi']['parameters']:,} parameters) and one tokenizer, pretrained for "
        f"{both['multi']['steps']:,} steps on seven languages of package descriptions, and for "
        f"{both['control']['steps']:,} on English alone. Tuned on English labels of debian-sections "
        f"({found['epochs']} epochs, {found['seeds']} seeds), tested on translations. Accuracy in %; the difference is "
        "paired by example, bold where p is at most 0.05 after Holm's correction over the six languages.", "",
        "| method | test set | examples | largest class | seven languages | English alone | difference |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found["rows"]:
        told = points(row, "p_adjusted" if "p_adjusted" in row else "p_value")
        lines.append(
            f"| {row['method']} | {row['part']} | {row['size']} | {100 * row['majority']:.1f} | {share(row['multi'])} "
            f"| {share(row['control'])} | {told} |"
        )
    better = {
        method: sum(
            1
            for row in found["rows"]
            if row["method"] == method and row.get("p_adjusted", 1) <= ALPHA and row["difference"] > 0
        )
        for method in dict.fromkeys(row["method"] for row in found["rows"])
    }
    told = ", ".join(f"{method}: {count} of 6" for method, count in better.items())
    lines += ["", f"Languages in which the multilingual model is significantly better: {told}."]
    return lines + small("crosslingual", found["note"], found["environment"])


def continued() -> list[str]:
    """MiniLM, further pretrained."""
    found = read("continued")
    if found is None:
        return []
    made = found["pretraining"]
    loss = made["held_out_loss"]
    lines = [
        "## Continued pretraining", "",
        f"MiniLM, further pretrained with `{found['objective']}` on {made['corpus']['tokens']:,} tokens of package "
        f"descriptions, passes over them: {made['configuration']['epochs']} ({made['seconds']:,.0f} s; held-out loss "
        f"{loss['before']:.2f} to {loss['after']:.2f}), on debian-sections, {found['draws']} draws; both were tuned "
        "on the machine named below, so that MiniLM's own figures are not quite those of the tables above. Bold where "
        "p is at most 0.05 after Holm's correction over all rows. MiniLM was made so that the means of its states tell "
        "sentences apart, which a masked objective presumably does not keep.", "",
        "| labels a class | method | MiniLM | further pretrained | difference |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found["rows"]:
        both = f"{share(row['base'])} | {share(row['further'])}"
        lines.append(f"| {row['size']} | {row['method']} | {both} | {more(row)} |")
    return lines + small("continued", found["note"], found["environment"])


def speed() -> list[str]:
    """Tokens a second beside the Trainer."""
    found = read("pretraining-speed")
    if found is None:
        return []
    lines = [
        "## Pretraining steps against transformers' Trainer", "",
        f"The same network ({found['size']}) and text, about {found['batch_tokens']:,} tokens a step; times as many "
        f"tokens a second as the Trainer, medians of pairs (target {found['target']}). Under the Trainer a masked "
        "network scores each position, here those that it predicts.", "",
        "| objective | tokens | steps | ours, tokens/s | against the Trainer at its defaults "
        "| against it in bf16, like lengths together |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in found["found"].items():
        ours = sorted(one["seconds"]["ours"])[len(one["seconds"]["ours"]) // 2]
        lines.append(
            f"| {name} | {one['tokens']:,} | {one['steps']} | {one['tokens'] / ours:,.0f} "
            f"| {one['times']['trainer']:.2f} times | {one['times']['tuned']:.2f} times |"
        )
    return lines + small("pretraining-speed", found["note"], found["environment"], found["threads"])
