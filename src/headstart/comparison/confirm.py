"""Confirming a ranking: full fine-tuning of the best models in a race, on validation."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from headstart.backbones.backbone import Backbone
from headstart.comparison.race.race import TELLING, Standing, behind
from headstart.comparison.trials.answers import standing
from headstart.comparison.trials.containment import Failed, contained
from headstart.comparison.trials.trial import run_trial
from headstart.comparison.trials.workshop import Workshop
from headstart.core.errors import HeadstartError
from headstart.core.progress import Progress, Silent
from headstart.core.records.ranking import Candidate
from headstart.data.examples import Data
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute
from headstart.methods.layers.full import Full
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.paired import compare


def confirm(
    data: Data, candidates: Sequence[Candidate], most: int, load: Callable[[str], Backbone], metric: Metric,
    compute: Compute, *, progress: Progress | None = None,
) -> tuple[Candidate, ...]:  # fmt: skip
    """The candidates with results of fine-tuning for the first `most` models, in the order of the race.

    A model that is clearly behind after a third of the usual steps is stopped (`race/race.py`), and its row says so. A
    failed one has the reason as status. Only one model is in memory at a time. Default learning rate, one seed; the
    test split is never used.
    """
    progress = progress or Silent()
    tops = [one for one in candidates if one.status == "ok" and one.rung == "top"][:most]
    names = [one.model for one in tops]
    with tempfile.TemporaryDirectory() as folder:
        came, failed = dict[str, tuple[float, Standing]](), dict[str, str]()
        racing = names
        for share in (TELLING, 1.0):
            standings = {}
            for model in racing:
                name = re.sub(r"\W", "-", model)
                try:
                    with contained(Path(folder), name):
                        place = Path(folder) / str(names.index(model))
                        standings[model] = _trained(share, data, load(model), place, metric, compute, progress, name)
                except (HeadstartError, Failed) as error:
                    failed[model] = f"failed: {error}"
                    came.pop(model, None)
            came |= {model: (share, standing) for model, standing in standings.items()}
            racing = list(standings)
            if share < 1 and standings:
                stops = behind(standings, metric, share)
                racing = [model for model in racing if model not in stops]
            if not racing:  # all diverged or failed
                break
    done = [one for one in tops if one.model in came]
    order = sorted(done, key=lambda one: (came[one.model][0], came[one.model][1].order), reverse=True)
    raced = [_with(one, *came[one.model], metric, came[order[0].model]) for one in order]
    raced += [replace(one, status=failed[one.model]) for one in tops if one.model in failed]
    return (*raced, *(one for one in candidates if one.model not in names or one.rung != "top"))


def _trained(
    share: float, data: Data, backbone: Backbone, place: Path, metric: Metric, compute: Compute, progress: Progress,
    name: str,
) -> Standing:  # fmt: skip
    """One training with this share of the usual steps; restores the backbone, which may then be freed."""
    with Workshop(data, backbone, Options(), compute, metric) as workshop:
        spec = workshop.spec(name, workshop.settled(Full()), seed=0, share=share, keeps=False)
        folder = place / spec.key
        return standing(folder, run_trial(spec, folder, workshop, progress), Full.control)


def _with(one: Candidate, share: float, standing: Standing, metric: Metric, first: tuple[float, Standing]) -> Candidate:
    raced = replace(one, tuned_share=share, tuned_seconds=standing.seconds)
    if not standing.predictions.finite:
        return raced
    value, low, high = interval([standing.predictions], metric)
    raced = replace(raced, tuned=value, tuned_low=low, tuned_high=high)
    if standing is first[1] or share < 1:
        return raced
    paired = compare([first[1].predictions], [standing.predictions], metric)
    return replace(raced, behind=paired.difference, behind_low=paired.low, behind_high=paired.high)
