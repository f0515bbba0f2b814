"""Model soup: the average weights of the comparison's other models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Method, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.solver import Given, Ingredient, Judged, Solver


@METHODS.register("soup")
@dataclass(frozen=True)
class Soup(Method):
    """Averages the best model on validation with each other model that does not lower the validation score.

    Ingredients are all trainings of the comparison, trials included, that only change weights and read the top. Its
    training cost is the sum of theirs; its latency is that of one model. Source: Wortsman et al. 2022, "Model
    soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference time",
    algorithm 1 (greedy).
    """

    combines: ClassVar[bool] = True
    summary: ClassVar[str] = "the greedy average of the comparison's fine-tuned models"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(*rung_groups(backbone), head_group(backbone, head)), solver=GreedySoup())


@dataclass(frozen=True)
class GreedySoup(Solver):
    """The average that validation chooses among the ingredients; what a training did not change is the base's."""

    reads_features: ClassVar[bool] = False
    of_head: ClassVar[bool] = False
    combines: ClassVar[bool] = True

    def solve(self, given: Given) -> tuple[str, ...]:
        if not given.ingredients:
            raise MethodError(
                "soup: there are no ingredients, which are the trainings of the comparison's other methods that change "
                "weights alone; compare it along with full, lpft or freeze."
            )
        base = {name: value.cpu() for name, value in given.weights().items()}

        def whole(one: Ingredient) -> dict[str, Tensor]:
            return {**base, **{n if n in base else f"buffer:{n}": v for n, v in one.load().items()}}

        full = [replace(one, load=partial(whole, one)) for one in given.ingredients]
        names = greedy_soup(full, given.put, given.judge)
        return (f"a soup of {len(names)} of {len(full)}: {', '.join(names)}",)


def greedy_soup(
    ingredients: Sequence[Ingredient], put: Callable[[Mapping[str, Tensor]], None], judge: Callable[[], Judged | None]
) -> list[str]:
    """Puts the greedy average into the model; gives the names that went in.

    From the best on, each ingredient joins where the average with it does not score lower on validation. Sums are in
    float64, so that the order of equals changes no result that is seen.
    """
    ranked = sorted(ingredients, key=lambda one: (-one.score, one.loss, one.name))
    total: dict[str, Tensor] = {}
    names: list[str] = []
    best: Judged | None = None
    kept: dict[str, Tensor] = {}
    for one in ranked:
        weights = one.load()
        tried = {n: v.double() + total[n] if total else v.double() for n, v in weights.items()}
        average = {n: (v / (len(names) + 1)).to(weights[n].dtype) for n, v in tried.items()}
        put(average)
        found = judge()
        if found is None:
            raise MethodError("soup: what joins is chosen on validation examples, and there are none.")
        if best is None or found.score >= best.score:
            total, best, kept = tried, found, average
            names.append(one.name)
    put(kept)
    return names
