"""Label-preserving perturbations of inputs, for checks of invariance and robustness."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.core.inputs import INPUT_KINDS
from headstart.core.passage import Passage
from headstart.core.seeds import derive
from headstart.data.examples import Input

TextChange = Literal["typos", "case", "punctuation"]
ImageChange = Literal["noise", "blur", "shift", "brightness"]
Change = Literal["typos", "case", "punctuation", "noise", "blur", "shift", "brightness"]


def changed(value: Input, change: Change, number: int) -> Input:
    """The perturbed input; the same number gives the same change.

    typos: swaps two neighbouring letters for every 50, at least once. case: all lower, or all upper if it was all
    lower. punctuation: removes final punctuation, or adds a full stop. noise: Gaussian, standard deviation 8 of 255.
    blur: Gaussian, radius 1. shift: by at most a tenth of each side, edges repeated. brightness: factor between 0.8 and
    1.2.
    """
    random = np.random.default_rng(derive(0, "perturb", change, number))
    if isinstance(value, Passage):  # the passage stays, because answers are pieces of it
        return Passage(_text(value.question, change, random), value.text)
    if isinstance(value, tuple):
        return (_text(value[0], change, random), _text(value[1], change, random))
    if isinstance(value, str):
        return type(value)(_text(value, change, random))  # `Words` stay words: no blank moves
    return _image(value, change, random)


def check_change(change: Change, modality: str) -> None:
    """Raises `ConfigurationError` for a perturbation that does not apply to these inputs."""
    kind = INPUT_KINDS[modality]
    allowed = get_args(ImageChange) if kind.is_image else get_args(TextChange)
    if kind.words:  # there a sign is a word too
        allowed = tuple(one for one in allowed if one != "punctuation")
    if change not in allowed:
        raise ConfigurationError(f"the change {change!r} is not for {modality}s; choose {', '.join(allowed)}.")


def _text(text: str, change: Change, random: np.random.Generator) -> str:
    if change == "case":
        return text.lower() if text != text.lower() else text.upper()
    if change == "punctuation":
        bare = text.rstrip(" .?!")
        return bare if bare != text.rstrip() else f"{bare}."
    letters = list(text)
    places = [i for i in range(len(letters) - 1) if letters[i].isalpha() and letters[i + 1].isalpha()]
    for place in random.choice(places, min(len(places), max(1, len(text) // 50)), replace=False) if places else ():
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _image(data: bytes, change: Change, random: np.random.Generator) -> bytes:
    from PIL import Image, ImageFilter

    from headstart.data.images.image import decode

    image = decode(data)
    pixels = np.asarray(image, dtype=np.float64)  # [H, W, 3]
    makes: dict[str, Callable[[], np.ndarray]] = {
        "noise": lambda: pixels + random.normal(0, 8, pixels.shape),
        "blur": lambda: np.asarray(image.filter(ImageFilter.GaussianBlur(1)), dtype=np.float64),
        "shift": lambda: _shifted(pixels, random),
        "brightness": lambda: pixels * random.uniform(0.8, 1.2),
    }
    written = io.BytesIO()
    Image.fromarray(np.clip(makes[change](), 0, 255).round().astype(np.uint8)).save(written, "PNG")
    return written.getvalue()


def _shifted(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shifts by at most a tenth of each side, and by at least one pixel."""
    height, width = pixels.shape[:2]
    most = (max(1, height // 10), max(1, width // 10))
    down, right = (int(random.integers(-side, side + 1)) for side in most)
    if not (down or right):
        right = 1
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return pixels[rows][:, columns]
