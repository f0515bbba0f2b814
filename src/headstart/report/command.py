"""The command line that repeats a comparison, from the options in its record."""

from __future__ import annotations

import shlex
from typing import Any

FLAGLESS = ("cache", "cache_bytes", "clip", "patience", "seed")
"options that Python takes and the command line has no flag for; the one that can be True, `cache`, is so by default"


def command(configuration: dict[str, Any]) -> str:
    """`headstart compare q.csv --seeds 3 --race`; empty where the record holds no options.

    An option `command` is taken as it stands. Else each option is a flag: what is false or None is left out, lists are
    joined by commas (test files each have their flag), and each setting has a `--set` of its own. What no flag can say
    is read from the run's configuration file. Empty, too, for data or a model that Python handed over as objects.
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
    """Whether flags can say it: a column's name with a comma would be read as two columns."""
    text = configuration.get("text")
    return not (isinstance(text, (list, tuple)) and any("," in str(name) for name in text))


def _setting(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
