"""Changes that should not matter: small, repeatable, and never none at all."""

from __future__ import annotations

import io
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import ConfigurationError
from headstart.judging.checks.perturb import ImageChange, TextChange, changed, check_change

TEXT = "What is the capital of Burkina Faso, and how many people live there today?"


def picture() -> bytes:
    pixels = np.random.default_rng(0).integers(40, 200, (40, 30, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64)


@pytest.mark.parametrize("change", get_args(TextChange))
def test_texts_change_and_keep_their_letters(change: str) -> None:
    found = changed(TEXT, change, 3)  # type: ignore[arg-type]
    assert isinstance(found, str)
    assert found != TEXT
    assert sorted(found.lower().strip(" .?")) == sorted(TEXT.lower().strip(" .?"))
    assert found == changed(TEXT, change, 3)  # type: ignore[arg-type]
    pair = changed((TEXT, "Ouagadougou."), change, 3)  # type: ignore[arg-type]
    assert isinstance(pair, tuple)
    assert pair[0] != TEXT
    assert pair[1] != "Ouagadougou."


def test_typos_swap_neighbours_and_differ_by_example() -> None:
    found = changed(TEXT, "typos", 1)
    assert isinstance(found, str)
    away = [i for i in range(len(TEXT)) if found[i] != TEXT[i]]
    assert 1 <= len(away) <= 4
    assert len({changed(TEXT, "typos", number) for number in range(8)}) > 4
    assert changed("a", "typos", 1) == "a", "a text without two letters side by side stays"


@pytest.mark.parametrize("change", get_args(ImageChange))
def test_images_change_a_little(change: str) -> None:
    before, after = picture(), changed(picture(), change, 3)  # type: ignore[arg-type]
    assert isinstance(after, bytes)
    assert pixels(after).shape == pixels(before).shape
    assert not np.array_equal(pixels(after), pixels(before))
    assert after == changed(before, change, 3)  # type: ignore[arg-type]


def test_noise_has_the_deviation_it_says_and_a_shift_moves_whole_pixels() -> None:
    before = pixels(picture())
    noise = pixels(changed(picture(), "noise", 3)) - before  # type: ignore[arg-type]
    assert noise.std() == pytest.approx(8, rel=0.05)
    after = pixels(changed(picture(), "shift", 3))  # type: ignore[arg-type]
    moves = [
        (down, right)
        for down in range(-4, 5)
        for right in range(-3, 4)
        if np.array_equal(np.roll(before, (down, right), (0, 1))[5:-5, 5:-5], after[5:-5, 5:-5])
    ]
    assert len(moves) == 1
    assert moves[0] != (0, 0)


def test_a_change_for_other_inputs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="noise.*choose typos, case, punctuation"):
        check_change("noise", "text")
    with pytest.raises(ConfigurationError, match="typos.*choose noise"):
        check_change("typos", "image")
