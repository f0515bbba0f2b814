"""Continuous batching: answers of a causal language model in a batch that rows join and leave between steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from headstart.core.errors import ConfigurationError
from headstart.engine.decoding.likelihoods import Ids, batches, shared_length
from headstart.engine.decoding.live import Ended, Live
from headstart.engine.decoding.network import Network
from headstart.engine.decoding.request import Answer, Piece, Request
from headstart.engine.decoding.sampling import chosen
from headstart.engine.decoding.stores import Branch, Rows

MOST_ROWS = 16
MOST_TOKENS = 1 << 15


class Decoder:
    """Answers requests in one batch: a row leaves when its answer ends, and the next request takes its place.

    An answer is that of its request alone, within rounding: no row shares keys and values with another, and no request
    that samples shares its generator. Make and use a decoder inside the context in which a plan is applied.

        decoder = Decoder(opened(body, head, tokenizer, compute()))
        answers = decoder.answers([Request(ids, stop_ids=[tokenizer.eos_token_id]) for ids in prompts])
        for piece in decoder.stream([request]):
            print(piece.text, end="")

    A server calls `add`, `cancel` and `step` itself. All but `cancel` belong to one thread.

    most_rows: answers that are written at once.
    most_tokens: tokens for whose keys and values memory is held at most, shared ones and prompts being read left out.
        A request waits until it fits with every row at its longest.
    """

    def __init__(self, network: Network, most_rows: int = MOST_ROWS, most_tokens: int = MOST_TOKENS) -> None:
        if most_rows < 1:
            raise ConfigurationError(f"a decoder writes at least 1 answer at once, not {most_rows}.")
        self.network, self.most_rows, self.most_tokens = network, most_rows, most_tokens
        self._shared: tuple[int, ...] = ()
        self._trunk = Branch()
        self._added = 0
        self.clear()

    def clear(self) -> None:
        """Drops all requests."""
        self._waiting: deque[Live] = deque()
        self._live: list[Live] = []
        self._unfinished: dict[int, Live] = {}
        self._rows = Rows()

    @property
    def busy(self) -> bool:
        return bool(self._unfinished)

    @property
    def held(self) -> int:
        """Tokens for whose keys and values memory is held."""
        return self._rows.held

    def answers(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers in the order of their requests."""
        found = dict(self.finished(requests))
        return [found[number] for number in range(len(requests))]

    def finished(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Places of requests in the list with their answers, as they end."""
        for piece in self._run(requests, streams=False):
            if piece.answer is not None:
                yield piece.number, piece.answer

    def stream(self, requests: Sequence[Request]) -> Iterator[Piece]:
        """Pieces of text as soon as they are certain; numbers are places in the list. Closing it cancels the rest."""
        return self._run(requests, streams=True)

    def _run(self, requests: Sequence[Request], streams: bool) -> Iterator[Piece]:
        if self.busy:
            raise ConfigurationError("this decoder is at work on other requests: add to them by `add`.")
        for request in requests:
            self._check(request)
        self.share([request.prompt for request in requests])
        first = self._added
        for request in requests:
            self.add(request, streams)
        try:
            while self.busy:
                for piece in self.step():
                    yield Piece(piece.number - first, piece.text, piece.answer)
        finally:
            self.clear()

    def share(self, prompts: Sequence[Ids]) -> None:
        """Reads what these prompts begin with, so that it is not read again for any prompt that begins so."""
        length = shared_length(prompts)
        shared = tuple(prompts[0][:length]) if length else ()
        if shared != self._shared:
            self._trunk, self._shared = Branch(), ()
            if shared:
                with self.network.reading():
                    self.network.states(self.network.ids([list(shared)]), self._trunk, 0)
            self._shared = shared

    def add(self, request: Request, streams: bool = True) -> int:
        """Queues a request and returns its number. streams: False to get the text with the answer alone.

        Raises `ConfigurationError` if the model can't read it or the decoder can't hold it.
        """
        self._check(request)
        new = Live(self._added, request, self.network.tokenizer, streams)
        self._added += 1
        self._waiting.append(new)
        self._unfinished[new.number] = new
        return new.number

    def cancel(self, number: int) -> None:
        """Ends a request at the next step; nothing happens to one that has ended."""
        if (one := self._unfinished.get(number)) is not None:
            one.cancelled = True

    def step(self) -> list[Piece]:
        """Cancelled requests leave, waiting ones join with their first token, and each row gets its next one."""
        pieces = [self._piece(one, "cancelled") for one in [*self._live, *self._waiting] if one.cancelled]
        self._waiting = deque(one for one in self._waiting if not one.cancelled)
        self._leave([one.cancelled for one in self._live])
        with self.network.reading():
            joining, shared = self._admitted(), len(self._shared)
            for begins in (True, False) if shared else (False,):
                group = [one for one in joining if self._begins(one) is begins or not shared]
                at = shared if begins else 0
                for batch in batches([one.request.prompt for one in group], at, self.network.batch_tokens):
                    pieces += self._join([group[number] for number in batch], at)
            if self._live:
                pieces += self._next()
        return [piece for piece in pieces if piece.text or piece.answer]

    def _check(self, request: Request) -> None:
        self.network.check(len(request.prompt), request.max_tokens)
        if (most := self._most([request])) > self.most_tokens:
            raise ConfigurationError(
                f"a prompt of {len(request.prompt)} tokens with an answer of up to {request.max_tokens} needs room for "
                f"{most} tokens, but the decoder holds {self.most_tokens}; shorten one of them, or give it more."
            )

    def _most(self, requests: Iterable[Request]) -> int:
        """Tokens of the longest row that these requests can grow to, virtual ones included."""
        return self.network.ahead + max(len(request.prompt) + request.max_tokens for request in requests)

    def _admitted(self) -> list[Live]:
        """The requests that join now, in the order in which they came."""
        rows, joining = [one.request for one in self._live], list[Live]()
        while self._waiting and len(rows) < self.most_rows:
            rows.append(self._waiting[0].request)
            if len(rows) * self._most(rows) > self.most_tokens:
                break
            joining.append(self._waiting.popleft())
        return joining

    def _begins(self, one: Live) -> bool:
        """True if a prompt begins with the shared tokens and goes on."""
        prompt, length = one.request.prompt, len(self._shared)
        return len(prompt) > length and tuple(prompt[:length]) == self._shared

    def _join(self, group: list[Live], at: int) -> list[Piece]:
        """Reads prompts from token `at` on, gives each its first token, and makes rows of those that go on."""
        prompts = [list(one.request.prompt[at:]) for one in group]
        ids, branch = self.network.ids(prompts), self._trunk.forked() if at else Branch()
        hidden = self.network.states(ids, branch, at)  # [B, T, D]
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=ids.device)
        pieces, ended = self._given(group, hidden[torch.arange(len(group), device=ids.device), last])
        before = branch.columns - ids.shape[1]  # shared and virtual tokens
        staying = [row for row, how in enumerate(ended) if how is None]
        if staying:
            longest = before + max(len(prompts[row]) for row in staying)
            most = self._most(one.request for one in [*self._live, *group])
            self._rows.reserve(branch.own, len(staying), longest, most)
        for row in staying:
            self._rows.join(branch.row(row, before + len(prompts[row])))
            self._live.append(group[row])
        return pieces

    def _next(self) -> list[Piece]:
        """Reads the last token of each row, and gives it the next."""
        self._rows.room(self._most(one.request for one in self._live))
        ids = self.network.ids([one.ids[-1:] for one in self._live])  # [B, 1]
        places = [[len(one.request.prompt) + len(one.ids) - 1] for one in self._live]
        at = torch.tensor(places, device=ids.device)  # [B, 1]
        hidden = self.network.states(ids, self._rows, at, self._rows.mask())  # [B, 1, D]
        pieces, ended = self._given(self._live, hidden[:, 0])
        self._leave(ended)
        return pieces

    def _given(self, group: list[Live], states: Tensor) -> tuple[list[Piece], list[Ended | None]]:
        """Gives each the token that its state [B, D] chooses; returns the pieces and how answers ended."""
        tokens = chosen(self.network.scores(states), [one.draws for one in group])
        ended = [one.takes(token) for one, token in zip(group, tokens)]
        return [self._piece(one, how) for one, how in zip(group, ended)], ended

    def _piece(self, one: Live, ended: Ended | None) -> Piece:
        if ended:
            del self._unfinished[one.number]
        return one.piece(ended)

    def _leave(self, gone: Sequence[object]) -> None:
        """Frees the places of rows for which `gone` is true; the last rows move there."""
        for row in reversed(range(len(gone))):
            if gone[row]:
                self._rows.leave(row)
                self._live[row] = self._live[-1]
                self._live.pop()
