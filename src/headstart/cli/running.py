"""Running `compare` and `fit`: options in, a run folder and a table out."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.cli.options import pairs
from headstart.cli.progress import watching
from headstart.core.disk.runs import read_configuration
from headstart.core.errors import ConfigurationError, HeadstartError, ResourceError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison


@dataclass
class Call:
    """The arguments of a call of `api.compare`, and its result, which the caller sets."""

    data: str | None
    model: str | None
    options: dict[str, Any]
    result: Comparison | None = None
    where: list[str] = field(default_factory=list)
    "the run folder, once it exists"


@contextlib.contextmanager
def running(data: str | None, options: dict[str, Any]) -> Iterator[Call]:
    """Around the call: shows its progress, then prints its table and the paths of its files, or `--json` the record."""
    from headstart.artifacts.exchange import tracking

    log_to = options.pop("log_to")
    if log_to:
        tracking.check_target(log_to)
    quiet, as_json = options.pop("quiet"), options.pop("as_json")
    call = _call(data, options)
    out, resume = options["out"], options["resume"]
    # because libraries print too, and standard output is for the result
    with watching(quiet or as_json) as progress, contextlib.redirect_stdout(sys.stderr):
        tell_begun(progress, out, resume)

        def opened(folder: str) -> None:
            call.where.append(folder)
            if resume and out is None:
                progress.say(f"continues in {folder}")

        call.options |= {"out": out, "resume": resume, "progress": progress, "opened": opened}
        try:
            yield call
        except ResourceError as error:
            if call.where and Path(call.where[0]).is_dir():
                raise ResourceError(f"{error} All finished work is kept; --resume continues from there.") from error
            raise
    assert call.result is not None, "the verb sets the result"
    if log_to:
        _logged(call.where[0], log_to)
    if as_json:
        sys.stdout.write(json.dumps(call.result.to_json(), ensure_ascii=False, indent=2) + "\n")
    else:
        _show(call.result, call.where[0])


def _call(data: str | None, options: dict[str, Any]) -> Call:
    """The arguments that were given, over those of an earlier run with `--config`."""
    given = {name: value for name, value in options.items() if name not in ("out", "resume")}
    given["settings"] = pairs(given.pop("settings")) or None
    if config := given.pop("config", None):
        before = read_configuration(config)
        if before.pop("trust_remote_code", False) and not given.get("trust_remote_code"):
            raise ConfigurationError(
                f"{config} asks to run code that comes with the model. If you trust it, give --trust-remote-code again."
            )
        data = data or before.pop("data", None)
        given = {**before, **{k: v for k, v in given.items() if v is not None}}
        # settings that are not given again are kept
        if before.get("settings") and given["settings"] != before["settings"]:
            given["settings"] = {**before["settings"], **given["settings"]}
    model = given.pop("model", None)
    return Call(data, model, {name: value for name, value in given.items() if value is not None})


def _show(result: Comparison, folder: str) -> None:
    from headstart.artifacts.artifact import Artifact
    from headstart.artifacts.exchange.exporting import not_exportable

    sys.stdout.write(f"{result}\n\nReport   {folder}/report.html\nRecord   {folder}/comparison.json\n")
    predicting = shlex.join(["headstart", "predict", folder])
    sys.stdout.write(f"Predict  {predicting} INPUT …\n")
    for name in result.verdict.named[1:]:
        sys.stdout.write(f"         {predicting} --method {shlex.quote(name)} INPUT …\n")
    if reason := not_exportable(Artifact.open(folder)):
        sys.stdout.write(f"Export   not possible: {reason}\n")


def tell_begun(progress: Progress, out: str | None, resume: bool) -> None:
    """Says that there is nothing to resume, so that a mistyped folder is noticed."""
    if resume and out is not None and not Path(out).exists():
        progress.say(f"{out} does not exist: nothing is resumed, a new run begins")


def _logged(folder: str, target: str) -> None:
    """Logs a finished run; a tracker that can't be reached gives a message and leaves the run as it is."""
    from headstart.artifacts.exchange import tracking

    try:
        message = tracking.log(folder, target)
    except HeadstartError as error:
        message = f"{error} headstart runs log {folder} --to {target} tries again"
    sys.stderr.write(message + "\n")
