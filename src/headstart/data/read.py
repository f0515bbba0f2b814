"""`read`: turns a user's source into a task with three splits, and the record of the audit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.core.errors import ConfigurationError, DataError, unknown
from headstart.core.inputs import INPUT_KINDS
from headstart.core.records.data import DataRecord, SplitRecord
from headstart.data.audit.audit import NAMES, audit, class_counts
from headstart.data.audit.findings import SHOWN, Findings
from headstart.data.audit.prints import Prints, take_prints
from headstart.data.documents.library import Library
from headstart.data.examples import Data, Examples
from headstart.data.images.image import MAX_PIXELS
from headstart.data.images.unlisted import note_unlisted
from headstart.data.ingest.intake import Progress, take_in
from headstart.data.ingest.labels import Targets, build
from headstart.data.ingest.roles import holds_paths, possible_groups, roles_of
from headstart.data.ingest.splits import by_class, by_group, group_codes, strata_of, with_every_class
from headstart.data.tables.answer_columns import with_answers
from headstart.data.tables.columns import Roles
from headstart.data.tables.repeated_columns import note_crossing
from headstart.data.tables.sources import Splits, resolve
from headstart.tasks.task import TASKS, Task

VALIDATION = 500
"maximum size of a made validation split if no share is given, in examples"

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read(
    source: str | os.PathLike[str] | Any,
    *,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    prompt: str | None = None,
    answer: str | None = None,
    messages: str | None = None,
    group: str | None = None,
    cluster_by: str | None = None,
    validation: Source | None = None,
    test: Source | None = None,
    kind: str | None = None,
    seed: int = 0,
    validation_share: float | None = None,
    test_share: float = 0.2,
    workers: int = 0,
    max_image_pixels: int = MAX_PIXELS,
    folder: str | os.PathLike[str] | None = None,
    class_weights: bool = False,
    documents: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Data:
    """Reads, checks and splits labelled examples.

    source: a CSV, TSV, JSONL, Parquet or CoNLL file; a folder of class folders of images; a folder of train,
        validation and test files or folders; a folder that `datasets` saved, a `Dataset(Dict)` itself, or a name on the
        hub.
    text: input column, or two for text pairs (`"premise,hypothesis"` or a tuple) [default: detected].
    label: label column [default: detected].
    prompt, answer: columns of questions, joined by an empty line if several (`"instruction,input"`), and of answers to
        learn to write [default: detected by their usual names].
    messages: column of whole conversations, OpenAI's or ShareGPT's [default: detected].
    group: column; rows of one group stay in one made split, and count as one in intervals and tests.
    cluster_by: column; its rows count as one in intervals and tests, and may lie in several splits.
    validation, test: sources of these splits, one or a list, or names of splits of a data set that has several.
    kind: `single_label`, `multi_label`, `regression`, `tagging`, `spans`, `generation` or one of a plugin [default:
        detected].
    seed: seed of the made splits.
    validation_share, test_share: shares of the rows for made splits; by default validation gets 15 % but at most 500
        rows, because more would choose little better and cost training examples.
    workers: threads that decode images.
    max_image_pixels: images with more pixels (width x height) are left out.
    folder: place of the temporary store [default: TMPDIR].
    class_weights: set `Task.class_weights` to n / (classes x count), with mean 1 over the training examples.
    documents: folder of Markdown, text and HTML files in which methods such as `retrieve` look for passages.
    progress: called with a stage (`reading`, `checking`) and the rows done.

    Raises `DataError` (no usable row, unclear columns, conflicting labels, too few rows), `ConfigurationError` for an
    option out of range, `ResourceError` if the store can't be written.

    Example: `read("reviews.csv", text="text", label="stars")`.
    """
    _check(kind, validation_share, test_share, workers, max_image_pixels)
    findings = Findings()
    library = None if documents is None else Library.of(documents, findings)
    name = str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__
    splits = resolve(source, validation, test, findings)
    chat = {"prompt": prompt, "answer": answer, "messages": messages}
    if not any(chat.values()) and (kind is None or "passage" in TASKS[kind].reads):
        splits = with_answers(splits, text, label, kind is not None)
    asked = None if kind is None else all(INPUT_KINDS[one].chat for one in TASKS[kind].reads)
    roles, class_names = roles_of(splits, name, text, label, group, findings, cluster_by, chat, asked)
    paths = holds_paths(splits, roles)
    units = possible_groups(splits, roles)
    table, unstored = take_in(splits, roles, class_names, paths, findings, folder, progress, units)
    note_unlisted(source, [one for tables in splits.values() for one in tables], findings)
    split = table.column("split").to_numpy().copy()
    rows_read = table.num_rows + findings.left_out
    given = {NAMES[code] for code in unstored}
    if "train" not in given:
        marked = ",".join(roles.marks.columns) if roles.marks else ""
        raise DataError(f"{name}: the column {marked!r} marks no row as train.")
    prints = take_prints(table, roles.modality, max_image_pixels, workers, findings, progress)
    _use(split, prints.usable, given, splits, findings)
    if kind is None and len(roles.labels) > 1 and _is_one_hot(table):
        kind = "single_label"
    kind = _kind(kind, roles)
    targets = build(table, split == 0, roles.label, kind, class_names, findings)
    _use(split, targets.usable, given, splits, findings)
    groups = None if roles.group is None else group_codes(table, "group", roles.group)
    clusters = groups if roles.cluster is None else group_codes(table, "cluster", roles.cluster)
    held = min(0.15, VALIDATION / max(1, (split == 0).sum())) if validation_share is None else validation_share
    wanted = {"test": test_share, "validation": held}
    made = _make(split, targets, prints, groups, {n: share for n, share in wanted.items() if n not in given}, seed)
    audit(table, prints, split, targets.values, targets.labels, groups, findings)
    note_crossing(table, units, split, findings)

    parts = [np.flatnonzero(split == code) for code in range(3)]
    apart = splits.keys() - {"train"}
    stored = np.bincount(table.column("split").to_numpy(), minlength=3)
    lost = {NAMES[at]: unstored[at] + int(stored[at]) - len(parts[at]) for at in unstored if NAMES[at] in apart}
    together = groups if groups is not None else np.unique(prints.digest, return_inverse=True)[1].reshape(-1)
    train, kept, tested = (
        Examples(
            table, rows, rows, targets.values[rows], prints.decoding, together[rows],
            None if clusters is None else clusters[rows],
        )
        for rows in parts
    )  # fmt: skip
    weights = _weights(train.targets, targets) if class_weights else ()
    record = DataRecord(
        source=name,
        fingerprint=_fingerprint(parts, targets.values, prints.digest if prints.whole is None else prints.whole),
        columns=roles.record(),
        seed=seed,
        splits=tuple(
            SplitRecord(part, len(rows), made.get(part, "given"), _counts(targets, rows), lost.get(part, 0))
            for part, rows in zip(NAMES, parts)
        ),
        rows_read=rows_read,
        rows_used=sum(map(len, parts)),
        findings=findings.records(),
        understood=_understood(splits, roles, targets),
        documents=None if library is None else library.record(),
    )
    task = Task(targets.kind, roles.modality, targets.labels, weights, prints.decoding)
    return Data(task, train, kept, tested, record, documents=library)


def _kind(kind: str | None, roles: Roles) -> str | None:
    """The kind asked for, or the only one that such inputs can have. Raises `ConfigurationError` where it can't be."""
    able = [name for name in TASKS if roles.modality in TASKS[name].reads]
    if kind is not None and kind not in able:
        raise ConfigurationError(
            f"a {kind} task can't be read from {roles.modality.replace('_', ' in ').rstrip('s')}s: the input "
            f"is {', '.join(roles.text)}. Such data are for {', '.join(able)}."
        )
    return able[0] if kind is None and len(able) == 1 else kind


