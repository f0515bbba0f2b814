"""Exporting a run: its merged model as a checkpoint of the model's library, or its adapter."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.exchange.exported_card import after_the_code, before_it, exported_card
from headstart.artifacts.exchange.merge import merge
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.backbones.export.checkpoint import export
from headstart.backbones.export.verification import batch_of, samples
from headstart.core.disk.files import replacing_folder, write_text
from headstart.core.errors import ArtifactError, ConfigurationError, ModelError, unknown

FORMS = ("checkpoint", "peft", "vllm")
AGREEMENT = 1e-4
"maximum difference of logits between the run and the loaded adapter, relative to the largest above 1"


def not_exportable(artifact: Artifact) -> str:
    """Reason why the head fits no classifier of the library; empty if it fits."""
    if not artifact.task.pooled:
        given = artifact.task.noun
        return f"this model gives {given}, and only classifiers and regressions are exported; use headstart"
    if artifact.trained_with().head_reads != "top":
        return (
            f"this {artifact.method} reads the features of every rung, and no library's own classifier does. One of "
            f"the top rung alone can be exported: headstart fit DATA --method {artifact.method} --set reads=top"
        )
    if getattr(artifact.trained_with(), "drop", 0):
        return "blocks of this model are left out (drop), but its library would build them; serve it with headstart"
    if "head.weight" not in artifact.tensors:
        return f"{artifact.method} has a special head, which no library's classifier can hold; serve it with headstart"
    return ""


def export_run(
    run: str | Path, out: str | Path, *, backbone: Backbone | None = None, source: str | None = None,
    trust_remote_code: bool = False, form: str = "checkpoint",
) -> str:  # fmt: skip
    """Writes the folder `out`, which must not exist or be empty; returns a line that says how to load it.

    form: `checkpoint`, merged for the model's library; `peft`, the adapter; `vllm`, LoRA for vLLM.
    Raises `ModelError` if the library has no class for this model, `ArtifactError` if the loaded checkpoint differs
    from the model; `out` is then unchanged.
    """
    if form not in FORMS:
        raise unknown("format", form, FORMS)
    place = Path(out)
    if place.exists() and (place.is_file() or any(place.iterdir())):
        raise ConfigurationError(f"{place} exists and is not empty; choose a new folder. Nothing was changed there.")
    predictor = Predictor(
        run, backbone=backbone, source=source, device="cpu", precision="fp32", trust_remote_code=trust_remote_code
    )
    try:
        return _exported(predictor, run, place) if form == "checkpoint" else _adapter(predictor, run, place, form)
    finally:
        predictor.close()  # restores a backbone of the caller


def _exported(predictor: Predictor, run: str | Path, place: Path) -> str:
    task, base = predictor.artifact.task, predictor.backbone
    if reason := not_exportable(predictor.artifact):
        raise ModelError(f"{reason[0].upper()}{reason[1:]}. Nothing was written.")
    # a copy, because adapters are merged into the weights of the base
    base = replace(base, module=copy.deepcopy(predictor.model.backbone))
    merge(base.module)
    assert isinstance(predictor.model.head, nn.Linear)
    with replacing_folder(place) as temporary:
        export(base, predictor.model.head, task.labels, task.kind, temporary)
        write_text(temporary / "README.md", exported_card(run, predictor.artifact, base))
    if base.loader == "transformers":
        kind = "SequenceClassification" if base.modality == "text" else "ImageClassification"
        how = f'transformers.AutoModelFor{kind}.from_pretrained("{place}")'
    elif base.loader in ("timm", "builtin"):
        how = f'timm.create_model("local-dir:{place}", pretrained=True)'
    else:
        how = f'headstart.load("{place}")'
    return f"{place} written and checked. Load it with {how}{before_it(predictor.artifact)}"


def _adapter(predictor: Predictor, run: str | Path, place: Path, form: str) -> str:
    """Writes the adapter in PEFT's format, and compares it after loading before it takes its place."""
    from headstart.artifacts.exchange.peft_read import from_peft
    from headstart.artifacts.exchange.peft_write import write_peft

    if not predictor.artifact.task.pooled:
        raise ModelError(f"{not_exportable(predictor.artifact)}. Nothing was written.")
    backbone = predictor.backbone
    batches = [batch_of(backbone, sample) for sample in samples(backbone)]

    def logits(one: Predictor) -> Tensor:
        with torch.no_grad():
            return torch.cat([one.model.head(backbone.features(batch, one.plan.reads).float()) for batch in batches])

    expected = logits(predictor)
    with replacing_folder(place) as temporary:
        write_peft(predictor, temporary, vllm=form == "vllm")
        with (temporary / "README.md").open("a", encoding="utf-8") as file:
            file.write(after_the_code(run))
        predictor.close()
        with tempfile.TemporaryDirectory() as again:
            task = from_peft(temporary, backbone, Path(again) / "model").task
            reader = Predictor(Path(again) / "model", backbone=backbone, device="cpu", precision="fp32")
            found = logits(reader)
            reader.close()
        told = predictor.artifact.task
        if (task.kind, task.labels) != (told.kind, told.labels):
            raise ArtifactError("the adapter, read again, has another task than the run. Nothing was written.")
        gap = float((found - expected).abs().max() / expected.abs().max().clamp(min=1.0))
        if not gap <= AGREEMENT:
            raise ArtifactError(
                f"the adapter, read again, differs from the run by {gap:g} in logits. Nothing was written."
            )
    return f"{place} written and checked. {place / 'README.md'} says how to load it."
