from __future__ import annotations

import pytest

from headstart.core.duration import seconds_of
from headstart.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2 min", 120), ("1.5h", 5400), (45, 45), (".5m", 30)]
)
def test_a_span_of_time(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5m", "0", "1m30s", "inf", "nan"])
def test_something_else(text):
    with pytest.raises(ConfigurationError, match="10m"):
        seconds_of(text)
