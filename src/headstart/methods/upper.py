"""Upper rungs drawn anew or left out: the top of a pretrained model is the most tied to its old task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.upper import droppable, lowest_of
from headstart.core.errors import MethodError, ModelError
from headstart.methods.plan import Group, Plan


@dataclass(frozen=True)
class UpperRungs:
    """Base class of methods whose highest blocks can start at random, or be left out.

    Source: Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning", section 5 (fresh).
    """

    fresh: int = 0
    "number of the highest blocks that start with random weights, along with what follows them; counted below `drop`"
    drop: int = 0
    "number of the highest blocks that are left out, so that training and use are cheaper"

    def changed(self, backbone: Backbone, plan: Plan) -> Plan:
        """The plan with its upper rungs changed. Raises `MethodError` where they can't be, or would stay frozen."""
        if not (self.fresh or self.drop):
            return plan
        name, ladder = type(self).__name__.lower(), backbone.ladder
        try:
            dropped = droppable(backbone, self.drop) if self.drop else ()
            gone = lowest_of(ladder, self.drop)
            lowest = lowest_of(ladder, self.fresh, below=self.drop)
        except ModelError as error:
            raise MethodError(f"{name}: drop={self.drop}, fresh={self.fresh}: {error}") from error
        trains = min(group.rung for group in plan.groups)
        most = min(lowest, gone - 1)
        if trains > most:
            raise MethodError(
                f"{name}: the {trains} lowest rungs are frozen, but with drop={self.drop} and fresh={self.fresh} all "
                f"from rung {most} on have to train; freeze at most {most}."
            )
        upper = range(lowest, len(ladder)) if self.fresh else ()
        fresh = tuple(index for index in upper if not _inside(ladder.rungs[index].modules, dropped))
        groups = tuple(group for group in (without(g, dropped) for g in plan.groups) if group.parameters)
        return replace(plan, groups=groups, fresh=fresh, dropped=tuple(f"backbone.{path}" for path in dropped))


def without(group: Group, dropped: Sequence[str]) -> Group:
    """The group without the parameters of modules that are left out."""
    gone = tuple(f"backbone.{path}." for path in dropped)
    return replace(group, parameters=tuple(name for name in group.parameters if not name.startswith(gone)))


def _inside(paths: Sequence[str], dropped: Sequence[str]) -> bool:
    return bool(paths) and set(paths) <= set(dropped)
