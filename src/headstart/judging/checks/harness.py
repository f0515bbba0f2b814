"""Check `lm_eval`: tasks of lm-evaluation-harness."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.networks.language import with_head
from headstart.core.errors import ConfigurationError
from headstart.engine.state.surroundings import own_generators
from headstart.judging.checks.checks import CHECKS, Check, hits
from headstart.judging.checks.material import Material, within
from headstart.judging.system import System
from headstart.stats.metrics import Metric, metric
from headstart.stats.predictions import Predictions

AT_ONCE = 16
_CODE = re.compile(r"""[^#'"]*[:\-]\s+!function\b""")


@lru_cache(maxsize=4)
def _managed(include: str | None, defaults: bool) -> Any:
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager(include_path=include, include_defaults=defaults)


@CHECKS.register("lm_eval")
@dataclass(frozen=True, kw_only=True)
class Harness(Check):
    """A task or group of lm-evaluation-harness, by the base's vocabulary head on the base's and on the tuned states.

    Source: Biderman et al. 2024, "Lessons from the Trenches on Reproducible Evaluation of Language Models".
    """

    kind: ClassVar[str] = "lm_eval"
    summary: ClassVar[str] = "a task of lm-evaluation-harness, if that package is installed"

    task: str = ""
    "name of the task there, or of your task in `include`"
    measure_by: str = "acc"
    "metric of the task that counts; it must be 0 or 1 for each question"
    filter: str = ""
    "filter of the task that counts [default: its first]"
    shots: int = 0
    "number of few-shot examples before each question"
    examples: int = 200
    "maximum number of questions, from the start of the task"
    include: str = ""
    "folder of your task files; the path is relative to the suite's file"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or f"lm_eval, {self.task}"

    def measure(self, material: Material) -> Metric:
        return metric("single_label")

    def check(self, material: Material) -> None:
        if material.data.task.input.is_image:
            raise ConfigurationError(f"{self.title()}: the model reads images, and answers no questions.")
        if not self.task:
            raise ConfigurationError("a check of kind lm_eval needs task: a name that lm-evaluation-harness knows.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: the task's own metric is named by measure_by; leave metric out.")
        self._manager(material)

    def _manager(self, material: Material) -> Any:
        """Task manager: for the user's folder only, or for all tasks, which takes seconds."""
        if importlib.util.find_spec("lm_eval") is None:
            raise ConfigurationError(
                f"{self.title()}: lm-evaluation-harness is not installed. pip install 'headstart[lm-eval]'"
            )
        if self.include:
            self._refuse_code(Path(within(material.place, self.include)))
            found = _managed(within(material.place, self.include), False)
            if self.task in found.all_tasks:
                return found
        found = _managed(within(material.place, self.include) if self.include else None, True)
        if self.task not in found.all_tasks:
            raise ConfigurationError(
                f"{self.title()}: lm-evaluation-harness has no task {self.task!r} among its {len(found.all_tasks)}. "
                "`lm-eval ls tasks` lists them; include names a folder of your tasks."
            )
        return found

    def _refuse_code(self, folder: Path) -> None:
        """Raises `ConfigurationError` if a task file names Python code, because the harness would run it."""
        for file in sorted(folder.rglob("*.yaml")):
            for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if _CODE.match(line):
                    raise ConfigurationError(
                        f"{self.title()}: {file}:{number} names Python code (!function), which is not run for a "
                        "suite. Write it as a template, such as doc_to_text: '{{question}}', or take the file out."
                    )

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        preparation = system.backbone.preparation
        assert isinstance(preparation, TextPreparation)
        network, kind = with_head(str(system.backbone.reload), system.backbone.module)
        if kind != "causal":
            raise ConfigurationError(f"{self.title()}: {system.backbone.source} is no causal language model.")
        network.to(system.compute.device)
        right = self._right(network, preparation, material)
        return {self.title(): hits(np.arange(len(right)), right)}

    @own_generators()  # restored, because the harness seeds all three
    def _right(self, network: Any, preparation: TextPreparation, material: Material) -> np.ndarray:
        """[n] True for right answers, in the task's order."""
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM

        model = HFLM(
            pretrained=network, tokenizer=preparation.tokenizer, backend="causal", batch_size=AT_ONCE,
            max_length=preparation.max_length,
        )  # fmt: skip
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # hides its progress bars
                found = simple_evaluate(
                    model, tasks=[self.task], num_fewshot=self.shots, limit=self.examples, bootstrap_iters=0,
                    task_manager=self._manager(material), log_samples=True,
                )  # fmt: skip
        except (OSError, ValueError, ConnectionError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigurationError(
                f"{self.title()}: the task can't be run ({reason}). Where its data come from the hub, they have to be "
                "in the cache of the library datasets."
            ) from error
        assert found is not None
        values = []
        for _, samples in sorted(found["samples"].items()):  # results of a group by task
            chosen = self.filter or samples[0]["filter"]
            mine = sorted((one for one in samples if one["filter"] == chosen), key=lambda one: one["doc_id"])
            if not mine:
                there = ", ".join(sorted({one["filter"] for one in samples}))
                raise ConfigurationError(f"{self.title()}: the task has no filter {self.filter!r}; it has {there}.")
            values += [self._value(sample) for sample in mine]
        return np.array(values)

    def _value(self, sample: dict[str, Any]) -> bool:
        told = sample.get(self.measure_by)
        if told not in (0, 1, 0.0, 1.0):
            numbers = [name for name in sample.get("metrics", ()) if sample.get(name) in (0, 1)]
            raise ConfigurationError(
                f"{self.title()}: measure_by is {self.measure_by!r}, which does not say right or wrong of each "
                f"question. Those of this task that do: {', '.join(numbers) or 'none'}."
            )
        return bool(told)
