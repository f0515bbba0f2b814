"""A small vision transformer, pretrained here, for what needs one: `vpt`, and adapters on image backbones.

No pretrained vision transformer can be had without a network, so this trains one: timm's ViT-tiny with six blocks on
patches of 8 x 8 of 48 x 48 pixels, by `headstart pretrain classify`, on CIFAR-10's training images and on the icons of
seven themes. The eighth theme, papirus, is left for the comparison: `run.py images --data papirus --model OUT`. It
leaves a folder and no result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from benchmarks.lib.data import shared
from benchmarks.lib.results import BENCHMARKS, Results

THEMES = ("adwaita", "breeze", "elementary", "gnome", "mate", "oxygen", "tango")
ARGUMENTS = {"img_size": 48, "patch_size": 8, "depth": 6}


def fresh(folder: Path) -> None:
    """A folder in timm's format with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, **ARGUMENTS)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    seen = {"input_size": [3, 48, 48], "interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "center"}
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "num_features": network.num_features,
        "model_args": ARGUMENTS,
        "pretrained_cfg": seen | {"mean": mean, "std": std, "classifier": "head", "first_conv": "patch_embed.proj"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "model.safetensors")


def measure(out: Annotated[Path, "where the backbone is put"], epochs: int = 4, learning_rate: float = 1e-3) -> Results:
    sys.path.insert(0, str(BENCHMARKS.parent / "examples" / "builtin"))
    import icons

    images = shared() / "image"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "fresh")
        folder.mkdir()
        fresh(folder)
        icons.main(f"{work}/icons.parquet", *(str(images / "icons" / f"{theme}.parquet") for theme in THEMES))
        command = [
            sys.executable, "-m", "headstart", "pretrain", "classify", f"{work}/icons.parquet",
            str(images / "cifar10" / "train.parquet"), "--from", str(folder), "--out", str(out),
            "--set", f"epochs={epochs}", "--set", f"learning_rate={learning_rate}",
        ]  # fmt: skip
        subprocess.run(command, check=True)
    yield from ()
