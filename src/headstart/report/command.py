"""The command line that repeats a comparison, from the options in its record."""

from __future__ import annotations

import shlex
from typing import Any


def command(configuration: dict[str, Any]) -> str:
    """`headstart compare q.csv --seeds 3 --race`; empty where the record holds no options.

    An option `command` is taken as it stands. Else each option is a flag: what is false or None is left out, lists are
    joined by commas (test files each have their flag), and each setting has a `--set` of its own.
    """
    if not configuration:
        return ""
    if isinstance(configuration.get("command"), str):
        return str(configuration["command"])
    words = ["headstart", "compare"]
    if configuration.get("data") is not None:
        words.append(str(configuration["data"]))
    for name, option in configuration.items():
        flag = "--" + str(name).replace("_", "-")
        if name == "data" or (not option and option != 0) or option is False:
            continue
        if option is True:
            words.append(flag)
        elif name == "test" and isinstance(option, (list, tuple)):
            words += [word for file in option for word in (flag, str(file))]
        elif isinstance(option, (list, tuple)):
            words += [flag, ",".join(map(str, option))]
        elif isinstance(option, dict):
            words += [word for key, value in option.items() for word in ("--set", f"{key}={value}")]
        else:
            words += [flag, str(option)]
    return shlex.join(words)
