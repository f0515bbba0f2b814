"""Questions inside a view: demonstrations and passages before them, in training, tests and predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.core.chat import Chat
from headstart.core.errors import ConfigurationError, DataError, MethodError
from headstart.core.records.comparison import Comparison
from headstart.data.documents.library import Library
from headstart.data.documents.passages import Passage
from headstart.data.documents.right import Right
from headstart.data.documents.search import BM25
from headstart.engine.adapt import Setting, attached
from headstart.engine.cache.cache import Cache
from headstart.engine.decoding.in_context import InContext
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import compute
from headstart.engine.viewed import viewed
from headstart.methods.chat_view import ChatView
from headstart.methods.method import method_class
from tasks.asking import data_of, model

FACTS = (
    ("When was it ratified?", "1998", "The constitution was ratified in 1998."),
    ("Who founded it?", "Ian", "Ian founded the project."),
    ("What colour is the swirl?", "red", "The swirl has a red colour."),
    ("How many seats are there?", "eight", "There are eight seats on the committee."),
)
CHATS = [Chat.of(Chat.asked(asked, answer).messages, passage=passage) for asked, answer, passage in FACTS]
PLAIN = [Chat.asked(asked, answer) for asked, answer, _ in FACTS]
INSTRUCTION = "Answer the question from the passages."


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handbook")
    (folder / "rules.md").write_text(f"# Rules\n{FACTS[0][2]}\n## Seats\n{FACTS[3][2]}\n")
    (folder / "story.md").write_text(f"# Story\n{FACTS[1][2]}\n# Logo\n{FACTS[2][2]}\n")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = model(tmp_path_factory.mktemp("llama"), max_position_embeddings=512)
    return headstart.load(folder, vocabulary=True, max_length=200)


def data(handbook: Path, chats: Any = CHATS) -> Any:
    return replace(data_of(chats), documents=Library.of(handbook))


@pytest.fixture(scope="module")
def run(base: Backbone, handbook: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    place = tmp_path_factory.mktemp("passages") / "run"
    found = headstart.compare(
        data(handbook), base, out=place, methods=["fewshot", "retrieve", "gold_passage", "lora+retrieve"], seeds=1,
        trials=1, epochs=1, keep=True, settings={"fewshot.demonstrations": 2, "passage_words": 10, "k": 2},
    )  # fmt: skip
    return found, place


def preparation(base: Backbone, view: ChatView, passages: Any = (), learning: bool = False) -> InContext:
    made: Any = viewed(base, view, compute("cpu", "fp32"), passages).preparation
    return InContext(made.plain, view, made.search, made.max_length, learning) if learning else made


def text_of(prepared: InContext, chat: Chat) -> str:
    """The prompt as the model reads it."""
    return str(prepared.tokenizer.decode(prepared.chat.prompt_ids([chat])[0]))


def test_a_question_stands_behind_its_passages_as_written(base: Backbone, handbook: Path) -> None:
    passages = Library.of(handbook).passages(10)
    assert [one.text for one in passages] == [FACTS[at][2] for at in (0, 3, 1, 2)]
    found = preparation(base, ChatView(INSTRUCTION, k=2, passage_words=10), passages)
    assert text_of(found, CHATS[3]) == (
        f"User: {INSTRUCTION}\n\nPassages:\n\n[1] Rules > Seats\n{FACTS[3][2]}\n\n[2] Rules\n{FACTS[0][2]}\n\n"
        "Question: How many seats are there?\nAssistant:"
    )
    given = preparation(base, ChatView(INSTRUCTION, given=True))
    assert text_of(given, CHATS[1]) == (
        f"User: {INSTRUCTION}\n\nPassages:\n\n[1] {FACTS[1][2]}\n\nQuestion: Who founded it?\nAssistant:"
    )


def test_demonstrations_are_earlier_turns_which_are_not_trained(base: Backbone) -> None:
    view = ChatView("Be brief.", shown=1).completed((), lambda: CHATS[:1], np.zeros(1), 0)
    found = preparation(base, view)
    shown = "User: Be brief.\n\nWhen was it ratified?\nAssistant: 1998"
    assert text_of(found, CHATS[1]).replace("<|endoftext|>", "") == f"{shown}\nUser: Who founded it?\nAssistant:"
    (encoded,) = found.encode([CHATS[1]])
    trained = found.tokenizer.decode(encoded["input_ids"][encoded["answers"]])
    assert trained.strip() == "Ian<|endoftext|>"


def test_demonstrations_are_drawn_by_the_seed_or_nearest(base: Backbone) -> None:
    def drawn(seed: int, **more: Any) -> ChatView:
        return ChatView(shown=2, **more).completed((), lambda: CHATS, np.zeros(4), seed)

    assert drawn(0) == drawn(0)
    assert len({drawn(seed).demonstrations for seed in range(8)}) > 2
    nearest = preparation(base, replace(drawn(1, choice="nearest"), shown=1))
    assert len(nearest.demonstrations) == 4
    asked = Chat.asked("How many colours has the committee, and how many seats?")
    assert "How many seats are there?" in text_of(nearest, asked)
    assert "ratified" not in text_of(nearest, asked)


def test_an_answer_decides_nothing_of_its_prompt(base: Backbone, handbook: Path) -> None:
    """Neither its words nor its length; a passage of the data is read by gold_passage alone."""
    passages = Library.of(handbook).passages(10)
    question = Chat.asked(FACTS[2][0])
    other = Chat.of(Chat.asked(FACTS[2][0], "The committee has eight seats. " * 20).messages, ["1998"], None, "Ian")
    view = ChatView(INSTRUCTION, shown=2, k=1, passage_words=10, room=40, absent=1.0)
    for choice in ("random", "nearest"):
        made = replace(view, choice=choice).completed((), lambda: PLAIN, np.zeros(4), 0)
        found = preparation(base, made, passages)
        assert text_of(found, question) == text_of(found, other) == text_of(found, CHATS[2])


def test_passages_without_room_are_left_out_from_the_last_and_counted(base: Backbone) -> None:
    """Then demonstrations from the first, and never the question."""
    passages = [Passage("a", (), f"seats {'long ' * size}") for size in (1, 4, 8, 12)]
    view = ChatView(shown=1, k=4, passage_words=100, room=30, demonstrations=(str(PLAIN[0]),))
    whole = preparation(base, view, passages)
    bare = len(whole.plain.chat.prompt_ids([CHATS[3]])[0])
    lengths = [
        len(whole.plain.chat.prompt_ids([view.around(CHATS[3], whole.demonstrations, texts)])[0])
        for texts in ([one.shown for one in passages[:count]] for count in range(5))
    ]
    assert whole.notes([CHATS[3]]) == ()
    for readable, kept, lost in (
        (lengths[4] + 30, 4, 0), (lengths[4] + 29, 3, 1), (lengths[2] + 30, 2, 2), (lengths[0] + 30, 0, 4),
        (lengths[0] + 29, 0, 5), (bare + 30, 0, 5), (bare, 0, 5),
    ):  # fmt: skip
        found = InContext(whole.plain, view, whole.search, readable, False)
        prompt = text_of(found, CHATS[3])
        assert prompt.endswith("How many seats are there?\nAssistant:"), prompt
        assert [one["number"] for one in found.used([CHATS[3]])[0]] == [1, 2, 3, 4][:kept], (readable, prompt)
        assert ("1998" in prompt) == (lost < 5)
        notes = found.notes([CHATS[3]])
        assert not notes if not lost else f"1 of 1 validation questions lost {lost} passages" in notes[0], notes


def test_training_puts_the_right_passage_in_or_leaves_it_out_for_a_share(base: Backbone) -> None:
    words = ("red", "blue", "green", "grey", "white", "black", "pink", "brown")
    passages = [Passage("a", (), f"the colour is {word}") for word in words]
    chats = [
        Chat.of(Chat.asked(f"Which colour is number {at}?", word).messages, passage=f"the colour is {word}")
        for at, word in enumerate(words * 8)
    ]
    right = [at % len(words) + 1 for at in range(len(chats))]

    def share(absent: float, learning: bool) -> float:
        view = ChatView(k=2, passage_words=10, absent=absent)
        used = preparation(base, view, passages, learning).used(chats)
        assert {len(one) for one in used} == {2}
        return float(np.mean([at in [one["number"] for one in row] for at, row in zip(right, used)]))

    assert share(0.0, learning=True) == 1
    assert share(1.0, learning=True) == 0
    assert 0.4 < share(0.4, learning=True) < 0.8
    assert share(0.0, learning=False) == share(1.0, learning=False) == 2 / len(words)  # as they are found


def test_training_reads_passages_too(base: Backbone, handbook: Path) -> None:
    found, computing = data(handbook), compute("cpu", "fp32")
    feeds = [Feed(name, getattr(found, name), base) for name in ("train", "validation")]
    cache = Cache(base, computing)
    setting = Setting(base, found.task, *feeds, Options(epochs=1, batch_size=4), computing, lambda a, b: (0.0, 0.0),
                      cache, documents=found.documents)  # fmt: skip
    kind: Any = method_class("lora+retrieve")
    with attached(setting, kind(k=1, passage_words=10, absent=0.0), 0) as job:
        for feed in (job.train, job.validation):
            ids = feed.batch(np.array([3]))["input_ids"][0]
            assert FACTS[3][2] in feed.preparation.tokenizer.decode(ids)  # type: ignore[union-attr]
            assert feed.answers is not None
            assert feed.answers.tolist() == feeds[0].answers.tolist()  # type: ignore[union-attr]
    with attached(setting, kind(k=1, passage_words=10, absent=1.0), 0) as job:
        ids = job.train.batch(np.array([3]))["input_ids"][0]
        assert FACTS[3][2] not in job.train.preparation.tokenizer.decode(ids)  # type: ignore[union-attr]
        ids = job.validation.batch(np.array([3]))["input_ids"][0]
        assert FACTS[3][2] in job.validation.preparation.tokenizer.decode(ids)  # type: ignore[union-attr]
    cache.close()


def test_right_passages() -> None:
    text = "The committee has eight seats, and its members serve for a year."
    passages = [Passage("a", ("Seats",), text), Passage("b", (), "A year has eight seasons."), Passage("c", (), "98")]
    right = Right(passages)
    assert right("committee  has\neight seats") == {0}
    assert right("the committee has eight seats and its members serve - for a year") == {0}
    assert right("year") == {0, 1}
    assert right("eigh") == right("8") == right(" ") == right("who knows") == set()


def test_rows_of_all_views(run: tuple[Comparison, Path], handbook: Path) -> None:
    rows = {row.method: row for row in run[0].rows}
    assert {row.status for row in rows.values()} == {"ok"}, rows
    assert rows["retrieve"].trained_parameters == 0 < rows["lora+retrieve"].trained_parameters
    for name in ("retrieve", "lora+retrieve"):
        assert "recall: the right passage is among the 2 found for 4 of 4 validation questions (100%)" in str(
            rows[name].notes
        )
        lines = (run[1] / "predictions" / f"{name}-seed0.jsonl").read_text().splitlines()
        used = [json.loads(line)["passages"] for line in lines]
        assert used[3][0] == {"document": "rules.md", "headings": ["Rules", "Seats"], "number": 2}
        assert [len(one) for one in used] == [2] * 4
    assert "passages" not in (run[1] / "predictions" / "fewshot-seed0.jsonl").read_text().splitlines()[0]


def test_saved_models_search_the_passages_of_their_training(
    run: tuple[Comparison, Path], base: Backbone, handbook: Path, tmp_path: Path
) -> None:
    for name in ("fewshot", "retrieve", "gold_passage", "lora+retrieve"):
        lines = (run[1] / "predictions" / f"{name}-seed0.jsonl").read_text().splitlines()
        predictor = Predictor(run[1] / "models" / name / "seed0", backbone=base, precision="fp32")
        try:
            assert [one.label for one in predictor(CHATS)] == [json.loads(line)["answer"] for line in lines], name
        finally:
            predictor.close()
    folder = run[1] / "models" / "retrieve" / "seed0"
    (tmp_path / "other.md").write_text("Ten seats are there, and many more.")
    predictor = Predictor(folder, backbone=base, documents=tmp_path)
    found: Any = predictor.backbone.preparation
    assert "[1] Ten seats are there, and many more.\n\nQuestion" in text_of(found, CHATS[3])
    predictor.close()
    with pytest.raises(ConfigurationError, match="no passages"):
        Predictor(run[1] / "models" / "fewshot" / "seed0", backbone=base, documents=tmp_path)


def test_other_documents_have_another_fingerprint(handbook: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text((handbook / "rules.md").read_text())
    first = Library.of(tmp_path).fingerprint
    assert first == Library.of(tmp_path).fingerprint
    (tmp_path / "rules.md").write_text((handbook / "rules.md").read_text() + "More.")
    assert first != Library.of(tmp_path).fingerprint
    from headstart.comparison.trials.workshop import data_spec

    specs = [data_spec(replace(data_of(PLAIN), documents=Library.of(one))) for one in (tmp_path, handbook)]
    assert specs[0] != specs[1]


def test_a_dense_search_by_the_model_s_own_states(base: Backbone, handbook: Path) -> None:
    passages = Library.of(handbook).passages(10)
    found = preparation(base, ChatView(k=4, passage_words=10, search="dense"), passages)
    same = Chat.asked(passages[2].shown)
    assert found.used([same])[0][0]["number"] == 3
    assert found.used([same, CHATS[0]]) == [*found.used([same]), *found.used([CHATS[0]])]
    assert not isinstance(found.search, BM25)


def test_mistakes_are_told(base: Backbone, handbook: Path, tmp_path: Path) -> None:
    def compare(given: Any, *methods: str, **settings: Any) -> Any:
        return headstart.compare(given, base, out=tmp_path / "run", methods=methods, seeds=1, trials=1, epochs=1,
                                 settings=settings)  # fmt: skip

    with pytest.raises(MethodError, match="lora\\+retrieve: .*--documents DIR"):
        compare(data_of(PLAIN), "lora", "lora+retrieve")
    with pytest.raises(MethodError, match="its own states"):
        compare(data(handbook), "lora+retrieve", **{"lora+retrieve.search": "dense"})
    with pytest.raises(MethodError, match="0 to 1"):
        compare(data(handbook), "lora+retrieve", absent=2.0)
    with pytest.raises(ConfigurationError, match="takes no steps"):
        method_class("probe+retrieve")
    assert "column `passage`" in str(compare(data(handbook, PLAIN), "gold_passage", "zeroshot").rows)
    with pytest.raises(DataError, match="no folder of documents"):
        headstart.read(handbook / "rules.md", documents=tmp_path / "gone")


def test_files_name_passages_and_documents(handbook: Path, tmp_path: Path) -> None:
    rows = [{"question": q + "?" * at, "answer": f"{a} {at}", "passage": p} for q, a, p in FACTS for at in range(8)]
    (tmp_path / "faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = headstart.read(tmp_path / "faq.jsonl", documents=handbook)
    assert found.record.columns["passage"] == "passage"
    assert found.record.documents is not None
    assert (found.record.documents.count, found.record.documents.words) == (2, 31)
    given: Any = found.train.inputs([0])[0]
    assert given.passage in [passage for _, _, passage in FACTS]
    assert given.passage not in given.question
    from headstart.comparison.selection import usual_of

    assert usual_of(found) == ("zeroshot", "fewshot", "retrieve", "gold_passage", "lora", "lora+retrieve")
    assert "retrieve" not in usual_of(headstart.read(tmp_path / "faq.jsonl"))
