"""Runs a benchmark: python benchmarks/run.py NAME [--quick] [--repeats N] [options of the case]

    python benchmarks/run.py --list            what each measures, and how long it last took
    python benchmarks/run.py NAME --help       how it measures, and its options
    python benchmarks/run.py report            all pages of docs/ from the results
    python benchmarks/run.py pictures          the README's pictures; wants playwright and Chromium
    python benchmarks/run.py data [NAME …]     where the data comes from, and whether it is what was measured on

A case writes benchmarks/results/NAME.json (the environment variable HEADSTART_RESULTS names another folder). With
--quick it takes little data and one repeat, and its result goes to runs/bench-quick, which no page reads.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.lib import results
from benchmarks.lib.cases import UnknownCase, all_cases, case_named
from benchmarks.lib.took import took

OTHERS = {"report": "benchmarks.pages.report", "pictures": "benchmarks.pages.pictures", "data": "benchmarks.lib.fetch"}
"names that are no cases, and whose `main` does them"


def listing() -> str:
    cases = all_cases()
    wide = max(map(len, cases))
    return "\n".join(f"{name:<{wide}}  {took(case.results):<16}  {case.summary}" for name, case in cases.items())


def run(name: str, given: list[str]) -> None:
    """Measures, and keeps what the case yields each time, with the command and the seconds so far."""
    case = case_named(name)
    if "--quick" in given:
        os.environ["HEADSTART_RESULTS"] = os.environ.get("HEADSTART_RESULTS") or str(results.TRIES)
    options = case.options(given)
    told = [Path(word).name if word.startswith("/") else word for word in given]  # not this machine's folders
    start = time.perf_counter()
    for result, found in case.measure(**options):
        ran = {"command": shlex.join(["run.py", name, *told]), "seconds": round(time.perf_counter() - start, 1)}
        results.write(result, found | {"ran": ran})
        print(f"{results.path_of(result)} after {ran['seconds']:.0f} s", flush=True)


def alone(function: str, given: str) -> None:
    """For `timing.alone`: the function's value as the last line that is printed."""
    module, _, name = function.partition(":")
    print(json.dumps(getattr(importlib.import_module(f"benchmarks.cases.{module}"), name)(*json.loads(given))))


def main(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        print(__doc__)
    elif given[0] == "--list":
        print(listing())
    elif given[0] == "--alone":
        alone(*given[1:])
    elif given[0] in OTHERS:
        importlib.import_module(OTHERS[given[0]]).main(*given[1:])
    else:
        try:
            run(given[0], given[1:])
        except UnknownCase as error:
            print(error, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
