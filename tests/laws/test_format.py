"""Formatting twice is formatting once; it keeps the meaning, and every comment."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import strategies as st

from chainlang.ir.nodes import Node
from chainlang.notation import parse_file, unparse_file
from chainlang.notation.format import format_text
from chainlang.notation.scan import marks
from tests.laws import law
from tests.strategies import exactly, files

# Strings whole, and then every place where white space may stand: beside brackets, commas and
# operators, and where there is some. A name and its `=` stay on one line.
_PLACES = re.compile(
    r'"""(?:\\(?:.|\n)|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|[ \t]+=|>>|->|[ \n]+|[()\[\]{},&|*?]'
)
_comments = st.sampled_from(
    ("#", "# a", "#!b  ", "## 'c'", '# "d', "# x = y >> z", "# }", "# é 😀", "#\t#", '#"""')
)
_gaps = st.one_of(
    st.sampled_from(("", " ", "  ", "\t", "\n", "\n\n", "\n\n\n\n", "\r\n", " \n \n")),
    st.builds(
        lambda before, comment, after: f"{before}{comment}\n{after}",
        st.sampled_from(("", " ", "\n", "\n\n  ")),
        _comments,
        st.sampled_from(("", " ", "\n\n", "\n\n\n")),
    ),
)


@st.composite
def _untidy(draw: st.DrawFn) -> str:
    """The text of a random file, with odd white space and comments wherever they may stand."""
    text = unparse_file(draw(files))
    pieces, at = [draw(_gaps)], 0
    for found in _PLACES.finditer(text):
        pieces.append(text[at : found.start()])
        at = found.end()
        token = found[0]
        if token.startswith('"'):
            pieces.append(token)
        elif token.endswith("="):
            pieces += [draw(st.sampled_from(("=", " =", "\t ="))), draw(_gaps)]
        elif token.isspace():
            gap = draw(_gaps)
            pieces.append(gap if gap else "\n")
        else:
            few = draw(st.integers(0, 7)) == 0
            pieces += [draw(_gaps), token, draw(_gaps)] if few else [token]
    return "".join([*pieces, text[at:], draw(_gaps)])


def _comments_of(text: str) -> Counter[str]:
    return Counter(mark.text.rstrip() for mark in marks(text) if mark.kind == "comment")


@law(_untidy(), share=2)
def test_formatting_keeps_meaning_and_comments(text: str) -> None:
    once = format_text(text)
    assert exactly(parse_file(once).node) == exactly(parse_file(text).node)
    assert _comments_of(once) == _comments_of(text.replace("\r\n", "\n"))


@law(_untidy(), share=2)
def test_formatting_twice_is_formatting_once(text: str) -> None:
    once = format_text(text)
    assert format_text(once) == once


@law(files, share=2)
def test_formatting_a_printed_file_keeps_it(file: Node) -> None:
    once = format_text(unparse_file(file))
    assert exactly(parse_file(once).node) == exactly(file)
    assert format_text(once) == once
    assert all(line == line.rstrip() or '"""' in once for line in once.splitlines())
