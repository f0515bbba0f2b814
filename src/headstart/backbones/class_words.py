"""ClassWords: a zero-shot classifier from class names, as a linear head on image features (CLIP)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from headstart.core.errors import ConfigurationError

TEMPLATE = "{}"


@dataclass(frozen=True)
class ClassWords:
    """classes: [C, W] of length one, in the space of both towers. projection: [W, D] from the features into that space,
    or None if they lie in it. scale: factor of the cosines in the softmax.
    """

    classes: Tensor
    projection: Tensor | None
    scale: float

    def weight(self, features: Tensor) -> Tensor:
        """[C, D] rows w of a linear head whose scores `w z` rank the classes like the cosines.

        The length of an image's features is the same for all classes; the scores are divided by the mean length over
        `features` [n, D].
        """
        projection = None if self.projection is None else self.projection.to(features)
        lengths = (features if projection is None else features @ projection.T).norm(dim=1)
        rows = self.scale / lengths.mean() * self.classes.to(features)
        return rows if projection is None else rows @ projection


def said(labels: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Prompts: each label in each template, label by label; `_` becomes a space.

    Raises `ConfigurationError` for fewer than two labels, and for a template without a place for the label.
    """
    if len(set(labels)) < 2:
        given = f"only {labels[0]!r}" if labels else "none"
        raise ConfigurationError(f"zero-shot takes two labels or more; there is {given}: --labels 'a,b,c'.")
    if not templates:
        raise ConfigurationError("zero-shot takes a template, such as 'a photo of a {}'; there is none.")
    if problem := next(filter(None, map(template_problem, templates)), None):
        raise ConfigurationError(problem)
    return [template.replace("{}", label.replace("_", " ")) for label in labels for template in templates]


def template_problem(template: str) -> str | None:
    """The problem of an invalid template, as a sentence; None if it is valid."""
    if "{}" not in template:
        return f"the template {template!r} has no place for the label; put {{}} where it goes."
    if rest := re.search(r"\{\w+\}", template):
        return f"the template {template!r} holds {rest[0]}, but only {{}} has a meaning."
    return None
