"""Image augmentation by name: the parts of `light`, `strong,no-flip` or `crop,colour`."""

from __future__ import annotations

from headstart.core.errors import ConfigurationError, unknown

PARTS = {
    "crop": "a random part of 60 to 100 % of the area, resized",
    "shift": "moved by up to 8 %, scaled by up to 10 %, turned by up to 8 degrees",
    "flip": "mirrored left to right, half of the time",
    "randaugment": "two random changes of geometry or colour (Cubuk et al. 2020)",
    "colour": "other brightness, contrast, saturation and hue",
    "erase": "a random rectangle left out, one time in four",
    "mixup": "two images and their labels blended (Zhang et al. 2018)",
    "cutmix": "a rectangle of another image put in, labels blended (Yun et al. 2019)",
}
"parts of an augmentation, in the order of their application"
PRESETS = {
    "none": (), "light": ("shift",), "strong": ("flip", "randaugment", "erase"), "mixup": ("shift", "mixup"),
    "cutmix": ("shift", "cutmix"),
}  # fmt: skip


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of an augmentation such as `light`, `crop,colour` or `strong,no-flip`, in the order of `PARTS`.

    Raises `ConfigurationError` for an unknown word, or for `no-…` of a part that is not included.
    """
    found: set[str] = set()
    words = [word.strip() for word in name.split(",")]
    for word in sorted(words, key=lambda word: word.startswith("no-")):
        taken = word.removeprefix("no-")
        if word != taken and taken in PARTS:
            if taken not in found:
                raise ConfigurationError(f"augment={name} leaves out {taken}, which it does not hold.")
            found.discard(taken)
        elif word in PRESETS or word in PARTS:
            found.update(PRESETS.get(word, (word,)))
        else:
            raise unknown("augmentation", word, [*PRESETS, *(part for part in PARTS if part not in PRESETS)])
    if {"mixup", "cutmix"} <= found:
        raise ConfigurationError(f"augment={name}: choose one of mixup and cutmix.")
    return tuple(part for part in PARTS if part in found)
