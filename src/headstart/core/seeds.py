"""Seeds: every random choice has a name, so that changing one leaves the others as they were."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: object) -> int:
    """A seed in [0, 2^63) for the choice called `names` under `seed`: the first 8 bytes of BLAKE2b over both."""
    text = "\x1f".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
