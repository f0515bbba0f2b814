"""Renders letters in the fonts that matplotlib ships and others, as a labelled source of images to pretrain on.

    python examples/builtin/glyphs.py OUT.parquet [--each 1000] [--fonts /usr/share/fonts]

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
from scipy.ndimage import gaussian_filter, map_coordinates

SIDE = 48
OWN = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmss10", "cmtt10", "cmb10")
LETTERS = string.ascii_letters + "αβγδεζθλμξπσφψω"


def fonts(folders: list[Path]) -> dict[str, list[Path]]:
    """Letter to the faces that hold it, from matplotlib's own fonts and the folders."""
    from fontTools.ttLib import TTFont, TTLibError

    own = Path(get_data_path()) / "fonts" / "ttf"
    files = [p for p in own.glob("*.ttf") if p.stem.startswith(OWN) and "Display" not in p.stem]
    files += [p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf")]
    found: dict[str, list[Path]] = {letter: [] for letter in LETTERS}
    for file in sorted(files):
        try:
            held = TTFont(file, lazy=True).getBestCmap() or {}
        except TTLibError:
            continue
        if "Math" not in file.stem and all(ord(letter) in held for letter in string.ascii_letters):
            for letter in LETTERS:
                if ord(letter) in held:
                    found[letter].append(file)
    return found


def warped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pulled about smoothly, as by another hand (Simard et al. 2003)."""
    shift = [gaussian_filter(rng.uniform(-1, 1, pixels.shape), 6) for _ in range(2)]
    strength = rng.uniform(0, 40)
    rows, columns = np.indices(pixels.shape)
    where = [rows + strength * shift[0], columns + strength * shift[1]]
    return map_coordinates(pixels, where, order=1, mode="constant")


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
    canvas = Image.fromarray(warped(np.asarray(canvas, dtype=np.float32), rng).clip(0, 255).astype(np.uint8))
    canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2))))
    if rng.random() < 0.5:  # as coarse as a small scan
        coarse = int(rng.integers(8, 20))
        canvas = canvas.resize((coarse, coarse), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
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
    parser.add_argument("--each", type=int, default=1000, help="images a letter")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders with more .ttf and .otf files")
    arguments = parser.parse_args()
    rng, faces = np.random.default_rng(0), fonts(arguments.fonts)
    images, labels = [], []
    for letter, files in faces.items():
        for _ in range(arguments.each if files else 0):
            buffer = io.BytesIO()
            glyph(letter, files[rng.integers(len(files))], rng).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
            # letters whose cases have one shape are one class
            labels.append(letter.upper() if letter.upper() in "CIOPSUVWXZKJ" else letter)
    pq.write_table(pa.table({"image": images, "label": labels}), arguments.out)
    used = {file for files in faces.values() for file in files}
    print(f"{len(labels)} glyphs of {len(set(labels))} classes from {len(used)} faces in {arguments.out}")


if __name__ == "__main__":
    main()
