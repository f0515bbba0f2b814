"""`headstart chat`: talk with a run's language model in the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

NEW = "/new"
"begins a new conversation"


@click.command("chat")
@click.argument("run")
@click.option("--against", type=click.Choice(["base"]), help="Show the answers of the base model too")
@click.option("--system", metavar="TEXT", help="System turn before the first question")
@click.option("--max-tokens", type=click.IntRange(1), help="Maximum tokens of an answer [default: as in the training]")
@click.option("--temperature", type=click.FloatRange(0), default=0.0, help="0 for the likeliest tokens [default: 0]")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Nucleus sampling [default: 1]")
@click.option("--seed", type=int, default=0, help="Seed of the draws at a temperature above 0 [default: 0]")
@click.option("--method", metavar="NAME", help="Method of the run whose model talks [default: the recommended one]")
@click.option("--model", metavar="NAME|DIR", help="New place of the base [default: its place in training]")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Number format [default: that of the test]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute [default: auto]")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
def command(
    run: str, against: str | None, system: str | None, max_tokens: int | None, temperature: float, top_p: float,
    seed: int, method: str | None, model: str | None, precision: str | None, device: str | None,
    trust_remote_code: bool,
) -> None:  # fmt: skip
    """Talk with the language model of RUN, a folder or a number of `headstart runs`.

    Each line is a question; the answer appears as it is written. Ctrl-C ends an answer, /new begins a new conversation,
    an end of input (Ctrl-D) ends the talk.
    """
    from headstart.artifacts.artifact import Artifact
    from headstart.artifacts.dialogue import Manner, check_talks, with_base, with_tuned
    from headstart.artifacts.predictor import Predictor
    from headstart.core.disk.history import folder_of
    from headstart.core.disk.kept import model_of
    from headstart.core.errors import DataError

    folder = model_of(folder_of(run), method)
    artifact = Artifact.open(folder)
    check_talks(artifact, run)
    manner = Manner(system, max_tokens, temperature, top_p, seed)
    place = {"source": model, "device": device, "precision": precision, "trust_remote_code": trust_remote_code}
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stdout(sys.stderr):  # because libraries print while they load
            predictor = Predictor(folder, **place)  # type: ignore[arg-type]
            stack.callback(predictor.close)
            talks = {artifact.method: with_tuned(predictor, manner)}
            if against:
                talks = {"base": stack.enter_context(with_base(artifact, manner, **place)), **talks}  # type: ignore[arg-type]
        for question in _questions():
            if question == NEW:
                for talk in talks.values():
                    talk.clear()
                continue
            for name, talk in talks.items():
                if against:
                    click.echo(f"{name}: ", nl=False)
                try:
                    _shown(talk.answer(question))
                except DataError as error:
                    click.echo(f"{error} {NEW} begins a new conversation.", err=True)


def _questions() -> Iterator[str]:
    """Lines of standard input that are not blank, with a prompt in a terminal."""
    terminal = sys.stdin.isatty()
    while True:
        if terminal:
            click.echo("> ", nl=False, err=True)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            click.echo(err=True)
            return
        if not line:
            return
        if line := line.strip():
            yield line


def _shown(answer: Iterator[str]) -> None:
    """Prints the pieces as they come; Ctrl-C ends the answer, not the talk."""
    with contextlib.closing(answer), contextlib.suppress(KeyboardInterrupt):  # type: ignore[type-var]
        for piece in answer:
            sys.stdout.write(piece)
            sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()
