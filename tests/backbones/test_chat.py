"""Conversations as tokens: what is trained, by hand, for the templates of five families and for base models."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.backbones.chatting import FAMILIES, chatting, marking
from tests.backbones.tiny import save

from headstart.backbones.inputs.answer_marks import ANSWER_IDS, ANSWER_PLACES, ANSWERS
from headstart.backbones.inputs.chat import Rendered, Rendering
from headstart.backbones.inputs.chat_template import Refused
from headstart.backbones.inputs.preparation import TextPreparation
from headstart.backbones.loaders.load import load
from headstart.core.chat import Chat
from headstart.core.errors import ArtifactError, ConfigurationError, DataError, ModelError
from headstart.engine.answering import prompts_of
from headstart.engine.feed.micro import Micro
from headstart.engine.feed.tokens import Tokens

ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def chat(*turns: tuple[str, str]) -> Chat:
    return Chat.of({"role": ROLES[role], "content": text} for role, text in turns)


SINGLE = chat(("u", "What is it?"), ("a", "Paris"))
SYSTEM = chat(("s", "Be brief."), ("u", "What is it?"), ("a", "Paris"))
MULTI = chat(("u", "What?"), ("a", "Paris"), ("u", "And?"), ("a", "Rome"))


def marked(rendering: Rendering, given: Chat) -> str:
    """The rendered text with what is trained in brackets."""
    found = rendering.rendered([given])[0]
    if isinstance(found, Refused):
        raise found
    decode = rendering.tokenizer.decode
    edges = [0, *(np.flatnonzero(np.diff(found.answers)) + 1).tolist(), len(found.ids)]
    runs = [(bool(found.answers[a]), decode(found.ids[a:b])) for a, b in itertools.pairwise(edges)]
    return "".join(f"[[{text}]]" if trained else text for trained, text in runs)


IM, DEFAULT = "<|im_start|>", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
HEADER = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
HEADER += "Today Date: 26 Jul 2024\n\n"


def llama(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


EXPECTED = {
    ("chatml", SINGLE): f"{IM}system\n{DEFAULT}<|im_end|>\n{IM}user\nWhat is it?<|im_end|>\n{IM}assistant\n"
    "[[Paris<|im_end|>]]\n",
    ("chatml", SYSTEM): f"{IM}system\nBe brief.<|im_end|>\n{IM}user\nWhat is it?<|im_end|>\n{IM}assistant\n"
    "[[Paris<|im_end|>]]\n",
    ("chatml", MULTI): f"{IM}system\n{DEFAULT}<|im_end|>\n{IM}user\nWhat?<|im_end|>\n{IM}assistant\n"
    f"[[Paris<|im_end|>]]\n{IM}user\nAnd?<|im_end|>\n{IM}assistant\n[[Rome<|im_end|>]]\n",
    ("llama3", SINGLE): f"{HEADER}<|eot_id|>{llama('user')}What is it?<|eot_id|>{llama('assistant')}"
    "[[Paris<|eot_id|>]]",
    ("llama3", SYSTEM): f"{HEADER}Be brief.<|eot_id|>{llama('user')}What is it?<|eot_id|>{llama('assistant')}"
    "[[Paris<|eot_id|>]]",
    ("llama3", MULTI): f"{HEADER}<|eot_id|>{llama('user')}What?<|eot_id|>{llama('assistant')}[[Paris<|eot_id|>]]"
    f"{llama('user')}And?<|eot_id|>{llama('assistant')}[[Rome<|eot_id|>]]",
    ("qwen3", SINGLE): f"{IM}user\nWhat is it?<|im_end|>\n{IM}assistant\n[[<think>\n\n</think>\n\nParis<|im_end|>]]\n",
    ("gemma3", SYSTEM): "<bos><start_of_turn>user\nBe brief.\n\nWhat is it?<end_of_turn>\n<start_of_turn>model\n"
    "[[Paris<end_of_turn>]]\n",
    ("gemma3", MULTI): "<bos><start_of_turn>user\nWhat?<end_of_turn>\n<start_of_turn>model\n[[Paris<end_of_turn>]]\n"
    "<start_of_turn>user\nAnd?<end_of_turn>\n<start_of_turn>model\n[[Rome<end_of_turn>]]\n",
    ("mistral", SINGLE): "<s>[INST] What is it?[/INST][[ Paris</s>]]",
    ("mistral", MULTI): "<s>[INST] What?[/INST][[ Paris</s>]][INST] And?[/INST][[ Rome</s>]]",
    (None, SYSTEM): "Be brief.\n\nUser: What is it?\nAssistant:[[ Paris<|endoftext|>]]\n",
    (None, MULTI): "User: What?\nAssistant:[[ Paris<|endoftext|>]]\nUser: And?\nAssistant:[[ Rome<|endoftext|>]]\n",
}


@pytest.mark.parametrize(("family", "given"), EXPECTED, ids=str)
def test_what_is_trained(family: str | None, given: Chat) -> None:
    rendering = Rendering(chatting(family))
    assert marked(rendering, given) == EXPECTED[family, given]
    begin = rendering.tokenizer.bos_token_id
    found = rendering.rendered([given])[0]
    assert isinstance(found, Rendered)
    assert family == "chatml" or found.ids.count(begin) == (begin is not None)


@pytest.mark.parametrize("family", [*FAMILIES, None])
def test_the_prompt_of_an_answer_is_what_precedes_it_in_training(family: str | None) -> None:
    rendering = Rendering(chatting(family), trained="last")
    for given in (SINGLE, MULTI):
        found = rendering.rendered([given])[0]
        assert isinstance(found, Rendered)
        assert rendering.prompt_ids([given]) == [found.ids[: found.first]]
        answer = found.ids[found.first :]
        assert rendering.answer_text(answer).removeprefix("<think>\n\n</think>\n\n") == given.answer
    assert marked(rendering, MULTI).count("[[") == 1


@pytest.mark.parametrize(
    ("family", "stops"),
    [("chatml", ["<|im_end|>"]), ("llama3", ["<|eot_id|>", "<|end_of_text|>"]), ("gemma3", ["<end_of_turn>", "<eos>"]),
     (None, ["<|endoftext|>"])],
)  # fmt: skip
def test_stop_tokens(family: str | None, stops: list[str]) -> None:
    rendering = Rendering(chatting(family))
    assert rendering.tokenizer.convert_ids_to_tokens(list(rendering.stop_ids)) == stops


def refused(rendering: Rendering, given: Chat) -> tuple[str, str]:
    found = rendering.rendered([given])[0]
    assert isinstance(found, Refused)
    return found.kind, str(found)


def test_a_template_that_renders_early_turns_otherwise_is_refused() -> None:
    """Qwen 3 takes the thoughts out of earlier answers; Mistral writes the system turn before the last question."""
    kind, reason = refused(Rendering(chatting("qwen3")), MULTI)
    assert kind == "unstable"
    assert "'assistant\\n<think>" in reason
    assert "--train-on last" in reason
    last = marked(Rendering(chatting("qwen3"), trained="last"), MULTI)
    assert last.endswith(f"{IM}assistant\nParis<|im_end|>\n{IM}user\nAnd?<|im_end|>\n{IM}assistant\n"
                         "[[<think>\n\n</think>\n\nRome<|im_end|>]]\n")  # fmt: skip
    assert refused(Rendering(chatting("mistral")), SYSTEM)[0] == "unstable"
    assert Rendering(chatting("qwen3")).prompt_ids([MULTI]), "a prompt of many turns can be asked all the same"


def test_a_template_that_raises() -> None:
    twice = chat(("u", "one"), ("u", "two"), ("a", "three"))
    kind, reason = refused(Rendering(chatting("gemma3")), twice)
    assert kind == "template"
    assert "roles must alternate" in reason
    with pytest.raises(ModelError, match="roles must alternate"):
        Rendering(chatting("gemma3")).prompt_ids([twice])


def test_an_answer_without_a_stop() -> None:
    tokenizer = chatting(None, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                         "{% if add_generation_prompt %}assistant:{% endif %}")  # fmt: skip
    assert refused(Rendering(tokenizer), SINGLE)[0] == "stop"
    with pytest.raises(ModelError, match="could stop the generation"):
        _ = Rendering(tokenizer).stop_ids
    # ChatML's signs are no special tokens here, so that none could stop
    foreign = chatting(None, chatting("chatml").chat_template)
    assert refused(Rendering(foreign), SINGLE)[0] == "stop"


def test_a_chat_that_ends_with_a_question() -> None:
    assert refused(Rendering(chatting("chatml")), chat(("u", "one"), ("a", "two"), ("u", "three")))[0] == "answer"


def test_swallowed_content_is_seen() -> None:
    template = "{% for m in messages if m.role != 'system' %}{{ m.content }}{{ eos_token }}{% endfor %}"
    found = Rendering(chatting(None, template)).rendered([SYSTEM, SINGLE])
    assert [one.swallowed for one in found if isinstance(one, Rendered)] == [("system",), ()]


def test_signs_that_the_tokenizer_joins_only_at_the_end_of_a_prompt() -> None:
    """GPT-2's rule reads two line breaks as two before a word and as one at the end; the prompt's tokens count."""
    template = (
        "{% for m in messages %}{{ m.role }}\n\n{{ m.content + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant\n\n{% endif %}"
    )
    rendering = Rendering(chatting(None, template))
    text = rendering.template.text(MULTI.messages)
    found = rendering.rendered([MULTI])[0]
    assert isinstance(found, Rendered)
    assert rendering.tokenizer.decode(found.ids) == text
    assert found.ids != rendering.tokenizer(text, add_special_tokens=False)["input_ids"], "else this tests nothing"
    assert marked(rendering, MULTI).count("assistant\n\n[[") == 2
    prompt = rendering.prompt_ids([MULTI])[0]
    assert found.ids[: len(prompt)] == prompt
    assert rendering.tokenizer.decode(prompt).endswith("assistant\n\n")


def test_a_tokenizer_that_marks_the_beginning_of_a_text() -> None:
    """An answer tokenized alone would begin with two blanks."""
    rendering = Rendering(marking())
    found = rendering.rendered([MULTI])[0]
    assert isinstance(found, Rendered)
    assert found.ids == rendering.tokenizer(rendering.template.text(MULTI.messages))["input_ids"]
    assert marked(rendering, MULTI).count("Assistant:[[ ") == 2
    prompt = rendering.prompt_ids([MULTI])[0]
    assert found.ids[: len(prompt)] == prompt


def test_the_date_of_a_template_does_not_change_from_day_to_day() -> None:
    assert "26 Jul 2024" in Rendering(chatting("llama3")).template.text(SINGLE.messages)


def test_calls_of_tools() -> None:
    """Calls are the assistant's answers and trained; what a tool says is not. Arguments come as text from OpenAI."""
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    given = Chat.of(
        [
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "four", "tool_call_id": "1"},
            {"role": "assistant", "content": "It is four."},
        ],
        tools=tools,
    )
    found = marked(Rendering(chatting("llama3")), given)
    assert '[[{"name": "add", "parameters": {"a": 2}}<|eot_id|>]]' in found
    assert llama("ipython") + '"four"<|eot_id|>' in found
    assert "[[It is four.<|eot_id|>]]" in found
    assert found.count("[[") == 2
    assert "Given the following functions" in found
    assert '<tool_call>\n{"name": "add", "arguments": {"a": 2}}\n</tool_call><|im_end|>' in marked(
        Rendering(chatting("qwen3"), trained="last"), given
    )


