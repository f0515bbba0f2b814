"""Model card of an export: the run's card with code that loads the folder."""

from __future__ import annotations

from pathlib import Path

from headstart.artifacts.artifact import Artifact
from headstart.backbones.backbone import Backbone
from headstart.core.markdown import escaped

PREDICT = "```\nheadstart predict FOLDER INPUT …\n```"
"usage section of a run's card"
TORCHVISION = """import json

from safetensors.torch import load_file
from torchvision.models import get_model

config = json.load(open("config.json"))
model = get_model(config["architecture"], num_classes=config["num_classes"], **config["model_args"])
model.load_state_dict(load_file("model.safetensors"))
model.eval()  # reads images as config["preprocessing"] says; config["labels"] names its scores"""
TIMM = """import timm
from PIL import Image

model = timm.create_model("local-dir:.", pretrained=True).eval()  # "." is this folder
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
scores = model(transform(Image.open("a.jpg").convert("RGB"))[None])
print(model.pretrained_cfg["label_names"], scores)"""


def exported_card(run: str | Path, artifact: Artifact, backbone: Backbone) -> str:
    """The run's card, if it has one, adapted to the folder of a checkpoint."""
    code = f"```python\n{_code(artifact, backbone)}\n```{before_it(artifact)}"
    library = {"timm": "timm", "builtin": "timm", "transformers": "transformers"}.get(backbone.loader, "headstart")
    file = next((p for p in (Path(run) / "README.md", Path(run) / "model" / "README.md") if p.is_file()), None)
    card = file.read_text(encoding="utf-8") if file else ""
    if PREDICT in card:
        return card.replace(PREDICT, code).replace("library_name: headstart", f"library_name: {library}", 1)
    classes = ", ".join(map(escaped, artifact.task.labels)) or "a number"
    title = f"# {artifact.method} on {escaped(Path(artifact.base.source).name)}"
    head = f"---\nlibrary_name: {library}\ntags:\n- headstart\n---\n\n"
    return f"{head}{title}\n\nExported by Headstart. It gives: {classes}.\n\n{code}\n\nIt has no measurements.\n"


def before_it(artifact: Artifact) -> str:
    """A paragraph on what to do to images before the code, because no library does it; empty if that is nothing."""
    return "".join(f"\n\nBefore it, {note}, as in training." for note in artifact.task.images.notes)


def after_the_code(run: str | Path) -> str:
    """The run's card after its code: quality, training and limits of the model."""
    file = next((p for p in (Path(run) / "README.md", Path(run) / "model" / "README.md") if p.is_file()), None)
    return file.read_text(encoding="utf-8").partition(PREDICT)[2] if file else ""


def _code(artifact: Artifact, backbone: Backbone) -> str:
    if backbone.loader in ("timm", "builtin"):
        return TIMM
    if backbone.loader != "transformers":
        return TORCHVISION
    task = backbone.modality
    given = '["a.jpg"]' if backbone.reads_images else '["a text"], truncation=True'
    if artifact.task.input.is_pair:
        joined = backbone.kind == "decoder"
        given = '["one\\ntwo"], truncation=True' if joined else '[{"text": "one", "text_pair": "two"}], truncation=True'
    plain = ', function_to_apply="none"' if artifact.task.numeric else ""
    return (
        "from transformers import pipeline\n\n"
        f'classify = pipeline("{task}-classification", model=".", top_k=None{plain})  # "." is this folder\n'
        f"print(classify({given}))"
    )
