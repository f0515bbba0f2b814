"""Judging runs against their base, and improving them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.comparing import write_cards
from headstart.api.loading import read
from headstart.core.disk.files import write_text
from headstart.core.disk.locks import Lock
from headstart.core.disk.runs import finished
from headstart.core.duration import seconds_of
from headstart.core.errors import ConfigurationError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison

if TYPE_CHECKING:
    from headstart.core.records.evaluation import Evaluation
    from headstart.core.records.improvement import Improvement


def judge(
    runs: str | Path | Sequence[str | Path], *, against: str | Path = "base",
    test: str | Path | Sequence[str | Path] = (), suite: str | Path | None = None,
    methods: Sequence[str] | None = None, data: Any = None, model: Any = None, device: str | None = None,
    precision: str | None = None, out: str | Path | None = None, trust_remote_code: bool = False,
    progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """The models of runs against the base that they share: what is better, what was lost, what it costs.

    runs: folders that `compare` or `fit` left; of a run with `keep=True` all methods and seeds. against: another run's
    folder, to compare two trainings on the same examples, or `"base"`. test: further labelled files with the model's
    classes, each with an interval; without a suite, only these are asked for. suite: a TOML file of checks, or None for
    the task's default. methods: only these. data: where the runs' examples lie now; model: where their base lies now.
    out: the record's file, beside which the page stands; None to keep it in the first run's folder, under the next
    number in `evaluations/` and as `evaluation.json`.
    Raises subclasses of `HeadstartError` for what the user can mend.
    """
    from headstart.core.disk.evaluations import history, keep
    from headstart.judging.runs import evaluate as run
    from headstart.report.pages.evaluation import page

    given = [Path(one) for one in ([runs] if isinstance(runs, (str, Path)) else runs)]
    tests = [str(one) for one in ([test] if isinstance(test, (str, Path)) else test)]
    file = None if out is None else Path(out)
    if file is not None and file.suffix.lower() in (".html", ".htm"):
        raise ConfigurationError(
            f"{file} is the record, in JSON; the page beside it gets .html. Name it {file.stem}.json."
        )
    named = [methods] if isinstance(methods, str) else methods
    found = run(
        given, suite, named, data, model, device, precision, trust_remote_code, read=read,
        against=None if str(against) == "base" else Path(against), tests=tests, progress=progress,
    )  # fmt: skip
    if file is not None:
        found.write(file)
        write_text(file.with_suffix(".html"), page(found))
        return found
    place = keep(given[0], found)
    shown = page(found, history(given[0]))
    write_text(place.with_suffix(".html"), shown)
    write_text(given[0] / "evaluation.html", shown)
    for folder in given if found.against == "base" and not tests else ():
        if (folder / "comparison.json").is_file():
            mine = [one for one in found.models if Path(one.models[0]).is_relative_to(folder)]
            if mine:
                write_cards(folder, Comparison.read(folder / "comparison.json"), mine)
    return found


def improve(
    run: str | Path, *, method: str | None = None, budget: str | float | None = None, seeds: int = 3,
    propose: bool = False, data: Any = None, model: Any = None, device: str | None = None,
    precision: str | None = None, trust_remote_code: bool = False, progress: Progress | None = None,
) -> Improvement:  # fmt: skip
    """What to change in a run that `compare` or `fit` left, each with its evidence, and what it did on validation.

    method: of the run, or the one that it recommends. budget: seconds, or text such as `"10m"`, after which no further
    trial is begun. propose: only propose. data, model: where the run's examples and base lie now. `improvement.json` in
    the run's folder is written after each trial; no other process may write the run meanwhile. Raises subclasses of
    `HeadstartError` for what the user can mend.
    """
    from headstart.judging.runs import improved

    given, folder = seconds_of(budget) if isinstance(budget, str) else budget, Path(run)
    finished(folder)  # else the lock would make a folder that is not there
    with Lock(folder):  # two at once would each write over what the other has found
        return improved(
            folder, method, given, tuple(range(seeds)), propose, data, model, device, precision, trust_remote_code,
            read=read, progress=progress,
        )  # fmt: skip
