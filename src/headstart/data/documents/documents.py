"""Documents: the user's own Markdown, text and HTML files, whose passages are retrieved or trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from headstart.core.errors import DataError, suggestion
from headstart.data.audit.findings import Findings
from headstart.data.tables.lines import lines

MARKDOWN, TEXT, HTML = (".md", ".markdown"), (".txt", ".text", ".rst"), (".html", ".htm", ".xhtml")
READABLE = "Markdown (.md), text (.txt, .rst) and HTML (.html)"
MOST_BYTES = 64 << 20
"largest file that is read as one document"


@dataclass(frozen=True)
class Document:
    """name: its path below the folder. text: Markdown or plain text; of HTML, its text with headings as in Markdown."""

    name: str
    text: str


def documents(place: str | Path, findings: Findings | None = None) -> list[Document]:
    """All documents of a folder, below it too, or of one file; in the order of their names.

    findings: gets files that are empty, or whose encoding is broken.

    Raises `DataError` if nothing is there, if a file can't be read or is no text, or if all are empty.
    """
    place = Path(place).expanduser()
    if not place.exists():
        near = [other.name for other in place.parent.iterdir()] if place.parent.is_dir() else []
        raise DataError(f"there is no folder of documents {place}{suggestion(place.name, near)}.")
    files = sorted(_files(place)) if place.is_dir() else [place]
    known = [file for file in files if file.suffix.lower() in (*MARKDOWN, *TEXT, *HTML)]
    if not known:
        kinds = sorted({file.suffix or file.name for file in files})[:5]
        found = f"; it holds {', '.join(kinds)}" if kinds else "; it is empty"
        raise DataError(f"{place} has no documents: {READABLE} are read{found}.")
    base = place if place.is_dir() else place.parent
    findings = findings or Findings()
    read = [Document(file.relative_to(base).as_posix(), _text(file, findings)) for file in known]
    empty = [document.name for document in read if not document.text]
    if len(empty) == len(read):
        raise DataError(f"all {len(read)} documents of {place} are empty.")
    if empty:
        findings.add("empty", "warning", "documents without any text were passed over", empty)
    return [document for document in read if document.text]


def _files(folder: Path) -> Iterator[Path]:
    """Files below the folder, without hidden ones."""
    for file in folder.rglob("*"):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _text(file: Path, findings: Findings) -> str:
    if (size := file.stat().st_size) > MOST_BYTES:
        raise DataError(f"{file} has {size >> 20} MB; a document has at most {MOST_BYTES >> 20} MB. Cut it in files.")
    if file.suffix.lower() in HTML:
        return _of_html(_page(file))
    return "".join(lines(file, findings)).replace("\r\n", "\n").replace("\r", "\n").strip()


def _page(file: Path) -> str:
    """UTF-8, or else Windows-1252, which browsers take for any other western encoding."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {file}: {error.strerror}.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _of_html(source: str) -> str:
    parser = _Text()
    parser.feed(source)
    parser.close()
    return parser.text()


class _Text(HTMLParser):
    """The text of a page: each block on a new line, headings with the signs of Markdown."""

    HIDDEN = frozenset({"script", "style", "title", "nav", "noscript", "template", "svg"})
    INLINE = frozenset(
        {"a", "abbr", "b", "cite", "code", "em", "font", "i", "img", "kbd", "mark", "q", "s", "samp", "small", "span"}
        | {"strong", "sub", "sup", "td", "th", "time", "tt", "u", "var", "wbr"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = [""]
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.HIDDEN:
            self._hidden.append(tag)
        if tag not in self.INLINE:
            self._lines.append("#" * int(tag[1]) + " " if tag[0] == "h" and tag[1:].isdigit() else "")
        elif tag in ("td", "th"):
            self._lines[-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        if tag not in self.INLINE:
            self._lines.append("")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._lines[-1] += data

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in self._lines)
        return "\n".join(line for line in lines if line.strip("# "))
