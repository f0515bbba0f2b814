"""The command line that repeats a comparison, from the options in its record."""

from __future__ import annotations

import shlex
from typing import Any


def command(configuration: dict[str, Any]) -> str:
    """`headstart compare --data q.csv --seeds 1,2,3 --no-cache`; empty where the record holds no options.

    An option `command` is taken as it stands. Else each option is a flag: booleans are `--name` or `--no-name`,
    lists are joined by commas (test files each have their flag), dicts give `name=value` pairs, None is left out.
    """
    if not configuration:
        return ""
    if isinstance(configuration.get("command"), str):
        return str(configuration["command"])
    words = ["headstart", "compare"]
    for name, option in configuration.items():
        flag = "--" + str(name).replace("_", "-")
        if option is None or option == [] or option == () or option == {}:
            continue
        if isinstance(option, bool):
            words.append(flag if option else "--no-" + flag[2:])
        elif name == "test" and isinstance(option, (list, tuple)):
            words += [word for file in option for word in (flag, str(file))]
        elif isinstance(option, (list, tuple)):
            words += [flag, ",".join(map(str, option))]
        elif isinstance(option, dict):
            words += [flag, ",".join(f"{key}={value}" for key, value in option.items())]
        else:
            words += [flag, str(option)]
    return shlex.join(words)
