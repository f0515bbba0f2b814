"""CLIP trained on seven icon themes, asked for the eighth: contexts told in words, and captions found.

    python benchmarks/clip.py [--theme papirus] [--epochs 20] [--out runs/clip]

Both towers begin at random, so that nothing has seen the eighth theme. The captions never say what context an icon is
of, so the texts to train on are caption and context, `folder new, action`. Told: zero-shot accuracy over its contexts
with 95 % interval, beside the largest class and one of as many; recall at 1, 5 and 10 of captions and of pictures,
beside chance, where equal captions are equally right. Writes benchmarks/results/clip.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers

TEMPLATES = ("{}", "icon, {}")


def main() -> None:
    from headstart.backbones.loaders.load import two_towers
    from headstart.cli.progress import Lines
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute
    from headstart.judging.retrieval import retrieved
    from headstart.judging.zeroshot import accuracy
    from headstart.pretraining.objectives.clip import Clip
    from headstart.pretraining.pretraining import Request, pretrain

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", default="papirus", help="the one that is held out")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/clip"))
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    themes = sorted((peers.shared() / "image" / "icons").glob("*.parquet"))
    held = next(file for file in themes if file.stem == arguments.theme)
    if not (arguments.out / "pretrained.json").is_file():
        sources = [str(file) for file in themes if file != held]
        request = Request(sources, arguments.out, compute(None), Lines(), text="caption,context")
        print(*pretrain(Clip(epochs=arguments.epochs), request), sep="\n", flush=True)
    towers = two_towers(arguments.out)
    zeroshot = accuracy(towers, str(held), "context", TEMPLATES, compute("cpu"))
    retrieval = retrieved(towers, (str(held),), "caption", compute("cpu"))
    print(json.dumps({"zeroshot": zeroshot, "retrieval": retrieval}, indent=1))
    report = json.loads((arguments.out / "pretrained.json").read_text(encoding="utf-8"))
    report["corpus"]["sources"] = [Path(source).stem for source in report["corpus"]["sources"]]
    kept = ("configuration", "corpus", "parameters", "steps", "seconds", "scale", "held_out", "environment")
    write_json(peers.RESULTS / "clip.json", {
        "schema": "headstart.clip/1", "status": "ok", "note": arguments.note, "theme": arguments.theme,
        "zeroshot": zeroshot, "retrieval": retrieval, "pretraining": {key: report[key] for key in kept},
        "environment": environment("cpu", compute("cpu").precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
