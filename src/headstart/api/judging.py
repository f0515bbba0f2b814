"""`judge` compares tuned models with their base; `improve` proposes changes to a run."""

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
    """Compares tuned models with their common base, check by check: gains, losses (forgetting), cost.

    runs: run folders of `compare` or `fit`; after `keep=True` all methods and seeds are judged.
    against: `"base"`, or another run's folder, to compare two trainings on the same examples.
    test: further labelled files with the model's classes, each with an interval; without a suite, only these are used.
    suite: TOML file of checks [default: the suite of the task]. methods: judge only these.
    data, model: new places of the examples and of the base, if they were moved.
    out: file of the record, with the page beside it [default: the next number in `evaluations/` of the first run, and
        its `evaluation.json`].

    Raises a subclass of `HeadstartError` for a mistake that the user can correct.
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
    """Proposes changes to a run of `compare` or `fit`, each with its evidence, and tries them on validation.

    method: method of the run to improve [default: the recommended one].
    budget: seconds, or text such as `"10m"`, after which no further trial starts.
    seeds: trainings per trial. propose: propose without trying.
    data, model: new places of the examples and of the base, if they were moved.

    Writes `improvement.json` into the run's folder after each trial, and locks the folder meanwhile. Raises a subclass
    of `HeadstartError` for a mistake that the user can correct.
    """
    from headstart.judging.advice.run import improved

    given, folder = seconds_of(budget) if isinstance(budget, str) else budget, Path(run)
    finished(folder)  # checked first, because the lock would create a missing folder
    with Lock(folder):  # because two processes would overwrite each other's results
        return improved(
            folder, method, given, tuple(range(seeds)), propose, data, model, device, precision, trust_remote_code,
            read=read, progress=progress,
        )  # fmt: skip
