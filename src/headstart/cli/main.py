"""The command line. Each verb is a file; what it needs is imported when it runs, so that `--help` is instant."""

from __future__ import annotations

import errno
import importlib
import os
import sys

import click

from headstart import __version__
from headstart.core.errors import HeadstartError, suggestion

VERBS = {
    "compare": "try every way of adapting a model on your data, and say which to use",
    "fit": "adapt a model with one method",
    "predict": "label new examples with a run's model",
    "inspect": "draw a model's ladder: rungs, sizes, what trains, where it is cut",
    "export": "write a run's model as an ordinary checkpoint",
    "find-rate": "find a learning rate by a short training in which it rises",
    "methods": "list the methods and their settings",
    "pretrain": "train a backbone from scratch",
}


class Verbs(click.Group):
    """Knows the verbs' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"headstart.cli.{name.replace('-', '_')}")
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
@click.version_option(__version__, prog_name="headstart")
def headstart() -> None:
    """Adapt a pretrained model to your few hundred examples, and know which way of doing so is best."""


def main(arguments: list[str] | None = None) -> None:
    """Runs a verb. A user's mistake is one message and exit code 2; Ctrl-C is 130; nothing is half-written."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        headstart.main(args=arguments, standalone_mode=False)
    except HeadstartError as error:
        _end(str(error), error.exit_code)
    except click.ClickException as error:
        _end(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _end("stopped. What was finished is kept; the same command with --resume goes on from there.", 130)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the reader has gone; flushing must not fail again
        sys.exit(0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EFBIG):
            raise
        where = f" ({error.filename})" if error.filename else ""
        _end(f"the disk does not allow it: {error.strerror}{where}. Nothing was half-written.", 2)
    except MemoryError:
        _end("the machine ran out of memory; try a smaller --batch-tokens or a smaller model.", 2)


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"headstart: {message}\n")
    sys.exit(code)
