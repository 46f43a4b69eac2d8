"""Forms of answers in which a vote compares them: exact numbers, plain words, matches."""

from __future__ import annotations

import string
import unicodedata
from functools import lru_cache
from typing import Any

from chainlang.datatypes.number_text import number_text
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span

_ARTICLES = frozenset({"a", "an", "the"})


def number(answer: Any) -> str | None:
    """Return a number in its canonical spelling; None for what is no number.

    >>> number(" 1,234.50 "), number(2.0), number(10**20), number("3,14"), number(True)
    ('1234.5', '2', '100000000000000000000', None, None)
    """
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    return number_text(str(answer).strip().replace("\N{MINUS SIGN}", "-"))


def plain_words(text: str) -> str:
    """Return a text without case, punctuation and articles, as SQuAD compares answers.

    Compatible characters are equal (NFKC). A text that is nothing else, such as the choice "A",
    keeps what would be dropped.

    >>> plain_words("The Eiffel-Tower!"), plain_words("ﬁne, an １"), plain_words("A.")
    ('eiffeltower', 'fine 1', 'a')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(char for char in folded if not _is_punctuation(char))
    words = bare.split()
    return " ".join([one for one in words if one not in _ARTICLES] or words or folded.split())


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


# ---------------------------------------------------------------- matches


def extracted(pattern: str, text: str) -> str | None:
    """Return the last match of a pattern in a text, or its first group; None if it is empty.

    >>> extracted(r"[0-9]+", "17 + 25 is 42."), extracted(r"is (\\w+)", "it is so")
    ('42', 'so')
    >>> extracted("[0-9]*", "none")
    """
    compiled = _compiled(pattern)
    # The engine reads UTF-8, which has no lone surrogates; each is replaced by one character.
    readable = text.encode("utf-8", "replace").decode()
    last = None
    for match in compiled.finditer(readable):
        last = match if match.end() > match.start() else last
    if last is None:
        return None
    start, end = last.span(1 if compiled.groups else 0)
    return None if start < 0 else text[start:end]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    """Return a compiled pattern. RE2's time is linear in the text, so no pattern hangs a run."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def pattern_faults(pattern: str) -> tuple[Diagnostic, ...]:
    """Return the error of a pattern that can't be compiled.

    >>> [one.message for one in pattern_faults("(a")], pattern_faults("a")
    (['invalid pattern: missing ): (a'], ())
    """
    import re2

    try:
        _compiled(pattern)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0]
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else "not UTF-8"
        hint = "patterns have RE2's syntax, without look-around and back-references"
        span = Span(Source(pattern, "<pattern>"), 0, len(pattern))
        return (Diagnostic("option", f"invalid pattern: {why}", span, hint),)
    return ()
