"""A small vision transformer, pretrained here, for what needs one: `vpt`, and adapters on image backbones.

    python benchmarks/vit.py OUT [--epochs 4]

No pretrained vision transformer can be had without a network, so this trains one: timm's ViT-tiny with six blocks on
patches of 8 x 8 of 48 x 48 pixels, by `headstart pretrain classify`, on CIFAR-10's training images and on the icons of
seven themes. The eighth theme, papirus, is left for the comparison (benchmarks/images.py --data papirus).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main() -> None:
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "examples" / "builtin")]
    import icons
    import peers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    images = peers.shared() / "image"
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "fresh")
        folder.mkdir()
        fresh(folder)
        icons.main(f"{work}/icons.parquet", *(str(images / "icons" / f"{theme}.parquet") for theme in THEMES))
        command = [
            str(Path(sys.executable).with_name("headstart")), "pretrain", "classify", f"{work}/icons.parquet",
            str(images / "cifar10" / "train.parquet"), "--from", str(folder), "--out", str(arguments.out),
            "--set", f"epochs={arguments.epochs}", "--set", "learning_rate=1e-3",
        ]  # fmt: skip
        sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
