"""Conversations from files of the usual forms; tables of labels stay classification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.core.chat import Chat
from headstart.core.errors import ConfigurationError, DataError
from headstart.data.examples import Data
from headstart.data.ingest.chats import chat_input
from headstart.data.read import read
from headstart.data.tables.table import Problem


def written(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def chats(data: Data) -> list[Chat]:
    found = [chat for part in (data.train, data.validation, data.test) for chat in part.inputs()]
    assert all(isinstance(chat, Chat) for chat in found)
    return sorted(found)  # type: ignore[type-var]


def findings(data: Data) -> dict[str, str]:
    return {one.kind: one.message for one in data.record.findings}


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


FORMS: dict[str, Any] = {
    "messages": lambda q, a: {"messages": turns(q, a)},
    "messages by another name": lambda q, a: {"id": q, "turns": turns(q, a)},
    "ShareGPT": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "Alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "prompt": lambda q, a: {"prompt": q, "completion": a},
    "question": lambda q, a: {"question": q, "answer": a},
    "messages as text": lambda q, a: {"messages": json.dumps(turns(q, a))},
    "parts": lambda q, a: {"messages": [{"role": "user", "content": [{"type": "text", "text": q}]}, turns(q, a)[1]]},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path: Path, form: str) -> None:
    """All say the same, so that all give the same conversations and the same fingerprint."""
    asked = [(f"What is {n}?", f"It is {n}.") for n in range(10)]
    data = read(written(tmp_path, [FORMS[form](q, a) for q, a in asked]))
    assert (data.task.kind, data.task.modality) == ("generation", "chat")
    assert chats(data) == sorted(Chat.asked(q, a) for q, a in asked)
    assert "generation" in data.record.understood[0]
    plain = read(written(tmp_path, [FORMS["messages"](q, a) for q, a in asked]))
    assert data.record.fingerprint == plain.record.fingerprint


def test_answers_belong_to_the_fingerprint(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(10)]
    one = read(written(tmp_path, rows)).record.fingerprint
    rows[3]["answer"] = "Unknown."
    assert read(written(tmp_path, rows)).record.fingerprint != one


def test_parts_of_a_question(tmp_path: Path) -> None:
    rows = [
        {"instruction": f"Add {n}.", "input": f"{n} + 1", "output": f"{n + 1}", "system": "Be exact."}
        for n in range(10)
    ]
    assert chats(read(written(tmp_path, rows)))[0] == Chat.asked("Add 0.\n\n0 + 1", "1", system="Be exact.")


def test_instances_of_alpacas_seed_tasks(tmp_path: Path) -> None:
    rows = [
        {"instruction": f"Add {n}.", "instances": [{"input": "1 + 1", "output": "2"}], "is_classification": n % 2 == 0}
        for n in range(10)
    ]
    assert chats(read(written(tmp_path, rows)))[0] == Chat.asked("Add 0.\n\n1 + 1", "2")


def test_named_columns(tmp_path: Path) -> None:
    lines = ["topic,task,reply,also"] + [f't{n % 2},do {n},done {n},"[""ok {n}""]"' for n in range(10)]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    data = read(file, prompt="topic,task", answer="reply")
    assert chats(data)[0] == Chat.asked("t0\n\ndo 0", "done 0")
    assert data.record.columns == {"prompt": "topic,task", "answer": "reply"}
    with pytest.raises(DataError, match=r"no column 'tusk' \(--prompt\). Did you mean 'task'"):
        read(file, prompt="tusk", answer="reply")
    with pytest.raises(DataError, match="leave it out"):
        read(file, prompt="task", answer="reply", label="topic")
    with pytest.raises(DataError, match="leave --prompt and --answer out"):
        read(file, prompt="task", messages="reply")


def test_further_right_answers(tmp_path: Path) -> None:
    rows = [
        {"question": f"Day {n}?", "answer": f"May {n}", "accept": [f"{n} May", ""], "fact": f"f{n // 2}"}
        for n in range(10)
    ]
    data = read(written(tmp_path, rows), cluster_by="fact")
    assert chats(data)[0].accept == ("0 May",)
    assert data.train.clusters is not None
    assert len(set(data.train.clusters)) < len(data.train)
    rows = [{"question": f"Day {n}?", "answers": [f"May {n}", f"{n} May"]} for n in range(10)]
    assert (chats(read(written(tmp_path, rows)))[0].answer, chats(read(written(tmp_path, rows)))[0].accept) == (
        "May 0", ("0 May",),
    )  # fmt: skip
    rows = [{"question": f"List {n}?", "answer": f"[{n}, 1]"} for n in range(10)]
    assert chats(read(written(tmp_path, rows)))[0].answer == "[0, 1]", "a text that looks like a list is one answer"


def test_questions_with_passages(tmp_path: Path) -> None:
    """Where answers stand in the passages they are pointed at, unless further right answers are listed."""
    rows = [
        {"question": f"Which day is {n}?", "answer": f"May {n}", "passage": f"It was May {n} then, in {1900 + n}."}
        for n in range(10)
    ]
    assert read(written(tmp_path, rows)).task.kind == "spans"
    assert read(written(tmp_path, rows), answer="answer").task.kind == "generation"
    rows = [{**row, "accept": [f"{n} May"]} for n, row in enumerate(rows)]
    assert chats(read(written(tmp_path, rows)))[0].accept == ("0 May",)
    assert read(written(tmp_path, rows), kind="spans").task.kind == "spans"


def test_tools(tmp_path: Path) -> None:
    call = [{"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]
    messages = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": None, "tool_calls": call},
        {"role": "tool", "content": "2", "tool_call_id": "1"},
        {"role": "assistant", "content": "Two."},
    ]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    rows = [{"messages": [{**messages[0], "content": f"{n}?"}, *messages[1:]], "tools": tools} for n in range(10)]
    chat = chats(read(written(tmp_path, rows)))[0]
    assert (chat.tools, chat.messages[1]["tool_calls"], chat.messages[2]["tool_call_id"]) == (tools, call, "1")
    shared = [("function_call", '{"name": "add", "arguments": {}}'), ("observation", "2"), ("gpt", "Two.")]
    rows = [
        {"conversations": [{"from": role, "value": text} for role, text in [("human", f"{n}?"), *shared]]}
        for n in range(10)
    ]
    chat = chats(read(written(tmp_path, rows)))[0]
    assert [message["role"] for message in chat.messages] == ["user", "assistant", "tool", "assistant"]
    assert chat.messages[1]["tool_calls"][0]["function"]["name"] == "add"


def test_running_text_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path, [{"text": f"Once {n}.", "mood": "ab"[n % 2]} for n in range(10)])
    assert chats(read(file, kind="generation"))[0] == Chat.running("Once 0.")
    assert read(file).task.kind == "single_label"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"messages": turns("one", "two", "three")}, "missing_answer"),
        ({"messages": turns("one", " ")}, "empty"),
        ({"messages": turns("one", "", "two", "three")}, "empty"),
        ({"messages": turns(" ", "two")}, "empty"),
        ({"messages": [{"role": "narrator", "content": "x"}, *turns("one", "two")]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}, turns("", "a")[1]]}, "malformed"),
        ({"messages": "one"}, "malformed"),
        ({"messages": []}, "malformed"),
        ({"messages": turns("one", "x" * 1_000_001)}, "long"),
    ],
    ids=str,
)  # fmt: skip
def test_unusable_rows_are_counted(tmp_path: Path, row: dict[str, Any], kind: str) -> None:
    rows = [{"messages": turns(f"What is {n}?", f"It is {n}.")} for n in range(10)]
    data = read(written(tmp_path, [*rows, row]))
    assert data.record.rows_used == 10
    assert kind in findings(data)
    assert next(one for one in data.record.findings if one.kind == kind).examples[0].startswith("rows.jsonl:11")


def test_nul_bytes_are_told(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": "a\0b" if n == 2 else f"{n}"} for n in range(10)]
    data = read(written(tmp_path, rows))
    assert "1 row with NUL bytes" in findings(data)["nul"]
    assert "a\0b" in [chat.answer for chat in chats(data)]
    rows[2]["answer"] = "\\u0000 as text"
    assert "nul" not in findings(read(written(tmp_path, rows)))


def test_the_same_question_stays_in_one_split_and_is_told(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(20)]
    rows += [{"question": f"What is {n}?", "answer": f"IT IS {n}!"} for n in range(3)]
    rows += [{"question": "What is 7?", "answer": "Nobody knows."}]
    data = read(written(tmp_path, rows))
    assert "leak" not in findings(data)
    assert findings(data)["conflict"].startswith("1 row with the same question as an earlier row and another answer")


def test_near_questions_across_splits(tmp_path: Path) -> None:
    """Compared without the system turn, by which all would be alike."""
    system = " ".join(f"Rule {n}: explain step {7 * n} of {13 * n} in short words." for n in range(30))

    def row(question: str, answer: str) -> dict[str, Any]:
        return {"messages": [{"role": "system", "content": system}, *turns(question, answer)]}

    rows = [row(f"{word} is written in which way?", word) for word in ("abacus", "bell", "cup", "door", "egg", "fish")]
    question = "Where does the long river Rhine flow into the cold sea of the north, and by which arms and towns"
    other = [row(f"{question}?", "north"), row("Who was Ada?", "a writer of programs")]
    near = row(f"{question} now?", "west")
    data = read(
        written(tmp_path, [*rows, other[0]]), test=written(tmp_path, [near, other[1]], "held.jsonl"),
        validation=written(tmp_path, [row("How far is the moon today?", "far")], "more.jsonl"),
    )  # fmt: skip
    assert findings(data)["near_duplicate"].startswith("1 row of test nearly the same as one of train")


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Is {n} even?", "answer": "{yes}"},
        {"text": "a {n}", "label": "{yes}"},
        {"question": "Is {n} even?", "passage": "Numbers {n}", "answer": "{yes}"},
        {"prompt": "do {n}", "completion": "done {n}", "text": "a {n}", "label": "{yes}"},
        {"question": "what {n}", "answer": "it {n}", "topic": "{yes}"},
    ],
    ids=str,
)
def test_labels_stay_labels(tmp_path: Path, row: dict[str, str]) -> None:
    rows = [{k: v.format(n=n, yes=("yes", "no")[n % 2]) for k, v in row.items()} for n in range(20)]
    assert read(written(tmp_path, rows)).task.kind == "single_label"


def test_answers_that_look_like_classes_can_be_asked_for(tmp_path: Path) -> None:
    rows = [{"question": f"Is {n} even?", "answer": ("yes", "no")[n % 2]} for n in range(20)]
    assert read(written(tmp_path, rows), answer="answer").task.kind == "generation"
    assert read(written(tmp_path, rows), kind="generation").task.kind == "generation"
    assert (
        read(written(tmp_path, [{**r, "x": "a"} for r in rows]), text="question", label="answer").task.kind
        == "single_label"
    )


def test_few_answers_beside_other_right_ones_are_no_classes(tmp_path: Path) -> None:
    rows = [
        {"question": f"Wording {n} of it?", "answer": f"fact {n % 4}", "accept": [f"{n % 4}"], "fact": n % 4}
        for n in range(40)
    ]
    assert read(written(tmp_path, rows)).task.kind == "generation"


def test_what_is_asked_at_prediction() -> None:
    assert chat_input("Why?") == Chat.asked("Why?")
    assert chat_input(turns("Why?", "So.", "And?")) == Chat.of(turns("Why?", "So.", "And?"))
    assert (
        chat_input({"messages": turns("Why?")})
        == chat_input(json.dumps({"messages": turns("Why?")}))
        == Chat.asked("Why?")
    )
    assert chat_input(Chat.asked("Why?", "So.")) == Chat.asked("Why?", "So.")
    assert isinstance(chat_input(" "), Problem)
    assert isinstance(chat_input(turns("")), Problem)


def test_another_kind_is_not_conversations(tmp_path: Path) -> None:
    file = written(tmp_path, [{"question": f"How far is {n}?", "answer": n + 0.5, "note": "x"} for n in range(40)])
    assert read(file).task.kind == "generation"
    assert read(file, kind="regression", text="question", label="answer").task.kind == "regression"
    with pytest.raises(DataError, match="Name it with --label"):
        read(file, kind="regression")
    with pytest.raises(ConfigurationError, match="a regression task can't be read from chats"):
        read(file, kind="regression", prompt="question")


def test_a_single_conversation_is_a_row_and_no_table(tmp_path: Path) -> None:
    """Its messages and tools are two lists of objects, as two tables in one file are."""
    row = {"messages": turns("Why?", "So."), "tools": [{"type": "function"}, {"type": "function"}]}
    with pytest.raises(DataError, match=r"1 usable rows \(1 different inputs\)"):
        read(written(tmp_path, [row]))


def test_groups_stay_together(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"It is {n}.", "fact": f"f{n // 3}"} for n in range(30)]
    data = read(written(tmp_path, rows), group="fact")
    assert data.record.splits[0].origin == "made (by group)"
    parts = [set(part.clusters) for part in (data.train, data.validation, data.test) if part.clusters is not None]
    assert len(parts) == 3
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
