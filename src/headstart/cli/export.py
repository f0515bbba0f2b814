"""`headstart export`: an ordinary checkpoint."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("run")
@click.option("-o", "--out", required=True, metavar="DIR", help="A new folder")
@click.option(
    "--format", "form", type=click.Choice(["checkpoint", "peft", "vllm"]), default="checkpoint",
    help="A merged checkpoint, the adapter as PEFT reads it, or LoRA by vLLM's rules [default: checkpoint]",
)  # fmt: skip
@click.option("--model", metavar="NAME|DIR", help="Where the base lies now [default: where it was in training]")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the base model")
def command(run: str, out: str, form: str, model: str | None, trust_remote_code: bool) -> None:
    """Write the model of RUN as a checkpoint that transformers, timm or torchvision load by themselves, or its adapter.

    The folder is read again and its logits compared before it takes its place. Where the model was tested in bf16,
    the last line says how its answers differ in fp32.
    """
    from headstart import api
    from headstart.artifacts.exporting import export_run
    from headstart.evaluate.shipped import precision_note

    click.echo(export_run(run, out, source=model, trust_remote_code=trust_remote_code, form=form))
    if note := precision_note(run, api.read, model, trust_remote_code):
        click.echo(note)
