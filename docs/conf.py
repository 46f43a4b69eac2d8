"""Settings of Sphinx for the pages in this folder: `make docs` builds them.

Pages link to files of the repository as they lie there, so that the links work in a checkout too.
A file that a page includes is that page here, and any other file is a download.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import chainlang
from chainlang.notation.pygments_lexer import ChainLexer

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "chainlang"
version = release = chainlang.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = html_show_sourcelink = html_copy_source = False
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
default_role = "code"  # single backquotes in docstrings
suppress_warnings = ["misc.highlighting_failure"]  # chains that are refused may have any character
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

FENCE = re.compile(r"^(`{3,}|:{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)[^`].*?\1", re.DOTALL)
LINK = re.compile(
    r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)"
)
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)


@cache
def pages() -> dict[Path, Path]:
    """Return the page of each file of the repository that a page includes."""
    found = {ROOT / "README.md": DOCS / "index.md"}
    for page in DOCS.rglob("*.md"):
        for name in INCLUDE.findall(page.read_text(encoding="utf-8")):
            found[(page.parent / name).resolve()] = page
    return found


def relinked(text: str, folder: Path, page: Path) -> str:
    """Return text of a file in `folder` with its links as `page` needs them."""
    homes = pages()
    code = [(one.start(), one.end()) for one in (*FENCE.finditer(text), *CODE.finditer(text))]

    def link(match: re.Match[str]) -> str:
        if any(begin <= match.start("path") < end for begin, end in code):
            return match[0]
        to = (folder / match["path"]).resolve()
        to = to / "README.md" if to.is_dir() else to
        if not to.exists():
            return match["text"][1:-1]  # a folder, which has no page
        path = os.path.relpath(homes.get(to, to), page.parent)
        return f"{match['text']}({path}{match['anchor'] or ''})"

    return LINK.sub(link, text)


def read(app: Any, docname: str, source: list[str]) -> None:
    """Give a page the links that it needs."""
    page = DOCS / f"{docname}.md"
    source[0] = relinked(source[0], page.parent, page)


def included(app: Any, path: Path, docname: str, source: list[str]) -> None:
    """Give a file that a page includes the links that the page needs."""
    source[0] = relinked(source[0], (DOCS / path).resolve().parent, DOCS / f"{docname}.md")


def setup(app: Any) -> None:
    """Connect the hooks, and the colours of chains."""
    app.connect("source-read", read)
    app.connect("include-read", included)
    app.add_lexer("chain", ChainLexer)
