"""The command line. Each verb is a file, imported only when it runs, so that `--help` is instant."""

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
    "compare": "try every way of adapting a model on your data and recommend one",
    "fit": "adapt a model with one method",
    "evaluate": "compare a tuned model with its base: gains, losses, cost; a gate for releases",
    "improve": "propose what to change in a run, and try it on validation",
    "curve": "measure how quality grows with labels, and how many more would reach a goal",
    "predict": "label new examples with a run's model",
    "chat": "talk with a run's language model, and with its base beside it",
    "rank": "rank pretrained models by how well they fit your data, before training any",
    "runs": "list your runs; show one, compare two",
    "inspect": "draw a model's ladder: rungs, sizes, trained parameters, the cut",
    "export": "write a run's model as an ordinary checkpoint, or as an adapter for PEFT",
    "adopt": "turn an adapter written by PEFT into a run",
    "find-rate": "find a learning rate by a short training with a rising rate",
    "methods": "list the methods and their settings",
    "pretrain": "train a backbone from scratch",
    "zeroshot": "classify images by the names of the classes, with CLIP; nothing is trained",
    "vectors": "query word vectors: neighbours, analogies, a benchmark; convert them",
}

NO_ROOM = "the machine ran out of memory; try a smaller --batch-tokens or a smaller model."
DEFECT = 70
"EX_SOFTWARE of sysexits.h"


class ReaderGone(Exception):
    """The reader of standard output has closed it. Caught here, because click would exit with 1 and stop scripts."""


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
            sys.stdout.flush()  # so that a full disk or a closed pipe is an error here
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
    """Adapt a pretrained model to your few hundred examples, and find out which method does it best."""


def main(arguments: list[str] | None = None) -> None:
    """Runs a verb and exits with its code.

    0: done. 1: the verb's negative answer, such as a failed gate. 2: a user's mistake, with one message. 70: a defect
    of Headstart, with a traceback. 130: Ctrl-C. Nothing is left half-written.
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
        if error.errno == errno.ENOSPC and not error.filename:  # writing to a file gives a file name
            _end(f"the output can't be written: {error.strerror}. What the command made in files is whole.", 2)
        where = f" ({error.filename})" if error.filename else ""
        _end(f"the system does not allow it: {error.strerror or error}{where}. Nothing was half-written.", 2)
    except MemoryError:
        _end(NO_ROOM, 2)
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error):  # torch's
            _end(NO_ROOM, 2)
        traceback.print_exc()  # a defect of Headstart
        sys.exit(DEFECT)


def _streams() -> None:
    """Makes output always writable: a closed stream discards it, letters that the encoding lacks become `?`."""
    if not (sys.stderr and sys.stderr.isatty()):
        os.environ.setdefault("TQDM_DISABLE", "1")  # because other libraries' progress bars fill log files
    warnings.filterwarnings(
        "ignore", message="Image size .* exceeds limit"
    )  # because Headstart has a limit with a message
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process lives
        elif hasattr(stream, "reconfigure") and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _forget_output() -> None:
    """Discards buffered output, because flushing it when the interpreter ends would fail again."""
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
            return "stopped. All finished work is kept; the same command continues from there."
        return "stopped. All finished work is kept; the same command with --resume continues from there."
    if arguments and arguments[0] == "pretrain":
        if "".join(arguments[1:2]) in ("skipgram", "cbow"):  # gensim keeps nothing
            return "stopped. The counts are kept; the same command starts the training of the vectors again."
        return "stopped. The same command continues after the finished work."
    return "stopped. Nothing was half-written."


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"headstart: {message}\n")
    sys.exit(code)