def _check(kind: str | None, validation_share: float | None, test_share: float, workers: int, pixels: int) -> None:
    if kind is not None and kind not in TASKS:
        raise unknown("kind", kind, TASKS)
    wrong = []
    held = 0.15 if validation_share is None else validation_share
    if not (0 < held < 1 and 0 < test_share < 1 and held + test_share < 1):
        wrong.append(
            f"validation_share {held} and test_share {test_share} must lie between 0 and 1 and leave "
            "something for training"
        )
    if workers < 0:
        wrong.append(f"workers must be 0 or more, not {workers}")
    if pixels < 1:
        wrong.append(f"max_image_pixels must be 1 or more, not {pixels}")
    if wrong:
        raise ConfigurationError("; ".join(wrong) + ".")


def _understood(splits: Splits, roles: Roles, targets: Targets) -> tuple[str, ...]:
    """Summary for the user: the columns and the task, then how each file was read."""
    what = TASKS[targets.kind].described(targets.kind, targets.labels)
    files = [
        f"{table.name}: {found}"
        for tables in splits.values()
        for table in tables
        if (found := getattr(table, "format", ""))
    ]
    more = [f"and {len(files) - SHOWN:,} more files"] if len(files) > SHOWN else []
    return f"{roles.describe()} ({what})", *files[:SHOWN], *more


