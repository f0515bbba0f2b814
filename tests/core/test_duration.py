from __future__ import annotations

import pytest

from headstart.core.duration import seconds_of, span
from headstart.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2 min", 120), ("1.5h", 5400), (45, 45), (".5m", 30)]
)
def test_a_span_of_time(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5m", "0s", "1m30s", "inf", "nan"])
def test_something_else(text):
    with pytest.raises(ConfigurationError, match="10m"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["10", " 1.5 "])
def test_a_text_without_a_unit_is_asked_back(text):
    with pytest.raises(ConfigurationError, match=r"10s, 10m or 10h\.|1.5s, 1.5m or 1.5h\."):
        seconds_of(text)


def test_spans_in_words():
    assert [span(seconds) for seconds in (4.4, 89, 90, 3000, 7200)] == ["4 s", "89 s", "2 min", "50 min", "2.0 h"]
