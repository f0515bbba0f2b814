"""Writing answers of `predict` and `zeroshot` as they come, and counting the rows that failed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from headstart.artifacts.answer_rows import AnswerRows
    from headstart.artifacts.answers import Answer
    from headstart.data.audit.findings import Findings
    from headstart.data.tables.table_writing import Write

SOME_FAILED = 4
"exit code if some rows have no prediction"


def written(
    chunks: Iterable[list[Answer]], table: AnswerRows, out: str | None, printed: IO[str], as_json: bool, safe: bool
) -> tuple[int, int]:
    """Writes all answers; returns the numbers of rows with and without a prediction."""
    good = bad = 0
    with output(out, printed, table.columns, as_json, safe) as write:
        for chunk in chunks:
            write([table.row(answer) for answer in chunk])
            failed = sum(answer.prediction is None for answer in chunk)
            good, bad = good + len(chunk) - failed, bad + failed
    return good, bad


@contextlib.contextmanager
def output(out: str | None, printed: IO[str], columns: Sequence[str], as_json: bool, safe: bool) -> Iterator[Write]:
    """Gives a function that writes rows into the file, or prints them."""
    from headstart.data.tables.table_writing import writer, writing

    if out is not None:
        with writing(out, columns, safe=safe, lines=as_json) as write:
            yield write
        return
    if hasattr(printed, "reconfigure"):  # because two classes with letters that the terminal lacks must stay different
        printed.reconfigure(errors="backslashreplace")
    plain = "utf" not in (getattr(printed, "encoding", None) or "utf-8").lower()
    yield writer(printed, columns, "jsonl" if as_json else "csv", safe=safe, ascii_only=plain)


def ended(findings: Findings, good: int, bad: int, out: str | None) -> None:
    """Shows the findings and the number of predictions; exits with `SOME_FAILED` if a row has none."""
    for found in findings.records():
        click.echo(f"{found.severity}: {found.message} ({', '.join(found.examples)})", err=True)
    if out is not None:
        click.echo(f"{good:,} prediction{'' if good == 1 else 's'} in {out}", err=True)
    if bad:
        rows = f"{bad:,} row{'' if bad == 1 else 's'}"
        click.echo(f"{rows} could not be used; the column error says why (exit code {SOME_FAILED})", err=True)
        sys.exit(SOME_FAILED)
