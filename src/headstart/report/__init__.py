"""Pages, terminal tables, charts and model cards: pure functions of records.

Importing this package registers the renderers of records; each renderer is imported at its first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from headstart.core.showing import HTML, TEXT


def _late(module: str, function: str) -> Callable[[Any], str]:
    def render(record: Any) -> str:
        found: str = getattr(importlib.import_module(f"headstart.report.{module}"), function)(record)
        return found

    return render


TEXT["Comparison"] = _late("terminal.comparison", "table")
HTML["Comparison"] = _late("pages.comparison", "fragment")
TEXT["Improvement"] = _late("terminal.improvement", "text")
TEXT["Data"] = lambda data: _late("terminal.comparison", "audit")(data.record)
HTML["Data"] = lambda data: _late("pages.comparison", "audit_fragment")(data.record)
