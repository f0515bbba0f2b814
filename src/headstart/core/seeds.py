"""Seeds: every random choice derives its seed from its name, so that changing one leaves the others unchanged."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: object) -> int:
    """A seed in [0, 2^63) for the random choice `names`: the first 8 bytes of BLAKE2b over seed and names."""
    text = "\x1f".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
