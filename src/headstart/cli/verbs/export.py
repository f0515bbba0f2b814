"""`headstart export`: writes a checkpoint for other libraries."""

from __future__ import annotations

import click


@click.command("export")
@click.argument("run")
@click.option("-o", "--out", required=True, metavar="DIR", help="New folder")
@click.option(
    "--format", "form", type=click.Choice(["checkpoint", "peft", "vllm"]), default="checkpoint",
    help="checkpoint: merged weights; peft: the adapter for PEFT; vllm: LoRA for vLLM [default: checkpoint]",
)  # fmt: skip
@click.option(
    "--method", metavar="NAME", help="Method of the run whose model is exported [default: the recommended one]"
)
@click.option(
    "--model", metavar="NAME|DIR", help="New place of the base, if it was moved [default: its place in training]"
)
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the base model")
def command(run: str, out: str, form: str, method: str | None, model: str | None, trust_remote_code: bool) -> None:
    """Write the model of RUN (a folder, or a number of `headstart runs`) for other libraries.

    The result is a checkpoint that transformers, timm or torchvision load by themselves, or an adapter, with a model
    card. It is loaded again and its logits are compared before the folder appears. If the model was tested in bf16, the
    last line says how its answers differ in fp32.
    """
    from headstart import api
    from headstart.artifacts.exchange.exporting import export_run
    from headstart.core.disk.history import folder_of
    from headstart.core.disk.kept import model_of
    from headstart.judging.shipped import precision_note

    folder = folder_of(run)
    click.echo(export_run(model_of(folder, method), out, source=model, trust_remote_code=trust_remote_code, form=form))
    if note := method is None and precision_note(folder, api.read, model, trust_remote_code):
        click.echo(note)
