"""Likelihoods of choices as answers to prompts, with the tokens that all prompts begin with read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from headstart.core.errors import ConfigurationError
from headstart.engine.decoding.network import Network
from headstart.engine.decoding.stores import Branch

SCORED = 64
"hidden states whose scores over the vocabulary are held at once"

Ids = Sequence[int]
Beginning = tuple[int, tuple[int, ...]]
"number of a prompt, and the first tokens of a choice"


@dataclass(frozen=True)
class Likelihood:
    """log_p: log probability of all tokens of a choice, in nats. bytes: of its text without blanks around it."""

    log_p: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class Begun:
    """Tokens that all prompts of several calls begin with, and their keys and values while the body stays the same."""

    ids: tuple[int, ...]
    trunk: Branch


def begun(network: Network, ids: Ids) -> Begun:
    """Reads these tokens, at least one."""
    trunk = Branch()
    with network.reading():
        network.states(network.ids([list(ids)]), trunk, 0)
    return Begun(tuple(ids), trunk)


def likelihoods(
    network: Network, prompts: Sequence[Ids], choices: Sequence[Sequence[Ids]], batch_tokens: int | None = None,
    after: Begun | None = None,
) -> list[list[Likelihood]]:  # fmt: skip
    """`sum over t of log p(choice_t | prompt, choice_<t)` of each choice after each prompt.

    prompts: token ids of whole prompts, demonstrations included. What all of them begin with is found and read once.
    choices: for each prompt the token ids of its choices, with the blank that divides a choice from its prompt. Choices
        of one token need the prompt's last scores alone; longer ones are read after it, equal beginnings once.
    batch_tokens: tokens of prompts, without the shared ones, that are read at once; None for the network's default.
    after: what all prompts begin with, if it was read before; each has more tokens.

    Raises `ConfigurationError` for an empty prompt or choice, and for one that is longer than the model reads.

        network = opened(body, head, tokenizer, compute())    # for a tuned model inside `plan.applied(…)`
        words = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in ("good", "bad")]
        found = likelihoods(network, prompts, [words] * len(prompts))
        best = [max(range(2), key=lambda at: each[at].log_p) for each in found]
    """
    if len(prompts) != len(choices):
        raise ConfigurationError(f"{len(prompts)} prompts have {len(choices)} lists of choices; give one for each.")
    for prompt, own in zip(prompts, choices):
        if not all(map(len, own)):
            raise ConfigurationError("a choice has no tokens, so that it has no likelihood; give it a text.")
        network.check(len(prompt), max(map(len, own), default=1) - 1)
    sums: dict[Beginning, float] = {}
    if after is None and (alike := shared_length(prompts)):
        after = begun(network, prompts[0][:alike])
    shared = len(after.ids) if after else 0
    if after:
        begin_so = [len(one) > shared and tuple(one[:shared]) == after.ids for one in prompts]
        assert all(begin_so)
    with network.reading():
        for batch in batches(prompts, shared, batch_tokens or network.batch_tokens):
            branch = after.trunk.forked() if after else Branch()
            sums |= _of_batch(network, branch, shared, batch, prompts, choices)
    size = {tuple(choice): _bytes(network, choice) for own in choices for choice in own}
    return [
        [Likelihood(sums[number, tuple(c)], len(c), size[tuple(c)]) for c in own] for number, own in enumerate(choices)
    ]


def shared_length(prompts: Sequence[Ids]) -> int:
    """Number of tokens that all prompts begin with; one at least is left to each. 0 for a single prompt."""
    if len(prompts) < 2:
        return 0
    # the first and the last in the order of their ids differ where any two do
    first, last = min(prompts, key=list), max(prompts, key=list)
    least = min(map(len, prompts)) - 1
    return next((at for at in range(least) if first[at] != last[at]), least)


def batches(prompts: Sequence[Ids], shared: int, most: int) -> Iterator[list[int]]:
    """Numbers of prompts of like length, longest first, so that the first batch needs the most memory."""
    batch: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda n: -len(prompts[n])):
        if batch and (len(batch) + 1) * (len(prompts[batch[0]]) - shared) > most:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _of_batch(
    network: Network, branch: Branch, shared: int, batch: list[int], prompts: Sequence[Ids],
    choices: Sequence[Sequence[Ids]],
) -> dict[Beginning, float]:  # fmt: skip
    """The sum of each choice of these prompts."""
    rows = network.ids([list(prompts[number][shared:]) for number in batch])  # [B, T]
    hidden = network.states(rows, branch, shared)  # [B, T, D]
    last = torch.tensor([len(prompts[number]) - shared - 1 for number in batch], device=hidden.device)
    states = [hidden[torch.arange(len(batch), device=hidden.device), last]]  # [B, D]
    beginnings: list[Beginning] = [(number, ()) for number in batch]
    before = branch.columns - rows.shape[1]  # shared and virtual tokens
    # prompts of one length at a time, because empty places between prompt and choice would shift sliding windows
    for length, same in groupby(enumerate(batch), key=lambda pair: len(prompts[pair[1]])):
        paths = [(row, number, path) for row, number in same for path in _paths(choices[number])]
        if not paths:
            continue
        kept = branch.taken([row for row, _, _ in paths], before + length - shared)
        further = network.states(network.ids([list(path) for _, _, path in paths]), kept, length)  # [R, L, D]
        at = {(n, path[: j + 1]): (row, j) for row, (_, n, path) in enumerate(paths) for j in range(len(path))}
        beginnings += at
        where = torch.tensor([*at.values()], device=hidden.device)  # [S, 2]
        states.append(further[where[:, 0], where[:, 1]])  # [S, D]
    return _summed(network, torch.cat(states), beginnings, {n: [tuple(c) for c in choices[n]] for n in batch})


def _paths(choices: Sequence[Ids]) -> list[tuple[int, ...]]:
    """The choices without their last tokens: no empty one, and none that another one begins with."""
    inner = {tuple(choice[:-1]) for choice in choices}
    return sorted(p for p in inner if p and not any(o != p and o[: len(p)] == p for o in inner))


def _summed(
    network: Network, states: Tensor, beginnings: list[Beginning], choices: dict[int, list[tuple[int, ...]]]
) -> dict[Beginning, float]:
    """Adds up log p of each token of each choice, from the state after what comes before it."""
    place = {beginning: at for at, beginning in enumerate(beginnings)}
    whole = {(number, choice) for number, own in choices.items() for choice in own}
    asked = [(key, place[key[0], key[1][:j]], key[1][j]) for key in whole for j in range(len(key[1]))]
    if not asked:
        return {}
    rows, tokens = torch.tensor([pair[1:] for pair in asked], device=states.device).T
    values = torch.zeros(len(asked), dtype=torch.float64, device=states.device)
    for begin in range(0, len(states), SCORED):
        here = (rows >= begin) & (rows < begin + SCORED)
        values[here] = network.log_p(states[begin : begin + SCORED])[rows[here] - begin, tokens[here]].double()
    sums = dict.fromkeys(whole, 0.0)
    for (key, _, _), value in zip(asked, values.tolist()):
        sums[key] += value
    return sums


def _bytes(network: Network, choice: Ids) -> int:
    return len(network.tokenizer.decode(list(choice)).strip().encode())
