"""Check that a method's additions take part in the loss."""

from __future__ import annotations

from headstart.core.errors import MethodError
from headstart.engine.job import Job
from headstart.methods.plan import Group


def check_applied(job: Job, active: tuple[Group, ...]) -> None:
    """Raises `MethodError` if an edit's trained parameters got no gradient: the model reads the layer's weight without
    calling the layer, so the addition would be ignored silently."""
    parameters = dict(job.module.named_parameters())
    trained = [name for group in active for name in group.parameters]
    idle = [
        edit.path
        for edit in job.plan.edits
        if any(n.startswith(f"{edit.place}.") and parameters[n].grad is None for n in trained)
    ]
    if idle:
        raise MethodError(
            f"what the method put at {', '.join(idle[:5])}{', …' if len(idle) > 5 else ''} is not applied: it took no "
            "part in the loss. The model reads that layer's weight without calling the layer, or never runs it; "
            "choose targets without it."
        )
