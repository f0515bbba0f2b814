"""Model card of an artifact, in the Hub's format: the model, its quality, its data and its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.markdown import escaped
from headstart.core.records.comparison import Comparison, Row
from headstart.core.records.evaluation import CheckRecord, Judged
from headstart.report import format as fmt

PIPELINES = {"text": "text-classification", "text_pair": "text-classification", "image": "image-classification"}
REGRESSION = "tabular-regression"
"the Hub has no name for regression from texts or images"
NOUNS = {"single_label": "one label", "multi_label": "several labels", "regression": "a number"}
"of records that do not say it themselves"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def card(found: Comparison, row: Row, judged: Judged | None = None) -> str:
    """Markdown with a YAML header. judged: the result of `headstart evaluate`, if there is one."""
    return "\n".join(
        [_header(found, row), *_body(found, row), *(_checks(judged) if judged else []), *_limits(found, row)]
    )


def adopted_card(
    method: str, configuration: Mapping[str, Any], labels: Sequence[str], base: str, fingerprint: str, adapter: str
) -> str:
    """Model card of an adopted model, which another program trained; it has no measurements."""
    from huggingface_hub import ModelCardData

    hub = bool(HUB_NAME.fullmatch(base)) and not Path(base).exists()
    data = ModelCardData(
        library_name="headstart", tags=["headstart", "transfer-learning", method], base_model=base if hub else None,
        model_name=f"{method} on {Path(base).name}",
    )  # fmt: skip
    lines = [
        f"# {method} on {escaped(Path(base).name)}", "",
        f"Predicts one of {len(labels)} classes: {_listed(labels)}." if labels else "Predicts a number.",
        "", "## How it was made", "",
        f"Read from {escaped(adapter)}, an adapter that PEFT wrote.", "",
        *_settings(configuration), f"- base: {escaped(base)}, fingerprint {fingerprint}", "", "## Limits", "",
        "- Its training data are not known here, and nothing was measured: `headstart evaluate FOLDER --data DATA` "
        "judges it against its base.", "",
    ]  # fmt: skip
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(lines)


def _header(found: Comparison, row: Row) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    name = " ".join(Path(found.data.source).stem.split()) or "data"
    kind = found.task.pipeline or (PIPELINES[found.task.modality] if found.task.labels else REGRESSION)
    result = EvalResult(
        task_type=kind, dataset_type=name, dataset_name=name, dataset_split="test", metric_type=row.metric,
        metric_value=round(row.value or 0.0, 6), metric_name=fmt.metric_name(row.metric),
    )  # fmt: skip
    base = found.model.source.removeprefix("timm/")
    hub = bool(HUB_NAME.fullmatch(found.model.source)) and found.model.loader in ("transformers", "timm")
    data = ModelCardData(
        library_name="headstart", tags=["headstart", "transfer-learning", row.method.partition("@")[0]],
        pipeline_tag=None if kind == REGRESSION else kind, metrics=[row.metric],
        base_model=base if hub and not Path(found.model.source).exists() else None,
        model_name=f"{row.method} on {name}", eval_results=[result],
    )  # fmt: skip
    return f"---\n{data.to_yaml()}\n---\n"


def _body(found: Comparison, row: Row) -> list[str]:
    task, sizes = found.task, {split.name: split for split in found.data.splits}
    given = task.input.noun
    what = task.noun or NOUNS.get(task.kind, "an answer")
    tested = sizes["test"].size
    lines = [
        f"# {row.method} on {escaped(Path(found.data.source).name or 'data')}",
        "",
        f"Predicts for each {given} {what}" + (f": {_listed(task.labels)}." if task.labels else "."),
        f"Made from {escaped(found.model.source)} ({fmt.count(found.model.parameters)} parameters) by the method "
        f"`{row.method}` of Headstart {found.environment.headstart}, which trained "
        f"{fmt.share(row.trained_share)} of the parameters.",
        "",
        "```",
        "headstart predict FOLDER INPUT …",
        "```",
        "",
        "## How good it is",
        "",
        f"{fmt.metric_heading(row.metric)} on {fmt.counted(tested, 'test example')}, used only once, "
        f"{_mean(found, row)}, with a 95 % interval: **{fmt.value(row.metric, row.value)}** "
        f"{fmt.interval(row.metric, row.low, row.high)}.",
        *_early(row),
        "",
        *(f"- {escaped(line)}" for line in found.verdict.said),
        "",
    ]
    if row.classes:
        lines += ["| class | precision % | recall % | F1 % | test examples |", "|---|---|---|---|---|"]
        for one in row.classes:
            cells = [fmt.value("precision", number) for number in (one.precision, one.recall, one.f1)]
            lines.append(f"| {escaped(one.label)} | {' | '.join(cells)} | {one.support} |")
        lines.append("")
    lines += ["## How it was made", ""]
    lines += _settings(row.configuration)
    lines += [
        f"- trials on validation: {max(1, len(row.trials))}; seeds: {', '.join(str(run.seed) for run in row.seeds)}",
        f"- one training: {fmt.seconds(row.train_seconds)}, {fmt.size(row.peak_memory_bytes)} of memory on "
        f"{found.environment.processor}, {found.environment.precision}",
        f"- base: {escaped(found.model.source)}, fingerprint {found.model.fingerprint}",
        *(f"- {name} {version}" for name, version in found.environment.libraries.items()),
        "",
        "## Data",
        "",
        f"{escaped(found.data.source)}, fingerprint {found.data.fingerprint}; {found.data.rows_used} of "
        f"{found.data.rows_read} rows were used.",
        "",
        "| split | examples | origin |",
        "|---|---|---|",
        *(f"| {split.name} | {split.size} | {escaped(split.origin)} |" for split in found.data.splits),
        "",
    ]
    return lines


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(escaped, labels[:20])) + (", …" if len(labels) > 20 else "")


def _settings(configuration: Mapping[str, Any]) -> list[str]:
    return [f"- {name}: {escaped(fmt.setting(value, name))}" for name, value in sorted(configuration.items())]


def _early(row: Row) -> list[str]:
    """A note if a race stopped the training early."""
    if not row.stopped:
        return []
    return [f"A race stopped its training after {row.stopped.length}; the value is that of the shorter training."]


def _checks(judged: Judged) -> list[str]:
    head = [
        "## Against its base",
        "",
        f"Gates: {'all passed' if judged.verdict == 'passed' else judged.verdict}. Differences are paired by example, "
        "with 95 % intervals; gates decide by one-sided bounds.",
        "",
        "| check | base | tuned | difference | bounds | shown | gate |",
        "|---|---|---|---|---|---|---|",
    ]
    return [*head, *(_check(record) for record in judged.checks), ""]


def _check(record: CheckRecord) -> str:
    name = record.metric
    difference = f"{fmt.value(name, record.difference, signed=True)} {fmt.interval(name, record.low, record.high)}"
    gate = {"none": fmt.MISSING}.get(record.verdict, record.verdict)
    cells = (
        f"{escaped(record.check)} ({fmt.metric_heading(name)})", fmt.value(name, record.base.value),
        fmt.value(name, record.tuned.value), difference,
        fmt.interval(name, record.lower, record.upper), record.status, gate,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _mean(found: Comparison, row: Row) -> str:
    return f"mean over {fmt.counted(len(row.seeds), 'fold')}" if found.folds else fmt.seeds(len(row.seeds))


def _limits(found: Comparison, row: Row) -> list[str]:
    lines = [
        "## Limits",
        "",
        "- The figures hold for examples like those of the test split; nothing was measured on others.",
    ]
    if found.folds:
        lines.append(
            f"- The figures are from cross-validation. This model is that of the first of {found.folds} folds: it was "
            "trained without the examples of that fold."
        )
    if len(row.seeds) < 2:
        lines.append("- One seed: the interval is of this trained model, not of the method.")
    weak = [one.label for one in row.classes if one.support < 20]
    if weak:
        lines.append(f"- Fewer than 20 test examples: {', '.join(map(escaped, weak[:10]))}.")
    lines += [f"- {escaped(one.message)}" for one in found.data.findings if one.severity != "note"]
    return [*lines, ""]
