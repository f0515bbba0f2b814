"""What a pipe is told of work that takes long."""

from __future__ import annotations

import pytest

from headstart.cli import progress


def test_a_line_a_minute_and_none_of_what_is_quick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.Lines()
    lines.stage("pretrain mlm", 2_000)
    for _ in range(1_500):
        now += 0.1
        lines.advance(1, "loss 2.500")
    lines.stage("tokenize the corpus")
    now += 59
    lines.advance(4_096)
    now += 2
    lines.advance(4_096)
    told = capsys.readouterr()
    assert told.out == ""
    first, second, third = told.err.splitlines()
    assert first.startswith("pretrain mlm: 60")
    assert first.endswith(" of 2,000, loss 2.500")
    assert second.startswith("pretrain mlm: 1,20")
    assert third == "tokenize the corpus: 8,192"
