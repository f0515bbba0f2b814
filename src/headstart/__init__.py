"""Headstart: transfer learning, compared honestly.

    import headstart
    headstart.compare("reviews.csv", "sentence-transformers/all-MiniLM-L6-v2")

Everything is imported when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import headstart.report  # noqa: F401 - records learn how they are shown

if TYPE_CHECKING:
    from headstart.api import compare as compare
    from headstart.api import curve as curve
    from headstart.api import find_rate as find_rate
    from headstart.api import fit as fit
    from headstart.api import improve as improve
    from headstart.api import judge as judge
    from headstart.api import load as load
    from headstart.api import predict as predict
    from headstart.api import pretrain as pretrain
    from headstart.api import rank as rank
    from headstart.api import read as read
    from headstart.artifacts.bank.adapters import Adapters as Adapters
    from headstart.artifacts.exchange.tracking import log as log

__all__ = [
    "Adapters", "compare", "curve", "find_rate", "fit", "improve", "judge", "load", "log", "predict", "pretrain",
    "rank", "read",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "Adapters":
        from headstart.artifacts.bank.adapters import Adapters

        return Adapters
    if name == "log":
        from headstart.artifacts.exchange.tracking import log

        return log
    if name == "__version__":
        from importlib.metadata import version

        return version("headstart")
    if name in __all__:
        from headstart import api

        return getattr(api, name)
    raise AttributeError(f"module 'headstart' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
