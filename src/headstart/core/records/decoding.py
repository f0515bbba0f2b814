"""Decoding: how the pictures of a data set become 8-bit RGB, as its task and its models keep it."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.record import Record


@dataclass(frozen=True)
class Decoding(Record):
    """How pictures of a data set become 8-bit RGB. An empty field is settled for each picture by itself.

    Grey levels v of more than 8 bits become 255 (v - low) / (high - low), clipped to 0 … 255; `data/images/decoding.py`
    does it.
    """

    integers: tuple[float, ...] = ()
    "(low, high) of the grey levels in 16- and 32-bit integer images"
    floats: tuple[float, ...] = ()
    "(low, high) of the grey levels in floating-point images"
    background: int | None = None
    "grey level under transparent pixels, 0 to 255"

    @property
    def notes(self) -> list[str]:
        """What a user of the bare model must do to pictures, in sentences."""
        found = [
            f"scale {kind} grey levels v of more than 8 bits to 255 (v - {low:g}) / ({high - low:g})"
            for kind, given in (("integer", self.integers), ("floating-point", self.floats))
            if given
            for low, high in [given]
        ]
        if self.background is not None:
            found.append(f"put transparent pixels over the grey level {self.background}")
        return found


ALONE = Decoding()
"each picture is settled by itself"
