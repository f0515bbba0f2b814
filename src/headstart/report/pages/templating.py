"""Common parts of the pages: Jinja's environment, style, scripts and the embedded record."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from headstart.core.records.record import Record
from headstart.report import format as fmt
from headstart.report.pages import dataset

SWITCH_ON = "document.documentElement.classList.add('js')"


def frame(record: Record, *scripts: str) -> dict[str, Any]:
    """Values for a page's template: style, scripts with their hashes for the Content-Security-Policy, the record."""
    script = "\n".join(map(_text, scripts))
    return {
        "style": Markup(_text("page.css")), "script": Markup(script), "switch_on": Markup(SWITCH_ON),
        "script_hashes": [_hash(SWITCH_ON), _hash(script)], "record": _embedded(record),
    }  # fmt: skip


def _embedded(record: Record) -> Markup:
    """The record as JSON that can't end its script element: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _text(name: str) -> str:
    return (resources.files("headstart.report") / "templates" / name).read_text(encoding="utf-8")


@functools.cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = ("value", "interval", "p_value", "count", "needed", "whole", "share", "size", "seconds",
                 "learning_rate", "setting", "metric_name", "metric_heading", "is_percent", "finite",
                 "margin")  # fmt: skip
    made.globals.update({name: getattr(fmt, name) for name in functions})
    made.globals.update(class_counts=dataset.class_counts, findings=dataset.findings)
    made.globals.update(settings=_settings)
    made.filters["name"] = _name
    made.filters["minus"] = lambda text: str(text).replace("-", "−") if str(text)[:1] in "-[" else text
    return made


def _name(source: str) -> str:
    """Name of a model or a data set in a heading; the last part of an absolute path."""
    return Path(source).name if source.startswith(("/", "~")) else source


def _settings(record: Any) -> dict[str, Any]:
    """The fields of a record as a dict."""
    return dataclasses.asdict(record) if dataclasses.is_dataclass(record) else dict(record)  # type: ignore[arg-type]
