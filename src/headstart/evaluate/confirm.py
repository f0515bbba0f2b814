"""Confirming a ranking: the first of it race on, each fine-tuned in full, on validation alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from headstart.backbones.backbone import Backbone
from headstart.core.progress import Progress, Silent
from headstart.core.ranking import Candidate
from headstart.data.examples import Data
from headstart.engine.job import Options
from headstart.engine.precision import Compute
from headstart.evaluate.intervals import interval
from headstart.evaluate.metrics import Metric
from headstart.evaluate.paired import compare
from headstart.evaluate.race import HEATS, Standing, heat
from headstart.evaluate.trainings import Trainings
from headstart.methods.full import Full


def confirm(
    data: Data, candidates: Sequence[Candidate], most: int, load: Callable[[str], Backbone], metric: Metric,
    compute: Compute, *, progress: Progress | None = None,
) -> tuple[Candidate, ...]:  # fmt: skip
    """The candidates with what fine-tuning made of the first `most` models; these in the order in which they came in.

    A model that is clearly behind after 1/9 or 1/3 of its steps stops there (`evaluate.race`), and its row says after
    which share. Default rate, one seed; the test split is not looked at.
    """
    progress = progress or Silent()
    tops = [one for one in candidates if one.status == "ok" and one.rung == "top"][:most]
    with tempfile.TemporaryDirectory() as folder:
        on = {}
        for number, one in enumerate(tops):
            place = Path(folder) / str(number)
            on[one.model] = Trainings(data, load(one.model), Options(), compute, place, metric, progress=progress)
        came, racing = dict[str, tuple[float, Standing]](), list(on)
        for share in (*HEATS, 1.0):
            standings = {}
            for model in racing:
                method = on[model].settled(Full())
                standings[model] = on[model].until(share, model.replace("/", "-"), method, 0)
            came |= {model: (share, standing) for model, standing in standings.items()}
            if share < 1:
                # models are compared as methods are at the last heat: none is another's configuration
                stops = heat(standings, metric, len(HEATS) - 1, lambda model: model)
                racing = [model for model in racing if model not in stops]
            if not racing:  # all diverged
                break
        for trainings in on.values():
            trainings.cache.close()
    order = sorted(tops, key=lambda one: (came[one.model][0], came[one.model][1].order), reverse=True)
    first = came[order[0].model]
    raced = [_with(one, *came[one.model], metric, first) for one in order]
    names = {one.model for one in tops}
    return (*raced, *(one for one in candidates if one.model not in names or one.rung != "top"))


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