def test_running_text_is_trained_as_it_stands() -> None:
    assert marked(Rendering(chatting("llama3")), Chat.running("Once.")) == "<|begin_of_text|>[[Once.<|end_of_text|>]]"
    begun = Rendering(chatting(None, begin="<s>"))
    assert marked(begun, Chat.running("Once.")) == "<s>[[Once.<|endoftext|>]]"
    assert marked(begun, SINGLE) == "<s>User: What is it?\nAssistant:[[ Paris<|endoftext|>]]\n"
    first = Rendering(chatting(None)).rendered([Chat.running("Once.")])[0]
    assert isinstance(first, Rendered)
    assert not first.answers[0], "no logits are for a first token"


def test_a_base_without_template_and_end_token() -> None:
    class Bare:
        chat_template = eos_token = None

        def apply_chat_template(self) -> None: ...

    with pytest.raises(ModelError, match="neither a chat template nor an end token"):
        Rendering(Bare())
    with pytest.raises(ModelError, match="can't render conversations"):
        Rendering(object())


def prepared(family: str | None = "chatml", most: int = 512, **options: Any) -> TextPreparation:
    return TextPreparation(chatting(family), most, **options)


@pytest.mark.parametrize("family", ["chatml", "mistral"])  # pad = the stop token, and a first token that is trained
def test_places_and_ids_in_a_batch(family: str) -> None:
    preparation = prepared(family)
    encoded = preparation.encode([SINGLE, MULTI])
    batch = preparation.collate(encoded)
    flat = batch["input_ids"].reshape(-1)
    assert torch.equal(flat[batch[ANSWER_PLACES] + 1], batch[ANSWER_IDS])
    expected = [one for each in encoded for one in each["input_ids"][each[ANSWERS]].tolist()]
    assert batch[ANSWER_IDS].tolist() == expected
    stop = preparation.chat.stop_ids[0]
    assert batch[ANSWER_IDS].tolist().count(stop) == 3, "each answer's stop token, though it is the pad token too"
    tokens = Tokens([encoded])
    assert tokens.supervised is not None
    assert tokens.supervised.sum() == len(expected)
    again = preparation.collate([tokens[0], tokens[1]])
    assert all(torch.equal(again[name], batch[name]) for name in batch)


