"""From a folder of `headstart pretrain mlm` to one for the package: python examples/builtin/shrink.py FROM TO

The head over the vocabulary is left out and each weight takes a byte; how much the features differ is printed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch

import headstart
from headstart.backbones.loaders.eight_bits import restored, shrunk
from headstart.core.disk.files import replacing_folder, write_json
from headstart.engine.state.tensors import write_tensors

TEXTS = ["an image viewer", "The shell reads a line.", "A small, sweet fruit with a stone.", "library for sound files"]


def main(source: Path, out: Path) -> None:
    backbone = headstart.load(source)
    batch = backbone.preparation.collate(backbone.preparation.encode(TEXTS))
    with torch.no_grad():
        before = backbone.features(batch)
        small = shrunk(backbone.module.state_dict())
        backbone.module.load_state_dict(restored(small))
        after = backbone.features(batch)
    print("cosine of the features before and after:", torch.cosine_similarity(before, after).tolist())
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config.pop("dtype", None)
    with replacing_folder(out) as temporary:
        write_tensors(temporary / "model.safetensors", small, {"format": "pt"})
        write_json(temporary / "config.json", config | {"architectures": ["BertModel"]})
        for name in ("tokenizer.json", "tokenizer_config.json", "pretrained.json"):
            shutil.copyfile(source / name, temporary / name)
    print(sum(f.stat().st_size for f in out.iterdir()), "bytes in", out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
