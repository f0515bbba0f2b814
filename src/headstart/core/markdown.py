"""Text from elsewhere inside Markdown: class names, file names and messages stay the text they are."""

from __future__ import annotations

import re

SIGNS = re.compile(r"[\\`*|~$@]|\](?=[(\[:])|^[#+-]|:(?=//)|(?<![^\W_])_|_(?![^\W_])")
"what CommonMark and GitHub read as more than itself: emphasis, links, pictures, cells, mentions, addresses, headings"


def escaped(text: str) -> str:
    r"""One line that a renderer shows as it was written: no HTML, no link, no cell of a table more.

    >>> print(escaped("<b>|[a](http://b)"))
    &lt;b&gt;\|[a\](http\://b)
    """
    line = SIGNS.sub(lambda found: f"\\{found[0]}", " ".join(str(text).split()))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
