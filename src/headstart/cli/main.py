"""The command line. Each verb is a file; what it needs is imported when it runs, so that `--help` is instant."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click

from headstart.core.errors import HeadstartError, suggestion

VERBS = {
    "compare": "try every way of adapting a model on your data, and say which to use",
    "fit": "adapt a model with one method",
    "evaluate": "judge a run's model against its base: gains, losses, cost; a gate for releases",
    "improve": "propose what to change in a run, and try it on validation",
    "curve": "say how quality grows with labels, and how many more would reach a goal",
    "predict": "label new examples with a run's model",
    "rank": "say which of many pretrained models fits your data, before training any",
    "runs": "list the runs there were; show one, diff two",
    "inspect": "draw a model's ladder: rungs, sizes, what trains, where it is cut",
    "export": "write a run's model as an ordinary checkpoint, or as an adapter for PEFT",
    "adopt": "read an adapter that PEFT wrote as a run",
    "find-rate": "find a learning rate by a short training in which it rises",
    "methods": "list the methods and their settings",
    "pretrain": "train a backbone from scratch",
    "zeroshot": "classify images by labels told in words, with CLIP; nothing is trained",
    "vectors": "ask word vectors: neighbours, analogies, a benchmark; convert them",
}

NO_ROOM = "the machine ran out of memory; try a smaller --batch-tokens or a smaller model."
DEFECT = 70
"EX_SOFTWARE of sysexits.h"


class ReaderGone(Exception):
    """Whoever read standard output has closed it. Click would end with code 1, which stops scripts."""


class Verbs(click.Group):
    """Knows the verbs' names and summaries without importing them."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a full disk or a reader that has gone shows here, not when the interpreter ends
        except BrokenPipeError as error:
            raise ReaderGone from error
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"headstart.cli.verbs.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(
                f"unknown verb {args[0]!r}.{suggestion(args[0], VERBS)} Allowed: {', '.join(VERBS)}."
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headstart", prog_name="headstart")
def headstart() -> None:
    """Adapt a pretrained model to your few hundred examples, and know which way of doing so is best."""


def main(arguments: list[str] | None = None) -> None:
    """Runs a verb. A user's mistake is one message and exit code 2; Ctrl-C is 130; nothing is half-written.

    1 is a verb's own answer, such as a failed gate; a defect of Headstart itself is a traceback and 70.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    given = sys.argv[1:] if arguments is None else arguments
    _streams()
    try:
        headstart.main(args=given, prog_name="headstart", standalone_mode=False)
    except HeadstartError as error:
        _end(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        sys.exit(2)
    except click.ClickException as error:
        _end(_explained(error), 2)
    except (KeyboardInterrupt, click.Abort):
        _end(_stopped(given), 130)
    except ReaderGone:
        _forget_output()
        sys.exit(0)
    except OSError as error:
        _forget_output()
        if error.errno == errno.ENOSPC and not error.filename:  # what is written to files names its place
            _end(f"the output can't be written: {error.strerror}. What the command made in files is whole.", 2)
        where = f" ({error.filename})" if error.filename else ""
        _end(f"the system does not allow it: {error.strerror or error}{where}. Nothing was half-written.", 2)
    except MemoryError:
        _end(NO_ROOM, 2)
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error):  # torch's
            _end(NO_ROOM, 2)
        traceback.print_exc()  # a defect of Headstart's
        sys.exit(DEFECT)


def _streams() -> None:
    """Output that can always be written: nowhere where it was closed, `?` for letters that its encoding lacks."""
    if not (sys.stderr and sys.stderr.isatty()):
        os.environ.setdefault("TQDM_DISABLE", "1")  # the bars of other libraries are for terminals
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")  # our own limit decides, and says so
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process lives
        elif hasattr(stream, "reconfigure") and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    """Nobody reads what is still buffered; flushing it when the interpreter ends must not fail again."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives


def _explained(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None or context.parent is None:
        return message
    return f"{message}{'' if message.endswith(('.', ')', '?')) else '.'} See `{context.command_path} --help`."


def _stopped(arguments: Sequence[str]) -> str:
    if arguments and arguments[0] in ("compare", "fit", "curve"):
        if "--resume" in arguments:
            return "stopped. What was finished is kept; the same command goes on from there."
        return "stopped. What was finished is kept; the same command with --resume goes on from there."
    if arguments and arguments[0] == "pretrain":
        if "".join(arguments[1:2]) in ("skipgram", "cbow"):  # gensim keeps nothing
            return "stopped. What was counted is kept; the same command begins the training of the vectors anew."
        return "stopped. The same command goes on from what was finished."
    return "stopped. Nothing was half-written."


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"headstart: {message}\n")
    sys.exit(code)
