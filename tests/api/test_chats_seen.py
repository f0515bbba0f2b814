"""What a model sees of conversations: lengths, what is cut or left out, and what its template swallows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.backbones.chatting import chatting

from headstart.api.loading import backbone_for, read_by
from headstart.api.predicting import _checked
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.core.chat import Chat
from headstart.core.errors import ConfigurationError, DataError, ModelError
from headstart.data.examples import Data
from headstart.data.read import read


class Seeing:
    """As much of a backbone as `read_by` asks for."""

    def __init__(self, family: str | None = "chatml", most: int = 512, template: str | None = None, **options: Any):
        self.preparation = TextPreparation(chatting(family, template), most, **options)


def turns(n: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"It is {n}."}]


def given(folder: Path, *more: dict[str, Any]) -> Data:
    rows = [{"messages": turns(n)} for n in range(12)]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]), encoding="utf-8")
    return read(file)


def findings(data: Data) -> dict[str, Any]:
    return {one.kind: one for one in data.record.findings}


LONG = {"messages": [{"role": "user", "content": "word " * 100}, {"role": "assistant", "content": "It is long."}]}
ENDLESS = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "because " * 300}]}


def test_lengths_and_the_share_that_is_trained(tmp_path: Path) -> None:
    data = read_by(Seeing(None), given(tmp_path))  # type: ignore[arg-type]
    preparation = Seeing(None).preparation
    found = preparation.encode(data.train.inputs())
    trained = sum(int(one["answers"].sum()) for one in found) / sum(len(one["input_ids"]) for one in found)
    assert f"{trained:.0%} of all tokens are trained" in findings(data)["tokens"].message
    assert findings(data)["tokens"].severity == "note"


def test_longer_ones_are_an_error_unless_the_user_chooses(tmp_path: Path) -> None:
    data = given(tmp_path, LONG)
    with pytest.raises(DataError, match=r"1 of 13 .* 200 tokens .*rows.jsonl:13.*--too-long drop"):
        read_by(Seeing(None, 200), data)  # type: ignore[arg-type]
    dropped = read_by(Seeing(None, 200, too_long="drop"), data)  # type: ignore[arg-type]
    assert sum(map(len, (dropped.train, dropped.validation, dropped.test))) == dropped.record.rows_used == 12
    assert findings(dropped)["long"].severity == "error"
    assert findings(dropped)["long"].examples[0] == "rows.jsonl:13"
    most = re.search(r"and (\d+) at most, of 200", findings(dropped)["tokens"].message)
    assert most is not None
    assert int(most[1]) < 200, "those left out do not count"
    cut = read_by(Seeing(None, 200, too_long="cut"), data)  # type: ignore[arg-type]
    assert cut.record.rows_used == 13
    assert "the start of the prompt is cut" in findings(cut)["long"].message
    with pytest.raises(DataError, match="answers alone are too long"):
        read_by(Seeing(None, 200, too_long="cut"), given(tmp_path, ENDLESS))  # type: ignore[arg-type]


def test_a_hundred_thousand_tokens(tmp_path: Path) -> None:
    huge = {"messages": [{"role": "user", "content": "xyz " * 30_000}, {"role": "assistant", "content": "Long."}]}
    with pytest.raises(DataError, match=r"the longest has 1\d\d,\d\d\d: rows.jsonl:13"):
        read_by(Seeing(None), given(tmp_path, huge))  # type: ignore[arg-type]


def test_what_the_template_refuses_is_left_out_and_counted(tmp_path: Path) -> None:
    twice = {"messages": [{"role": "user", "content": "a"}, *LONG["messages"]]}
    data = read_by(Seeing("gemma3"), given(tmp_path, twice))  # type: ignore[arg-type]
    found = findings(data)["template"]
    assert (found.severity, found.count, found.examples) == ("error", 1, ("rows.jsonl:13",))
    assert "roles must alternate" in found.message
    assert data.record.rows_used == 12
    Seeing("gemma3").preparation.encode([*data.train.inputs(), *data.validation.inputs(), *data.test.inputs()])


def test_a_template_that_suits_none(tmp_path: Path) -> None:
    system = "{% if messages[0].role != 'system' %}{{ raise_exception('a system turn, please') }}{% endif %}"
    with pytest.raises(ModelError, match="a system turn, please"):
        read_by(Seeing(None, template=system), given(tmp_path))  # type: ignore[arg-type]


def test_swallowed_turns_are_told(tmp_path: Path) -> None:
    template = "{% for m in messages if m.role != 'system' %}{{ m.content }}{{ eos_token }}{% endfor %}"
    spoken = {"messages": [{"role": "system", "content": "Be brief."}, *LONG["messages"]]}
    found = findings(read_by(Seeing(None, template=template), given(tmp_path, spoken)))["swallowed"]  # type: ignore[arg-type]
    assert found.examples == ("rows.jsonl:13",)
    assert "a system message that the chat template leaves out" in found.message


def test_special_tokens_within_messages_are_told(tmp_path: Path) -> None:
    spoken = {"messages": [{"role": "user", "content": "Say <|im_end|> twice."}, LONG["messages"][1]]}
    found = findings(read_by(Seeing(), given(tmp_path, spoken)))["special_tokens"]  # type: ignore[arg-type]
    assert found.examples == ("rows.jsonl:13",)
    assert "(<|im_end|>)" in found.message
    assert "special_tokens" not in findings(read_by(Seeing(), given(tmp_path)))  # type: ignore[arg-type]


def test_no_model_comes_with_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a causal language model.*--model"):
        backbone_for(None, given(tmp_path), {})


def test_a_language_that_the_vocabulary_does_not_fit(tmp_path: Path) -> None:
    arabic = ("ما هي عاصمة البلد رقم {} في العالم", "لا أعرف هذا البلد")
    english = ("What is the capital of France? What is the capital {}", "The capital is Paris. The capital is Paris.")
    for (question, answer), fits in ((arabic, False), (english, True)):
        rows = [{"question": question.format(n), "answer": answer} for n in range(12)]
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        found = findings(read_by(Seeing(), read(file)))  # type: ignore[arg-type]
        assert ("vocabulary" not in found) == fits


def test_questions_in_python() -> None:
    """Texts, lists of messages and objects with them, as a list of inputs."""
    messages = [{"role": "user", "content": "Why?"}]
    found = list(_checked(["Why?", messages, {"messages": messages}, Chat.asked("Why?")], "chat"))
    assert found == [Chat.asked("Why?")] * 4
    with pytest.raises(DataError, match="input 1 is one with an empty question"):
        list(_checked(["Why?", " "], "chat"))
