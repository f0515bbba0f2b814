"""Command lines that repeat a comparison, from the options in its record, and follow-up commands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from headstart.core.records.comparison import Comparison

FLAGLESS = ("cache", "cache_bytes", "clip", "patience", "seed")
"options of the Python API without a flag; `cache`, the only one that can be True, has this default"


def command(configuration: dict[str, Any]) -> str:
    """`headstart compare q.csv --seeds 3 --race`; empty if the record holds no options.

    An option `command` is used literally. Else each option becomes a flag: False and None are omitted, lists are joined
    by commas (each test file has its flag), and each setting has its `--set`. Options without a flag are read from the
    run's configuration file. Also empty if the data or the model were Python objects.
    """
    if not configuration or configuration.get("from_python"):
        return ""
    if isinstance(configuration.get("command"), str):
        return str(configuration["command"])
    if any(configuration.get(name) not in (None, True) for name in FLAGLESS) or not _said(configuration):
        return "headstart compare --config configuration.json"
    words = ["headstart", "compare"]
    if configuration.get("data") is not None:
        words.append(str(configuration["data"]))
    for name, option in configuration.items():
        flag = "--" + str(name).replace("_", "-")
        if name in ("data", "from_python", *FLAGLESS) or (not option and option != 0) or option is False:
            continue
        if option is True:
            words.append(flag)
        elif name == "test" and isinstance(option, (list, tuple)):
            words += [word for file in option for word in (flag, str(file))]
        elif isinstance(option, (list, tuple)):
            words += [flag, ",".join(map(str, option))]
        elif isinstance(option, dict):
            words += [word for key, value in option.items() for word in ("--set", f"{key}={_setting(value)}")]
        else:
            words += [flag, str(option)]
    return shlex.join(words)


def _said(configuration: dict[str, Any]) -> bool:
    """True if flags can express the option; a column name with a comma would be read as two columns."""
    text = configuration.get("text")
    return not (isinstance(text, (list, tuple)) and any("," in str(name) for name in text))


def _setting(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def next_steps(comparison: Comparison, folder: str | Path) -> list[tuple[str, str]]:
    """Follow-up commands on the run's model, with descriptions; empty if no model was kept."""
    used, *others = comparison.verdict.named or (None,)
    if used is None or comparison.status != "complete":
        return []
    run, source = shlex.quote(str(folder)), comparison.configuration.get("data")
    steps = [(f"Label new examples with {used}", f"headstart predict {run} INPUT …")]
    steps += [(f"The same with {name}", f"headstart predict {run} --method {name} INPUT …") for name in others]
    steps += [
        ("Better than its base, and nothing lost?", f"headstart evaluate {run}"),
        ("What to change next, tried on validation", f"headstart improve {run} --budget 10m"),
        ("A checkpoint that other libraries load, of a method that can be exported",
         f"headstart export {run} --out checkpoint"),
    ]  # fmt: skip
    if isinstance(source, str):
        model = comparison.configuration.get("model")
        words = ["headstart", "curve", source, *(["--model", model] if isinstance(model, str) else [])]
        steps.append(("What more labels would bring", shlex.join(words)))
    return steps