def test_a_cut_batch_keeps_its_places() -> None:
    preparation = prepared()
    given = [SINGLE, MULTI, SYSTEM, SINGLE]
    encoded = preparation.encode(given)
    micro = Micro(np.arange(4), preparation.collate(encoded), torch.zeros(4), 4)
    for part in micro.cut(3):
        alone = preparation.collate([encoded[at] for at in part.positions])
        assert {name: value.tolist() for name, value in part.batch.items()} == {
            name: value.tolist() for name, value in alone.items()
        }


def test_longer_conversations() -> None:
    whole = prepared().encode([SINGLE])[0]
    length, first = len(whole["input_ids"]), int(whole[ANSWERS].argmax())
    with pytest.raises(DataError, match=rf"1 of 2 .*{length} tokens and the model reads 20.*--too-long cut"):
        prepared(most=20).encode([SINGLE, chat(("s", ""), ("u", "a"), ("a", "b"))])
    cut = prepared("llama3", 20, too_long="cut").encode([SINGLE])[0]
    full = prepared("llama3").encode([SINGLE])[0]
    assert cut["input_ids"].tolist() == [full["input_ids"][0], *full["input_ids"][-19:]], "the begin token stays"
    assert cut["input_ids"][cut[ANSWERS]].tolist() == full["input_ids"][full[ANSWERS]].tolist()
    with pytest.raises(DataError, match="from its first answer on"):
        prepared(most=length - first - 1, too_long="cut").encode([SINGLE])


