"""Text of answers while they arrive: stops are cut exactly, characters are never torn."""

from __future__ import annotations

import pytest
import torch

from backbones.tiny import bytelevel
from engine.decoding.tiny import causal, network_of
from headstart.engine.decoding.decoder import Decoder
from headstart.engine.decoding.live import Live
from headstart.engine.decoding.request import Answer, Request
from headstart.engine.decoding.sampling import Draws

TOKENIZER = bytelevel()


def said(text: str | bytes, stops: tuple[str, ...] = (), most: int = 100) -> tuple[list[str], Answer | None]:
    """The pieces of an answer whose tokens are the bytes of a text."""
    names = {byte: sign for sign, byte in _bytes().items()}
    raw = text.encode() if isinstance(text, str) else text
    live = Live(0, Request([1], most, stop_ids=[0], stops=stops), TOKENIZER, True)
    pieces: list[str] = []
    for byte in raw:
        ended = live.takes(TOKENIZER.convert_tokens_to_ids(names[byte]))
        piece = live.piece(ended)
        pieces.append(piece.text)
        if ended:
            return pieces, piece.answer
    return pieces, live.piece(live.takes(0)).answer


def _bytes() -> dict[str, int]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return {sign: byte for byte, sign in bytes_to_unicode().items()}


def test_characters_of_many_bytes_are_whole() -> None:
    pieces, answer = said("aé€😀b")
    assert pieces == ["a", "", "é", "", "", "€", "", "", "", "😀", "b"]
    assert answer is not None
    assert (answer.text, answer.ended, answer.tokens_out) == ("aé€😀b", "stop", 12)
    pieces, answer = said("a€", most=2)
    assert pieces == ["a", "\N{REPLACEMENT CHARACTER}"]
    assert answer is not None
    assert (answer.text, answer.ended) == ("".join(pieces), "length")
    pieces, answer = said(b"a\xe2\x82b")
    assert "".join(pieces) == "a\N{REPLACEMENT CHARACTER}b"


def test_a_stop_token_is_counted_and_not_shown() -> None:
    a, b = TOKENIZER.encode("ab", add_special_tokens=False)
    live = Live(0, Request([1], stop_ids=[b]), TOKENIZER, True)
    assert live.takes(a) is None
    assert live.takes(b) == "stop"
    assert live.piece("stop").answer == Answer((a, b), "a", "stop", 1)


@pytest.mark.parametrize(
    ("text", "stops", "cut"),
    [
        ("one\n\ntwo", ("\n\n",), "one"),
        ("one\ntwo\n\n", ("\n\n",), "one\ntwo"),
        ("aaab", ("aab",), "a"),
        ("xabc", ("xabc", "ab"), "x"),
        ("so €€ far", ("€ f",), "so €"),
        ("so €€ far", ("€€ f",), "so "),
        ("END", ("END",), ""),
        ("EN", ("END",), "EN"),
    ],
)
def test_stops(text: str, stops: tuple[str, ...], cut: str) -> None:
    """One by one or all at once, and nothing is given out that a stop then takes back."""
    pieces, answer = said(text, stops)
    assert answer is not None
    assert answer.text == cut
    assert cut.startswith("".join(pieces))
    assert answer.ended == "stop"
    if len(cut) < len(text):
        assert "".join(pieces) == cut


def test_stops_inside_one_token() -> None:
    """The text up to the stop that is complete first, wherever tokens end."""
    live = Live(0, Request([1], stops=("xabc", "ab")), TOKENIZER, True)
    live.text.tokenizer = type("Whole", (), {"decode": lambda *_, **__: "wxabcd"})()
    assert live.takes(5) == "stop"
    assert live.piece("stop").text == "wx"


@pytest.mark.parametrize("stops", [(), ("a", "\n", "é")])
def test_pieces_join_to_the_answer(stops: tuple[str, ...]) -> None:
    network = network_of(causal("llama"))
    requests = [Request([3, 4, seed + 1], 40, stops=stops, temperature=2.0, seed=seed) for seed in range(6)]
    answers = Decoder(network, 4).answers(requests)
    joined = dict.fromkeys(range(6), "")
    for piece in Decoder(network, 4).stream(requests):
        joined[piece.number] += piece.text
        if piece.answer:
            assert piece.answer == answers[piece.number]
    assert [*joined.values()] == [answer.text for answer in answers]
    if stops:
        assert {answer.ended for answer in answers} >= {"stop"}
        assert not any(stop in answer.text for answer in answers for stop in stops)


def test_draws_follow_the_probabilities() -> None:
    scores = torch.tensor([1.0, 3.0, 2.0, -9.0]).log_softmax(-1)
    draws = Draws(Request([1], temperature=0.5, seed=1))
    counts = torch.bincount(torch.tensor([draws.token(scores) for _ in range(4000)]), minlength=4) / 4000
    assert torch.allclose(counts, (2 * scores).softmax(-1), atol=0.03)
    nucleus = Draws(Request([1], temperature=1.0, top_p=0.7, seed=1))
    assert {nucleus.token(scores) for _ in range(200)} == {1, 2}, "0.66 + 0.24 is the first sum of at least 0.7"
    assert {Draws(Request([1], temperature=1e-3, seed=s)).token(scores) for s in range(20)} == {1}