def _is_one_hot(table: pa.Table) -> bool:
    """True if each row has exactly one label over several columns."""
    return all(len(json.loads(label)) == 1 for label in table.column("label").unique().to_pylist())


def _use(split: np.ndarray, usable: np.ndarray, given: set[str], splits: Splits, findings: Findings) -> None:
    """Marks rows as left out; raises `DataError` if a split becomes empty."""
    split[~usable] = -1
    for name in sorted(given, key=NAMES.index):
        if not (split == NAMES.index(name)).any():
            source = ", ".join(table.name for table in splits.get(name) or splits["train"])
            raise DataError(f"{source}: no row of the {name} split is usable. {findings.errors()}".rstrip())


def _make(
    split: np.ndarray,
    targets: Targets,
    prints: Prints,
    groups: np.ndarray | None,
    shares: dict[str, float],
    seed: int,
) -> dict[str, str]:
    """Makes the splits named in `shares` from the training rows, in place; returns their origins."""
    if not shares:
        return {}
    pool = np.flatnonzero(split == 0)
    strata = strata_of(targets.values[pool])
    if groups is not None:
        found, origin = by_group(strata, groups[pool], shares, seed), "made (by group)"
    else:
        found = by_class(strata, prints.digest[pool], shares, seed)
        origin = "made (stratified)" if targets.labels else "made (random)"
    if targets.labels:
        together = prints.digest if groups is None else groups
        found = with_every_class(found, targets.values[pool], together[pool], len(targets.labels))
    for name, rows in found.items():
        split[pool[rows]] = NAMES.index(name)
    return dict.fromkeys(found if len(found) == 1 else NAMES, origin)


def _counts(targets: Targets, rows: np.ndarray) -> dict[str, int]:
    if not targets.labels:
        return {}
    return dict(zip(targets.labels, class_counts(targets.values[rows], len(targets.labels)).tolist()))


def _weights(train: np.ndarray, targets: Targets) -> tuple[float, ...]:
    if not TASKS[targets.kind].exclusive:
        raise ConfigurationError(
            f"class weights are for single_label tasks; this one is {targets.kind}. Leave them out."
        )
    counts = class_counts(train, len(targets.labels))
    return tuple((len(train) / (len(counts) * counts)).tolist())


def _fingerprint(parts: Sequence[np.ndarray], values: np.ndarray, digest: np.ndarray) -> str:
    """Fingerprint of the data: BLAKE2b over ids, digests of inputs, and targets of the splits in order."""
    found = hashlib.blake2b(digest_size=16)
    for name, rows in zip(NAMES, parts):
        found.update(f"{name}:{len(rows)}:{values.dtype}:{values.shape[1:]}".encode())
        for array in (rows, digest[rows], values[rows]):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
