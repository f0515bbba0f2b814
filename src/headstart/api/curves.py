"""`curve`: learning curves, quality against the number of labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.comparing import compare
from headstart.api.loading import backbone_for, read
from headstart.api.options import LOAD, READ, configuration_of, only, title_of
from headstart.core.disk.files import write_text
from headstart.core.disk.history import entry_of_curve, remembered
from headstart.core.disk.runs import PROGRESS, close_run, open_run, run_folder, same_as_before
from headstart.core.errors import ConfigurationError, HeadstartError
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Comparison

if TYPE_CHECKING:
    from headstart.core.records.curve import LearningCurve
    from headstart.data.examples import Data


def curve(
    data: Any = None, model: Any = None, *, sizes: Sequence[int] | None = None, draws: int = 3,
    targets: Sequence[float] = (), out: str | Path | None = None, resume: bool = False,
    progress: Progress | None = None, opened: Callable[[str], object] | None = None, **options: Any,
) -> LearningCurve:  # fmt: skip
    """Learning curve: trains each method on nested subsets, and forecasts the examples needed for a target (power law).

    sizes: labels per class, or examples if the task has no classes [default: 10, 30, 100, … and all].
    draws: random subsets per size; those of one draw are nested.
    targets: values of the metric for which the number of examples is forecast.
    options: those of `compare`; trials is 1 by default.

    Writes `curve.json` and `curve.svg` into the run folder.
    """
    import time

    from headstart.comparison.curve import METHODS, laws, readings, sizes_for
    from headstart.core.records.curve import LearningCurve
    from headstart.data.examples import Data as Read
    from headstart.engine.machine.precision import compute, surroundings
    from headstart.report.charts.plots import learning_curve
    from headstart.stats.metric_choice import chosen_metric

    begun = time.perf_counter()
    options = {"methods": METHODS, "trials": 1, **{k: v for k, v in options.items() if v is not None}}
    for name in ("seeds", "budget", "keep", "folds"):
        if name in options:
            raise ConfigurationError(f"a learning curve takes no {name}: its draws are {draws} trainings of each size.")
    if draws < 1:
        raise ConfigurationError(f"draws is {draws}, but has to be at least 1.")
    asked = {"sizes": sizes, "draws": draws, "targets": list(targets)}
    configuration = configuration_of(data, model, {**asked, **options})
    folder = run_folder(out, f"{title_of(data)}-curve", configuration, resume)
    examples = data if isinstance(data, Read) else read(data, **only(options, READ))
    measure, _ = chosen_metric(examples, options.get("metric"))
    for target in targets:
        measure.check(target, "a target")
    chosen = sizes_for(examples, sizes)
    backbone = backbone_for(model, examples, only(options, LOAD))
    computing = compute(options.get("device"), options.get("precision"))
    inputs = {"data": examples.record.fingerprint, "model": backbone.fingerprint}
    lock = open_run(folder, configuration, inputs, resume)
    if opened:
        opened(str(folder))
    rest = {k: v for k, v in options.items() if k not in (*READ, *LOAD)}

    watched = progress or Silent()

    def one(part: Data, place: Path, draw: int) -> Comparison:
        return compare(
            part, backbone, out=place, resume=True, seeds=1, first_seed=draw, progress=progress, remember=False, **rest
        )

    try:
        if resume and (folder / "curve.json").is_file():
            return _finished(folder, inputs)
        if not isinstance(data, Read):
            watched.say(str(examples))
        found = readings(examples, chosen, draws, folder, measure, one, watched)
        result = LearningCurve(
            examples.record.source, examples.record.fingerprint, backbone.source, measure.name,
            measure.higher_is_better, chosen, tuple(found), tuple(laws(found, measure, targets)),
            surroundings(computing), time.perf_counter() - begun, configuration,
            inputs["model"],
        )  # fmt: skip
        write_text(folder / "curve.svg", learning_curve(result))
        result.write(folder / "curve.json")
        shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    except (HeadstartError, OSError, MemoryError):
        close_run(folder)
        raise
    finally:
        lock.release()
    remembered(entry_of_curve(folder, result), progress)
    return result


def _finished(folder: Path, inputs: Mapping[str, str]) -> LearningCurve:
    """The finished curve in this folder. Raises `ConfigurationError` if it is of other data or another model."""
    from headstart.core.records.curve import LearningCurve

    found = LearningCurve.read(folder / "curve.json")
    made_of = {"data": found.fingerprint, "model": found.model_fingerprint or inputs["model"]}  # missing in old records
    same_as_before(folder, made_of, inputs)
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return found
