"""Escaping text in Markdown: class names, file names and messages are shown literally."""

from __future__ import annotations

import re

SIGNS = re.compile(r"[\\`*|~$@]|\](?=[(\[:])|^[#+-]|:(?=//)|(?<![^\W_])_|_(?![^\W_])")
"signs with a meaning in CommonMark and on GitHub: emphasis, links, pictures, cells, mentions, addresses, headings"


def escaped(text: str) -> str:
    r"""One line that renderers show literally: no HTML, no link, no extra cell of a table.

    >>> print(escaped("<b>|[a](http://b)"))
    &lt;b&gt;\|[a\](http\://b)
    """
    line = SIGNS.sub(lambda found: f"\\{found[0]}", " ".join(str(text).split()))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