def test_a_long_question_is_cut_for_its_answer_as_in_training() -> None:
    """The end of the prompt and the begin token stay; at least half of what the model reads is left for the prompt."""
    whole = prepared("llama3").chat.prompt_ids([SINGLE])[0]
    cut = prompts_of(prepared("llama3", 30, too_long="cut"), [SINGLE], most=10)[0]
    assert cut == [whole[0], *whole[-19:]]
    assert len(prompts_of(prepared("llama3", 30, too_long="cut"), [SINGLE], most=1_000)[0]) == 15
    assert prompts_of(prepared("llama3", 512, too_long="cut"), [SINGLE], most=10) == [whole]
    with pytest.raises(DataError, match=f"the question has {len(whole)} tokens"):
        prompts_of(prepared("llama3", 30), [SINGLE], most=10)


def test_the_template_travels() -> None:
    preparation = prepared(None, trained="last", too_long="cut")
    assert "chat" not in preparation.to_json(), "classification does not read it"
    preparation.encode([SINGLE])
    record = preparation.to_json()
    assert "Assistant:" in record["chat"]["template"]
    assert record["chat"]["stop"] == [0]
    again = TextPreparation.from_json(record, chatting(None))
    assert again.to_json() == record
    assert (again.trained, again.too_long) == ("last", "cut")
    # a base whose template has changed since renders as in training
    later = chatting(None, "{{ messages[0].content + eos_token }}")
    assert TextPreparation.from_json(record, later).chat.prompt_ids([SINGLE]) == preparation.chat.prompt_ids([SINGLE])
    with pytest.raises(ArtifactError):
        TextPreparation.from_json(record, chatting("chatml"))


def test_choices_for_conversations_belong_to_the_model(tmp_path: Path) -> None:
    """So that an artifact loads its base again with them."""
    folder = save("gpt2", tmp_path / "gpt2")
    loaded = load(folder, train_on="last", too_long="cut")
    preparation = loaded.preparation
    assert isinstance(preparation, TextPreparation)
    assert (preparation.trained, preparation.too_long) == ("last", "cut")
    assert {name: loaded.options[name] for name in ("train_on", "too_long")} == {"train_on": "last", "too_long": "cut"}
    with pytest.raises(ConfigurationError, match=r"unknown train_on 'first'.*all, last"):
        load(folder, train_on="first")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="reads images"):
        load(save("vit", tmp_path / "vit"), too_long="cut")
