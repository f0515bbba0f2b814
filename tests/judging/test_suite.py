"""Suites: what a file may hold, and one message for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.core.errors import ConfigurationError
from headstart.judging.checks.checks import Retention, Target
from headstart.judging.checks.slices import Slice
from headstart.judging.suite import default_suite, read_suite
from headstart.tasks.task import Task


def suite(folder: Path, text: str) -> Path:
    path = folder / "suite.toml"
    path.write_text(text)
    return path


def test_tables_become_checks_with_their_defaults(tmp_path: Path) -> None:
    found = read_suite(
        suite(
            tmp_path,
            '[[check]]\nkind = "target"\nmetric = "macro_f1"\n[[check]]\nkind = "slice"\nby = "length"\n'
            '[[check]]\nkind = "retention"\ndata = "../other.csv"\ntolerance = 0.03\ngate = "none"\n',
        )
    )
    assert found.checks == [
        Target(metric="macro_f1"),
        Slice(by="length"),
        Retention(data="../other.csv", tolerance=0.03, gate="none"),
    ]
    assert [check.gate for check in found.checks] == ["improved", "not_regressed", "none"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lists no checks"),
        (
            "[[check]]\n",
            "Allowed: calibration, generation, invariance, lm_eval, perplexity, retention, retrieval, robustness, "
            "slice, target, test, zeroshot",
        ),
        ('[[check]]\nkind = "targt"', "Did you mean 'target'"),
        ('[[check]]\nkind = "target"\ntolerence = 1', "Did you mean 'tolerance'"),
        ('[[check]]\nkind = "target"\ngate = "better"', "Allowed: improved, none, not_regressed"),
        ('[[check]]\nkind = "target"\ntolerance = -1', "has to be 0 or more"),
        ('[[check]]\nkind = "slice"\nby = "colour"', "Allowed: class, column, length, source"),
        ('[[checks]]\nkind = "target"', "Did you mean 'check'"),
        ('[[check]]\nkind = "target"\n[[check]]\nkind = "target"\nmetric = "ece"', "two checks called 'target'"),
        ("[[check", "no TOML"),
        ('check = ["target"]', "a table [[check]]"),
        ('external = [1]\n[[check]]\nkind = "target"', "each external one [[external]]"),
        ('[[check]]\nkind = "retention"\ndata = "x.csv"\nexamples = 0', "examples is 0, but has to be at least 1"),
        ('[[check]]\nkind = "lm_eval"\ntask = "x"\nshots = -1', "shots is -1, but has to be at least 0"),
        (
            '[[check]]\nkind = "target"\n[[external]]\nname = "x"\ninput = 1\noutput = -1',
            "output of x is -1.0, but has to be 0 or more",
        ),
    ],
)
def test_mistakes_say_what_is_allowed(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match="suite") as caught:
        read_suite(suite(tmp_path, text))
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.toml"):
        read_suite(tmp_path / "gone.toml")


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression"])
@pytest.mark.parametrize("modality", ["text", "text_pair", "image"])
def test_the_default_suite_guards_the_target(kind: str, modality: str) -> None:
    found = default_suite(Task(kind, modality, () if kind == "regression" else ("a", "b"))).checks  # type: ignore[arg-type]
    assert isinstance(found[0], Target)
    assert found[0].gate == "improved"
    assert len({check.title() for check in found}) == len(found)
