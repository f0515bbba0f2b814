"""`pretrain`: pretrains a backbone, from scratch or from another backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.loading import read
from headstart.core.disk.history import entry_of_pretraining, remembered
from headstart.core.errors import ConfigurationError, DataError
from headstart.core.progress import Progress, Silent

if TYPE_CHECKING:
    from headstart.data.examples import Data


@dataclass(frozen=True)
class Pretrained:
    """Result of a pretraining. folder: the backbone, for `load` and `--model`. record: its `pretrained.json`."""

    folder: Path
    record: Mapping[str, Any]
    lines: tuple[str, ...]
    "summary, in sentences"

    @property
    def diverged(self) -> bool:
        """True if the training diverged; the folder then holds the last good weights."""
        return bool(self.record.get("status", "ok") != "ok")

    def __str__(self) -> str:
        return "\n".join(self.lines)


def pretrain(
    objective: str, sources: str | Path | Sequence[str | Path], *, out: str | Path, base: str | Path | None = None,
    settings: Mapping[str, Any] | None = None, label: str | None = None, text: str | None = None,
    worth: Any = None, seed: int = 0, half: bool = False, workers: int = 0, device: str | None = None,
    precision: str | None = None, progress: Progress | None = None,
) -> Pretrained:  # fmt: skip
    """Pretrains a backbone on the sources and writes the folder `out`; the same call resumes it.

    objective: `mlm`, `clm`, `clip`, …, with its `settings`.
    base: folder or hub name of a backbone to continue from [default: random weights].
    label, text: columns of tables.
    worth: labelled examples, as `read` takes or returns them; a probe on them measures the gain over the start.
    half: store the weights in bf16.

    A training that diverges writes the last good weights and sets `diverged`. Raises a subclass of `HeadstartError` for
    a mistake that the user can correct.
    """
    from headstart.core.disk.files import write_json
    from headstart.core.fields import configured
    from headstart.engine.machine.precision import compute
    from headstart.judging.worth import worth as measured
    from headstart.pretraining.objectives.objective import OBJECTIVES
    from headstart.pretraining.pretraining import REPORT, Request
    from headstart.pretraining.pretraining import pretrain as run

    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    named, folder, watched = tuple(map(str, given)), Path(out), progress or Silent()
    if not named:
        raise ConfigurationError("there are no sources to learn from; give one at least.")
    if base is not None and not isinstance(base, (str, Path)):
        raise ConfigurationError(f"base is a {type(base).__name__}, but has to be the folder or hub name of a model.")
    start = None if base is None else str(base)
    chosen = configured(OBJECTIVES[objective], settings or {}, objective)
    judged_by = None if worth is None else _labelled(worth, chosen.modality)
    request = Request(
        sources=named, out=folder, compute=compute(device, precision), progress=watched, base=start, label=label,
        text=text, seed=seed, half=half, workers=workers, given=tuple(settings or ()),
    )  # fmt: skip
    lines = run(chosen, request)
    record = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    remembered(entry_of_pretraining(folder, named, record), watched)
    if judged_by is not None:
        watched.say(f"{folder} is written; now a probe on {judged_by.record.source} measures its worth")
        watched.stage("probe")
        found = measured(str(folder), judged_by, request.compute, start)
        record["worth"] = found.to_json()
        write_json(folder / REPORT, record)
        lines += found.lines()
    return Pretrained(folder, record, tuple(lines))


def _labelled(given: Any, modality: str) -> Data:
    """Reads the examples before the training, because else a mistake in them would appear hours later."""
    from headstart.data.examples import Data

    data = given if isinstance(given, Data) else read(given)
    source = data.record.source
    if data.task.modality.partition("_")[0] != modality:
        raise DataError(f"{source} holds {data.task.modality}s, but the pretrained model reads {modality}s.")
    if not len(data.validation):
        raise DataError(f"{source} has no validation examples to judge a pretraining by.")
    return data
