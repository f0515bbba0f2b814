"""Formats of files: the reader of a file, by its name or by how it begins, and advice for files that are not read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.images.formats import SUFFIXES
from headstart.data.tables.conll import Conll, is_conll
from headstart.data.tables.fasttext import FastText, is_fasttext
from headstart.data.tables.json_lines import JsonLines
from headstart.data.tables.parquet import Parquet
from headstart.data.tables.table import Table
from headstart.data.tables.tabular import Delimited

FORMATS: dict[str, Callable[[Path], Table]] = {
    ".csv": Delimited,
    ".tsv": Delimited,
    ".tab": Delimited,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": JsonLines,
    ".parquet": Parquet,
    ".conll": Conll,
    ".conllu": Conll,
}
_SHEET = "an Excel or OpenDocument sheet: save it as CSV (UTF-8)"
_TABLE = "no table by its name: if it is one, call it .csv, .tsv, .jsonl or .conll"
_ARCHIVE = "an archive: unpack it, and name the file or folder inside"
ADVICE = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"), _ARCHIVE),
    **dict.fromkeys(
        (".txt", ".text", ".dat"), "no table by its name: if it is one, call it .csv, .tsv, .jsonl or .conll"
    ),
    **dict.fromkeys(
        (".feather", ".arrow", ".h5", ".hdf5", ".dta", ".sav", ".rds", ".sas7bdat"), "save it as Parquet or CSV"
    ),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle, which can run code when it is read: save it as Parquet or CSV"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "a database: export the table as CSV"),
    **dict.fromkeys(
        (".xml", ".html", ".htm", ".yaml", ".yml", ".arff", ".toml", ".md"), "save its rows as CSV or JSON lines"
    ),
    **dict.fromkeys((".npy", ".npz", ".mat", ".pt", ".pth", ".tfrecord"), "save texts as CSV, and images as files"),
    **dict.fromkeys((".doc", ".docx", ".pdf", ".rtf"), "a document: write its texts into a table, one per row"),
}
"advice for files in unsupported formats, by suffix"
READABLE = (
    "a .csv, .tsv, .jsonl, .parquet or .conll file; a folder with train.*, validation.*, test.* files of these; a "
    "folder with one subfolder of images per class (also below train/, validation/, test/); a folder written by "
    "datasets' save_to_disk; or the name of a data set on the hub"
)
NO_PIPES = "standard input and pipes are not read"
Reader = Callable[[Path], Table]


def format_of(path: Path) -> str:
    """The last suffix in lower case, without `.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def reader_of(path: Path) -> Reader | None:
    """What reads a file as a table; None if nothing does."""
    suffix = format_of(path)
    return FastText if is_fasttext(path, suffix) else Conll if is_conll(path, suffix) else FORMATS.get(suffix)


def table_of(path: Path) -> Table:
    """The file as a table. Raises `DataError` for files that are none."""
    kind, reader = format_of(path), reader_of(path)
    if reader is None or not path.is_file():
        if kind in SUFFIXES:
            raise DataError(f"{path} is an image: give the folder that holds one subfolder of images per class.")
        what = f"{kind} is no format known here" if kind else "its name has no extension"
        what = ADVICE.get(kind) or f"{what}: if it is a table, call it .csv, .tsv, .jsonl or .conll"
        raise DataError(f"can't read {path}: {what}. Give {READABLE}.")
    return reader(path)
