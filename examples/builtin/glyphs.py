"""Renders letters in the fonts that matplotlib ships, as a labelled source of images to pretrain on.

    python examples/builtin/glyphs.py OUT.parquet [--each 550]

No digit is ever drawn: the built-in backbone is shown on handwritten digits, and must not have seen any.
"""

from __future__ import annotations

import argparse
import io
import string
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 48


def fonts() -> list[Path]:
    """DejaVu, STIX and Computer Modern faces that hold Latin letters."""
    folder = Path(get_data_path()) / "fonts" / "ttf"
    wanted = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmss10", "cmtt10", "cmb10")
    return [p for p in sorted(folder.glob("*.ttf")) if p.stem.startswith(wanted) and "Display" not in p.stem]


def glyph(letter: str, font: Path, rng: np.random.Generator) -> Image.Image:
    """One letter, rotated, sheared, scaled, thickened or thinned, blurred, in random shades, sometimes very coarse."""
    size = int(rng.integers(26, 44))
    canvas = Image.new("L", (96, 96), 0)
    ImageDraw.Draw(canvas).text((48, 48), letter, font=ImageFont.truetype(str(font), size), fill=255, anchor="mm")
    angle, shear = np.deg2rad(rng.uniform(-20, 20)), rng.uniform(-0.35, 0.35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[rng.uniform(0.8, 1.25), shear], [0, rng.uniform(0.8, 1.25)]])
    shift = np.array([48, 48]) - matrix @ (np.array([48, 48]) + rng.uniform(-4, 4, 2))
    canvas = canvas.transform(
        (96, 96), Image.Transform.AFFINE, (*matrix[0], shift[0], *matrix[1], shift[1]), Image.Resampling.BILINEAR
    )
    canvas = canvas.crop((24, 24, 72, 72))
    stroke = rng.integers(0, 4)
    if stroke == 1:
        canvas = canvas.filter(ImageFilter.MaxFilter(3))
    if stroke == 2:
        canvas = canvas.filter(ImageFilter.MaxFilter(5))
    canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2))))
    if rng.random() < 0.4:  # as coarse as a small scan
        coarse = int(rng.integers(8, 20))
        canvas = canvas.resize((coarse, coarse), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    ink, paper = (rng.uniform(140, 255, 3), rng.uniform(0, 90, 3)) if rng.random() < 0.6 else (
        rng.uniform(0, 110, 3), rng.uniform(150, 255, 3))  # fmt: skip
    if rng.random() < 0.5:  # grey
        ink, paper = np.full(3, ink[0]), np.full(3, paper[0])
    share = np.asarray(canvas, dtype=np.float64)[..., None] / 255
    pixels = share * ink + (1 - share) * paper + rng.normal(0, rng.uniform(0, 12), (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=550, help="images a letter")
    arguments = parser.parse_args()
    rng, faces = np.random.default_rng(0), fonts()
    images, labels = [], []
    for letter in string.ascii_letters:
        for _ in range(arguments.each):
            buffer = io.BytesIO()
            glyph(letter, faces[rng.integers(len(faces))], rng).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
            # letters whose cases have one shape are one class
            labels.append(letter.upper() if letter.upper() in "CIOPSUVWXZKJ" else letter)
    pq.write_table(pa.table({"image": images, "label": labels}), arguments.out)
    print(f"{len(labels)} glyphs of {len(set(labels))} classes from {len(faces)} faces in {arguments.out}")


if __name__ == "__main__":
    main()
