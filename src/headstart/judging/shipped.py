"""Export precision: predictions of an exported model in fp32 against the model that was tested in bf16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.predictor import Predictor
from headstart.core.errors import HeadstartError
from headstart.core.records.comparison import Comparison
from headstart.data.examples import Data, Input
from headstart.judging.runs import data_of

EXAMPLES = 200
"number of test examples for the comparison of precisions, from the start"
MOST_ROWS = 100_000
"maximum number of rows of a data set that is read again for this"


def precision_note(
    run: str | Path, read: Callable[..., Data], source: str | None = None, trust_remote_code: bool = False
) -> str:
    """A sentence with the number of labels that differ and the largest difference of a probability on test examples.

    Empty for a model that was tested in fp32. source: new place of the base, if it was moved.
    """
    artifact = Artifact.open(run)
    if artifact.precision == "fp32":
        return ""
    told = f"The accuracy in the record is that of {artifact.precision}; exported models compute in fp32"
    try:
        record = Path(run) / "comparison.json"
        if not record.is_file() or Comparison.read(record).data.rows_read > MOST_ROWS:
            raise HeadstartError
        test = data_of([Path(run)], None, read).test
        inputs = test.inputs(np.arange(min(EXAMPLES, len(test))))
        tested, shipped = (_scores(run, one, inputs, source, trust_remote_code) for one in (artifact.precision, "fp32"))
    except HeadstartError:  # the data are gone, or too many to read for a sentence
        return f"{told}: headstart evaluate {run} --precision fp32 tests that."
    gap = f"by up to {np.abs(tested - shipped).max():.2g}"
    if artifact.task.numeric:
        return f"{told}. On {len(inputs)} test examples that changes values {gap}."
    answers = [artifact.task.decided(one) for one in (tested, shipped)]
    flipped = int((answers[0] != answers[1]).any(1).sum())
    return f"{told}. On {len(inputs)} test examples that changes {flipped} labels, and probabilities {gap}."


def _scores(
    run: str | Path, precision: str, inputs: Sequence[Input], source: str | None, trust_remote_code: bool
) -> np.ndarray:
    predictor = Predictor(run, source=source, precision=precision, trust_remote_code=trust_remote_code)
    try:
        return predictor.scores(inputs)
    finally:
        predictor.close()
