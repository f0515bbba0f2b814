"""A conversation token by token in the terminal; trained tokens are in brackets, and coloured on a terminal."""

from __future__ import annotations

from itertools import groupby

from headstart.core.records.data import TokensRecord

TRAINED, OTHER, PLAIN = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"
BREAK = "⏎"
"sign for a line break, which is also made"


def tokens(record: TokensRecord) -> str:
    """Heading and text; tokens are parted by a bar."""
    parts = []
    for trained, run in groupby(zip(record.tokens, record.trained), key=lambda pair: pair[1]):
        text = "│".join(token.replace("\n", f"{BREAK}\n") for token, _ in run)
        parts.append(f"{TRAINED}⟦{text}⟧{PLAIN}" if trained else f"{OTHER}{text}{PLAIN}")
    return f"{record.place}: {len(record.tokens):,} tokens, {sum(record.trained):,} trained\n{''.join(parts)}\n"
