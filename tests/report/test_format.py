from __future__ import annotations

import math

import pytest

from headstart.report import format as fmt


@pytest.mark.parametrize(
    ("function", "number", "text"),
    [
        (fmt.count, 0, "0"), (fmt.count, 999, "999"), (fmt.count, 1000, "1.0k"), (fmt.count, 1_234_567, "1.2M"),
        (fmt.count, 999_999, "1.0M"), (fmt.count, 7.1e9, "7.1B"),
        (fmt.size, 820, "820 B"), (fmt.size, 1_400_000, "1.4 MB"), (fmt.size, 999_990, "1.0 MB"),
        (fmt.size, 265.5e6, "266 MB"), (fmt.size, 4.92e9, "4.9 GB"),
        (fmt.seconds, 0, "0 s"), (fmt.seconds, 85e-5, "850 µs"), (fmt.seconds, 0.0117, "12 ms"),
        (fmt.seconds, 0.0042, "4.2 ms"), (fmt.seconds, 4.2, "4.2 s"), (fmt.seconds, 59.97, "1m 00s"),
        (fmt.seconds, 185, "3m 05s"), (fmt.seconds, 3599.7, "1h 00m"), (fmt.seconds, 4320, "1h 12m"),
        (fmt.share, 0.0053, "0.5%"), (fmt.share, 1.0, "100%"), (fmt.share, 0.0, "0%"), (fmt.share, 4e-6, "<0.01%"),
        (fmt.share, 0.0008, "0.08%"), (fmt.learning_rate, 2e-4, "2e-4"), (fmt.learning_rate, 1.5e-3, "1.5e-3"),
        (fmt.p_equals, 0.0, "p < 0.001"), (fmt.p_equals, 0.0123, "p = 0.012"), (fmt.p_equals, None, "p = –"),
        (fmt.p_value, 0.0004, "<0.001"), (fmt.p_value, 0.034, "0.034"), (fmt.p_value, 1.0, "1.00"),
    ],
)  # fmt: skip
def test_numbers(function, number, text):
    assert function(number) == text


@pytest.mark.parametrize("number", [None, math.nan, math.inf])
@pytest.mark.parametrize("name", ["count", "whole", "share", "size", "seconds", "learning_rate", "p_value"])
def test_missing(name, number):
    assert getattr(fmt, name)(number) == "–"


def test_metric_values():
    assert fmt.value("accuracy", 0.9612) == "96.1"
    assert fmt.value("accuracy", -0.0002, signed=True) == "0.0"
    assert fmt.value("accuracy", 0.002, signed=True) == "+0.2"
    assert fmt.value("mae", 0.0391) == "0.039"
    assert fmt.value("mse", 1234.56) == "1235"
    assert fmt.value("accuracy", None) == "–"
    assert fmt.interval("macro_f1", 0.95, 0.9721) == "[95.0, 97.2]"
    assert fmt.interval("macro_f1", None, 0.9721) == ""
